"""Each command once: what the daemon is asked, and what the user sees."""

import json
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any

import msgspec
import pytest
from api.fake_daemon import FakeDaemon

from cli.conftest import Run
from tulle import __version__
from tulle.api import views
from tulle.api.addresses import AutoAddress, ManualAddress
from tulle.api.containers import EXTERNAL, ContainerRef
from tulle.api.daemon import AttachRequest, DetachRequest, DnsService, ExposeRequest, NameRequest
from tulle.api.report import ContainerReport
from tulle.cli.commands import COMMANDS
from tulle.cli.removed import REMOVED
from tulle.errors import UserError

WEB = ContainerRef("netns:web", "/run/netns/web", "web")
MANUAL = ManualAddress(IPv4Interface("10.2.1.1/24"))
ONE = IPv4Address("10.32.0.1")

ASKED: list[tuple[str, tuple[Any, ...], str]] = [
    ("connect h2 10.0.0.3:7000", ("connect", ["h2", "10.0.0.3:7000"], False), ""),
    ("connect --replace h2", ("connect", ["h2"], True), ""),
    ("connect --replace", ("connect", [], True), ""),
    ("forget h2", ("forget", ["h2"]), ""),
    ("rmpeer h3", ("takeover", "h3", False), "262143 IPs taken over from h3\n"),
    ("rmpeer --force 02:00:00:00:00:03", ("takeover", "02:00:00:00:00:03", True), None),
    ("prime", ("prime",), ""),
    ("attach netns:web", ("attach", AttachRequest(WEB)), "10.32.0.1\n"),
    ("attach /var/run/netns/web", ("attach", AttachRequest(WEB)), "10.32.0.1\n"),
    (
        "attach net:default net:10.33.0.0/24 10.2.1.1/24 netns:web",
        (
            "attach",
            AttachRequest(WEB, (AutoAddress(), AutoAddress(IPv4Network("10.33.0.0/24")), MANUAL)),
        ),
        "10.32.0.1\n",
    ),
    (
        "attach --hostname www --without-dns --rewrite-hosts --add-host db:10.9.0.1 "
        "--no-multicast-route pid:12",
        (
            "attach",
            AttachRequest(
                ContainerRef("pid:12", "/proc/12/ns/net", None),
                (),
                "www",
                True,
                True,
                True,
                (("db", IPv4Address("10.9.0.1")),),
            ),
        ),
        "10.32.0.1\n",
    ),
    ("detach ip:10.2.1.1/24 netns:web", ("detach", DetachRequest(WEB, (MANUAL,))), "10.32.0.1\n"),
    ("expose", ("expose", ExposeRequest()), "10.32.0.1\n"),
    (
        "expose 10.2.1.1/24 -h gw.weave.local --without-masquerade",
        ("expose", ExposeRequest((MANUAL,), "gw.weave.local", True)),
        "10.32.0.1\n",
    ),
    ("hide", ("hide", ()), "10.32.0.1\n"),
    ("hide net:default", ("hide", (AutoAddress(),)), "10.32.0.1\n"),
    ("dns-add netns:web", ("dns_add", NameRequest("netns:web", None)), ""),
    ("dns-add 10.32.0.1 netns:web -h www", ("dns_add", NameRequest("netns:web", "www", (ONE,))), ""),
    ("dns-add 10.32.0.1 -h www", ("dns_add", NameRequest(EXTERNAL, "www", (ONE,))), ""),
    ("dns-remove netns:web", ("dns_remove", NameRequest("netns:web", None)), ""),
    ("dns-remove 10.32.0.1 -h www", ("dns_remove", NameRequest(EXTERNAL, "www", (ONE,))), ""),
    ("dns-lookup web", ("dns_lookup", "web"), "10.32.0.1\n10.44.0.1\n"),
]


@pytest.mark.parametrize(("line", "call", "out"), ASKED, ids=[row[0] for row in ASKED])
def test_the_daemon_is_asked(
    tulle: Run, daemon: FakeDaemon, line: str, call: tuple[Any, ...], out: str | None
) -> None:
    got = tulle(*line.split())
    assert (got.status, got.err) == (0, "")
    assert daemon.calls == [call]
    assert out is None or got.out == out


def test_several_peers_are_removed_one_by_one(tulle: Run, daemon: FakeDaemon) -> None:
    got = tulle("rmpeer", "h3", "partly")
    assert daemon.calls == [("takeover", "h3", False), ("takeover", "partly", False)]
    assert len(got.out.splitlines()) == 3


@pytest.mark.parametrize("line", ["attach netns:web", "detach netns:web", "expose", "hide"])
def test_addresses_as_json(tulle: Run, daemon: FakeDaemon, line: str) -> None:
    assert json.loads(tulle(*line.split(), "--json").out) == {"addresses": ["10.32.0.1/12"]}


def test_a_container_without_addresses_prints_nothing(tulle: Run, daemon: FakeDaemon) -> None:
    daemon.addresses = []
    assert tulle("detach", "netns:web") == (0, "", "")


def test_names_as_json_and_unknown_names(tulle: Run, daemon: FakeDaemon) -> None:
    assert json.loads(tulle("dns-lookup", "web", "--json").out) == {"addresses": ["10.32.0.1", "10.44.0.1"]}
    got = tulle("dns-lookup", "nobody")
    assert (got.status, got.out) == (1, "")
    assert got.err.startswith("tulle: no live container has the name nobody")


def test_removing_nothing_is_said(tulle: Run, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    async def none(request: NameRequest) -> int:
        return 0

    monkeypatch.setattr(daemon, "dns_remove", none)
    got = tulle("dns-remove", "netns:web")
    assert got.status == 1
    assert got.err.startswith("tulle: nothing was removed")


def test_resolver_options(tulle: Run, daemon: FakeDaemon) -> None:
    assert tulle("dns-args").out == "--dns=10.99.0.2 --dns-search=weave.local.\n"


def test_resolver_options_cannot_name_a_port(
    tulle: Run, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon, "dns", DnsService("weave.local.", IPv4Address("10.99.0.2"), 5353))
    got = tulle("dns-args")
    assert (got.status, got.out) == (1, "")
    assert "port 5353" in got.err
    assert "--dns-listen-address" in got.err


def test_status_and_its_views(tulle: Run, daemon: FakeDaemon) -> None:
    assert tulle("status").out == views.status(daemon.current)
    for view, show in views.VIEWS.items():
        assert tulle("status", view).out == show(daemon.current)


@pytest.mark.parametrize(
    ("view", "path"),
    [
        ([], []),
        (["targets"], ["Router", "Targets"]),
        (["connections"], ["Router", "Connections"]),
        (["peers"], ["Router", "Peers"]),
        (["dns"], ["DNS"]),
        (["ipam"], ["IPAM"]),
    ],
)
def test_status_as_json(tulle: Run, daemon: FakeDaemon, view: list[str], path: list[str]) -> None:
    expected = msgspec.to_builtins(daemon.current)
    for key in path:
        expected = expected[key]
    assert json.loads(tulle("status", *view, "--json").out) == expected


def test_report(tulle: Run, daemon: FakeDaemon) -> None:
    assert json.loads(tulle("report").out) == msgspec.to_builtins(daemon.current)
    assert tulle("report", "-f", "{{.Router.Name}} {{len .Router.Peers}}").out == "02:00:00:00:00:01 3\n"
    got = tulle("report", "-f", "{{")
    assert got.status == 2
    assert got.err.startswith("tulle report: template line 1: an action is not closed with }} (see ")


def test_ps(tulle: Run, daemon: FakeDaemon) -> None:
    entry = ContainerReport(container="netns:web", mac="02:00:00:00:00:bb", addresses=["10.32.0.1/12"])
    daemon.current = msgspec.structs.replace(daemon.current, containers=[entry])
    assert tulle("ps").out == "netns:web 02:00:00:00:00:bb 10.32.0.1/12\n"
    assert tulle("ps", "netns:other").out == ""
    assert json.loads(tulle("ps", "netns:web", "--json").out) == [msgspec.to_builtins(entry)]


def test_version(tulle: Run, daemon: FakeDaemon) -> None:
    assert tulle("version").out == f"tulle {__version__}\ndaemon 2.8.1-ref-keylog\n"
    assert json.loads(tulle("version", "--json").out) == {
        "command": __version__,
        "daemon": "2.8.1-ref-keylog",
    }


def test_version_without_a_daemon(tulle: Run) -> None:
    assert tulle("version").out == f"tulle {__version__}\ndaemon not running\n"


NEEDS_DAEMON = [
    "prime",
    "stop",
    "connect h2",
    "forget h2",
    "rmpeer h2",
    "attach netns:web",
    "detach netns:web",
    "expose",
    "hide",
    "dns-add netns:web",
    "dns-remove netns:web",
    "dns-lookup web",
    "dns-args",
    "status",
    "report",
    "ps",
]


@pytest.mark.parametrize("line", NEEDS_DAEMON)
def test_without_a_daemon_one_line_says_how_to_start_it(tulle: Run, line: str) -> None:
    got = tulle(*line.split())
    assert (got.status, got.out) == (1, "")
    assert got.err.count("\n") == 1
    assert got.err.startswith("tulle: the daemon is not running")
    assert got.err.endswith("start it with `tulle launch`\n")


def test_the_daemons_refusal_is_one_line(tulle: Run, daemon: FakeDaemon) -> None:
    daemon.error = UserError("the range is used up", 409)
    assert tulle("attach", "netns:web") == (1, "", "tulle: the range is used up\n")


def test_an_internal_error_shows_no_detail(tulle: Run, daemon: FakeDaemon) -> None:
    daemon.error = ZeroDivisionError("detail")
    assert tulle("attach", "netns:web") == (1, "", "tulle: internal error, see the log\n")


def test_the_socket_can_be_named_anywhere(tulle: Run, daemon: FakeDaemon, tmp_path: Any) -> None:
    path = str(tmp_path / "tulle.sock")
    nowhere = str(tmp_path / "nowhere.sock")
    assert tulle("--socket", path, "dns-args").status == 0
    assert tulle("dns-args", "--socket", path).status == 0
    assert tulle("--socket", nowhere, "dns-args", "--socket", path).status == 0
    got = tulle("--socket", nowhere, "dns-args")
    assert (got.status, nowhere in got.err) == (1, True)
    assert tulle("--local", "dns-args").status == 0


@pytest.mark.parametrize("name", sorted(REMOVED))
def test_removed_commands_say_so(tulle: Run, name: str) -> None:
    got = tulle(name, "--with", "anything", "-x")
    assert (got.status, got.out) == (2, "")
    assert got.err.startswith(f"tulle: there is no command {name!r}: ")
    assert got.err.count("\n") == 1


@pytest.mark.parametrize("name", list(COMMANDS))
def test_help(tulle: Run, name: str) -> None:
    by_flag = tulle(name, "--help")
    assert by_flag.status == 0
    assert by_flag.out.startswith(f"Usage: tulle {name}")
    assert tulle("help", name).out == by_flag.out


def test_help_in_general(tulle: Run) -> None:
    got = tulle("help")
    assert got.out == tulle("--help").out
    assert all(f"  {name} " in got.out for name in COMMANDS)
    assert tulle("help", "nonsense").status == 2


def test_nothing_at_all_shows_help_as_an_error(tulle: Run) -> None:
    got = tulle()
    assert (got.status, got.out) == (2, "")
    assert got.err.startswith("Usage: tulle")


@pytest.mark.parametrize("name", list(COMMANDS))
def test_the_table_says_what_the_command_says(tulle: Run, name: str) -> None:
    """Help lists commands from the table without importing them, so the two must not drift apart."""
    words = COMMANDS[name].text.rstrip(".").split()
    assert words[0] in tulle("help", name).out
