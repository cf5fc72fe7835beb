"""``launch``, ``stop`` and ``reset`` with real processes; the daemon in them is a fake one."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from cli.conftest import Run
from tulle.api.client import Client
from tulle.cli import background, docker_env
from tulle.cli.personality import WEAVE
from tulle.daemon.options import LaunchOptions, parse_options

FAKE = Path(__file__).with_name("fake_process.py")


@pytest.fixture(autouse=True)
def _fake_daemon(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Generator[None]:
    monkeypatch.setattr(background, "arguments", lambda socket: [sys.executable, str(FAKE), socket])
    yield
    pid = Client(str(tmp_path / "tulle.sock")).pid()
    if pid:
        os.kill(pid, signal.SIGKILL)


def what_the_daemon_saw(tmp_path: Path) -> Any:
    return json.loads((tmp_path / "state" / "tulle.log").read_text().splitlines()[0])


def test_a_daemon_comes_and_goes(tulle: Run, tmp_path: Path) -> None:
    log = tmp_path / "state" / "tulle.log"
    got = tulle("launch", "h2")
    assert got == (0, f"tulle is running; its log is {log}\n", "")
    assert log.stat().st_mode & 0o777 == 0o600
    assert log.parent.stat().st_mode & 0o777 == 0o700
    pid = Client(str(tmp_path / "tulle.sock")).pid()
    assert pid
    assert os.getsid(pid) == pid
    assert tulle("status").status == 0
    assert tulle("stop") == (0, "", "")
    assert not (tmp_path / "tulle.sock").exists()
    assert tulle("status").status == 1


def test_a_second_daemon_is_refused(tulle: Run, tmp_path: Path) -> None:
    tulle("launch")
    pid = Client(str(tmp_path / "tulle.sock")).pid()
    got = tulle("launch")
    assert (got.status, got.out) == (1, "")
    assert got.err.startswith(f"tulle: a daemon is already running (process {pid} answers on ")
    assert tulle("stop").status == 0


def test_the_daemons_own_words_tell_why_it_cannot_start(tulle: Run) -> None:
    got = tulle("launch", "--nickname", "cannot")
    assert got == (1, "", "tulle: cannot listen on port 6783: another program has it\n")


def test_a_daemon_that_dies_silently_is_reported(tulle: Run, tmp_path: Path) -> None:
    got = tulle("launch", "--nickname", "silent")
    log = tmp_path / "state" / "tulle.log"
    assert got == (1, "", f"tulle: the daemon ended with status 3; its log is {log}\n")


def test_a_state_directory_that_cannot_be_made(tulle: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    got = tulle("launch", "--state-dir", str(tmp_path / "file" / "state"))
    assert (got.status, got.out) == (1, "")
    assert got.err.startswith(
        f"tulle: cannot write to the state directory {tmp_path}/file/state: not a directory"
    )


@pytest.mark.parametrize("way", ["environment", "file", "flag", "stdin"])
def test_the_password_arrives_and_is_seen_nowhere(
    tulle: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    words = ["launch"]
    if way == "environment":
        monkeypatch.setenv("TULLE_PASSWORD", "wabbit")
    elif way == "flag":
        words += ["--password", "wabbit"]
    else:
        (tmp_path / "secret").write_text("wabbit\nrest\n")
        words += ["--password-file", str(tmp_path / "secret")]
    got = tulle(*words)
    assert got.status == 0
    assert ("--password-file" in got.err) is (way == "flag")
    assert what_the_daemon_saw(tmp_path) == {"password": "wabbit", "secret": False, "background": True}
    pid = Client(str(tmp_path / "tulle.sock")).pid()
    assert b"wabbit" not in Path(f"/proc/{pid}/cmdline").read_bytes()
    assert b"wabbit" not in Path(f"/proc/{pid}/environ").read_bytes()


def test_a_password_from_a_file_that_is_not_there(tulle: Run, tmp_path: Path) -> None:
    got = tulle("launch", "--password-file", str(tmp_path / "none"))
    assert (got.status, "cannot read" in got.err) == (2, True)
    (tmp_path / "empty").write_text("\n")
    got = tulle("launch", "--password-file", str(tmp_path / "empty"))
    assert (got.status, "is empty" in got.err) == (2, True)
    got = tulle("launch", "--password", "x", "--password-file", str(tmp_path / "empty"))
    assert (got.status, "give the password once" in got.err) == (2, True)


def test_reset_ends_the_daemon(tulle: Run, tmp_path: Path) -> None:
    tulle("launch")
    assert tulle("reset", "--force") == (0, "", "")
    assert not (tmp_path / "tulle.sock").exists()


def test_reset_without_a_daemon_cleans_up_itself(
    tulle: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[LaunchOptions] = []

    async def remove_everything(options: LaunchOptions) -> None:
        seen.append(options)

    cleanup = type(sys)("tulle.daemon.cleanup")
    monkeypatch.setattr(cleanup, "remove_everything", remove_everything, raising=False)
    monkeypatch.setitem(sys.modules, "tulle.daemon.cleanup", cleanup)
    got = tulle("reset")
    assert (got.status, "no daemon was running" in got.out) == (0, True)
    tulle("reset", personality=WEAVE)
    assert [options.bridge for options in seen] == ["tulle", "weave"]
    assert seen[0].state_dir == str(tmp_path / "state")
    assert seen[0].socket == str(tmp_path / "tulle.sock")


def flags_of(monkeypatch: pytest.MonkeyPatch) -> list[LaunchOptions]:
    seen: list[LaunchOptions] = []
    monkeypatch.setattr(background, "start_daemon", lambda flags, *_: seen.append(parse_options(flags)))
    return seen


def test_the_name_of_the_program_sets_defaults(tulle: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = flags_of(monkeypatch)
    monkeypatch.setenv("WEAVE_MTU", "1400")
    monkeypatch.setenv("TULLE_MTU", "1500")
    assert tulle("launch").status == 0
    assert tulle("launch", "--plugin=false", "--proxy=false", "--no-restart", personality=WEAVE).status == 0
    assert [(o.bridge, o.interface, o.dns_domain, o.mtu) for o in seen] == [
        ("tulle", "tulle0", "tulle.internal.", 1500),
        ("weave", "ethwe", "weave.local.", 1400),
    ]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["-H", "tcp://127.0.0.1:2376"], (True, "/c", "/k")),
        (["-H=127.0.0.1:2376"], (True, "/c", "/k")),
        (["-H", "tcp://127.0.0.1:2376", "--no-detect-tls"], (False, "", "")),
        (["-H", "tcp://127.0.0.1:2376", "--tlscert", "/mine", "--tlskey", "/too"], (False, "/mine", "/too")),
        (["-H", "unix:///run/x.sock"], (False, "", "")),
        ([], (False, "", "")),
    ],
)
def test_the_proxy_speaks_tls_as_the_engine_does(
    tulle: Run, monkeypatch: pytest.MonkeyPatch, words: list[str], expected: tuple[bool, str, str]
) -> None:
    seen = flags_of(monkeypatch)
    engine = ["--tlsverify", "--tlscert=/c", "--tlskey=/k"]
    monkeypatch.setattr(docker_env, "engine_tls_flags", lambda: engine)
    got = tulle("launch", *words)
    assert got.status == 0
    assert [(one.tlsverify, one.tlscert, one.tlskey) for one in seen] == [expected]
    assert ("note: the proxy uses TLS" in got.err) == (expected[1] == "/c")


def test_flags_win_over_the_environment(tulle: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = flags_of(monkeypatch)
    monkeypatch.setenv("TULLE_PORT", "7000")
    monkeypatch.setenv("TULLE_NO_DNS", "true")
    monkeypatch.setenv("TULLE_NICKNAME", "")
    tulle("launch", "--port", "7010", "h2", "h3:7000", "h2")
    assert (seen[0].port, seen[0].no_dns, seen[0].peers) == (7010, True, ("h2", "h3:7000"))
    assert seen[0].nickname


def test_an_open_control_port_is_pointed_out(tulle: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    flags_of(monkeypatch)
    assert tulle("launch", "--http-addr", "127.0.0.1:6784").err == ""
    assert "controls this daemon" in tulle("launch", "--http-addr", ":6784").err


def test_every_flag_arrives(tulle: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = flags_of(monkeypatch)
    line = (
        "--trusted-subnets 10.0.0.0/8,192.168.0.0/16 --host 10.0.0.1 --port 7001 --name ::1 --nickname h1 "
        "--no-discovery --conn-limit 5 --mtu 1300 --ipalloc-init seed=::1,::2 --ipalloc-range 10.2.0.0/16 "
        "--ipalloc-default-subnet 10.2.3.0/24 --dns-domain Example.COM --dns-listen-address 10.0.0.1:5353 "
        "--dns-ttl 30 --dns-fallback-timeout 500ms --resolv-conf /x --http-addr 127.0.0.1:1 --status-addr :2 "
        "--metrics-addr /run/m.sock --bridge br --interface eth9 --log-level DEBUG"
    )
    got = tulle("launch", *line.split())
    assert (got.status, got.err) == (0, "")
    expected = parse_options(
        dict(
            zip(
                [word[2:].replace("-", "_") for word in line.split() if word.startswith("--")],
                line.replace("--no-discovery ", "--no-discovery true ").split()[1::2],
                strict=True,
            )
        )
    )
    assert seen[0].ipalloc_init == expected.ipalloc_init
    assert seen[0].http_addr == expected.http_addr
    assert {
        name: getattr(seen[0], name)
        for name in LaunchOptions.__slots__
        if name not in ("socket", "state_dir")
    } == {
        name: getattr(expected, name)
        for name in LaunchOptions.__slots__
        if name not in ("socket", "state_dir")
    }


WRONG = [
    ("--port 0", "--port: '0' is not a port"),
    ("--port 65535", "--port: '65535' is not a port"),
    ("--port x", "--port: 'x' is not a port"),
    ("--conn-limit -1", "--conn-limit: '-1' is not a number of connections"),
    ("--conn-limit 10001", "--conn-limit: "),
    ("--mtu 575", "--mtu: '575' is not an MTU"),
    ("--mtu 65486", "--mtu: "),
    ("--name 1:2:3", "--name: '1:2:3' is not a peer name"),
    ("--name 00:00:00:00:00:00", "must not be all zero"),
    ("--nickname=", "--nickname: '' is not a nickname"),
    ("--password=", "--password: the password is empty"),
    ("--host h1", "--host: 'h1' is not an IPv4 address"),
    ("--trusted-subnets 10.0.0.1/8", "--trusted-subnets: '10.0.0.1/8' is an address inside a subnet"),
    ("--ipalloc-init nobody", "--ipalloc-init: 'nobody' is not a way to start"),
    ("--ipalloc-init consensus=0", "--ipalloc-init: '0' is not a number of peers"),
    ("--ipalloc-init seed=", "--ipalloc-init: "),
    ("--ipalloc-init seed=::1,::1", "names a peer twice"),
    ("--ipalloc-init observer=1", "--ipalloc-init: "),
    ("--ipalloc-range 10.0.0.0/7", "--ipalloc-range: '10.0.0.0/7' is"),
    ("--ipalloc-range 10.0.0.0/30", "is too small"),
    ("--ipalloc-range 0.0.0.0/4", "is too large"),
    ("--ipalloc-range 10.32.0.1/12", "did you mean 10.32.0.0/12?"),
    ("--ipalloc-range 224.0.0.0/8", "addresses that hosts cannot have"),
    ("--ipalloc-default-subnet 10.0.0.0/24", "is not inside the range 10.32.0.0/12"),
    ("--ipalloc-default-subnet 10.32.0.0/31", "has no room for containers"),
    ("--ipalloc-range= --ipalloc-init observer", "turned address allocation off"),
    ("--ipalloc-range= --ipalloc-default-subnet 10.32.0.0/24", "turned address allocation off"),
    ("--dns-domain a..b", "--dns-domain: 'a..b' is not a domain"),
    ("--dns-listen-address h1", "--dns-listen-address: 'h1' is not an address to listen on"),
    ("--dns-listen-address 10.0.0.1:70000", "is not an address to listen on"),
    ("--no-dns --dns-listen-address 10.0.0.1", "--no-dns turned the DNS server off"),
    ("--dns-ttl -1", "--dns-ttl: "),
    ("--dns-fallback-timeout 0", "--dns-fallback-timeout: '0' is not a time from 0.1s to 60s"),
    ("--dns-fallback-timeout 2h", "is not a time"),
    ("--resolv-conf=", "a path must not be empty"),
    ("--http-addr 6784", "--http-addr: '6784' is not an address to listen on"),
    ("--http-addr 127.0.0.1:0", "is not an address to listen on"),
    ("--http-addr :6783", "is taken by --port"),
    ("--http-addr :80 --metrics-addr 127.0.0.1:80", "--metrics-addr: 127.0.0.1:80 is taken by --http-addr"),
    (f"--status-addr /{'x' * 110}", "--status-addr: the socket path"),
    ("--bridge too-long-name", "--bridge: 'too-long-name' is not an interface name"),
    ("--interface a/b", "--interface: 'a/b' is not an interface name"),
    ("--log-level loud", "--log-level: 'loud' is not a log level"),
    ("--resume h2", "--resume: it takes the peers of the last run"),
    ("h2:0", "PEER: 'h2:0' is not a peer"),
    ("--plugin=maybe", "'maybe' is not a valid boolean"),
    ("--hostname-match=(", "--hostname-match: '(' is not a regular expression"),
    ("--proxy-listen nowhere", "--proxy-listen: 'nowhere' is not an address"),
    (f"--socket /{'x' * 110}", "is too long"),
    ("--state-dir=", "must not be empty"),
]


@pytest.mark.parametrize(("line", "words"), WRONG, ids=[row[0][:50] for row in WRONG])
def test_wrong_flags(tulle: Run, tmp_path: Path, line: str, words: str) -> None:
    got = tulle("launch", *line.split())
    err = "".join(row for row in got.err.splitlines(keepends=True) if not row.startswith("note: "))
    assert (got.status, got.out) == (2, "")
    assert words in err
    assert err.count("\n") == 1
    assert not (tmp_path / "state").exists()


def test_a_wrong_variable_is_called_by_its_name(tulle: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TULLE_PORT", "none")
    assert tulle("launch").err.startswith("tulle launch: TULLE_PORT: 'none' is not a port")


def test_in_the_foreground_the_process_becomes_the_daemon(tmp_path: Path) -> None:
    """The process that was started is the one that answers, and its arguments hold no password."""
    program = (
        "import sys; from tulle.cli import background, main\n"
        f"background.arguments = lambda socket: [sys.executable, {str(FAKE)!r}, socket]\n"
        "sys.argv[0] = 'tulle'; main.main()"
    )
    words = ["launch", "--foreground", "--password", "wabbit"]
    child = subprocess.Popen([sys.executable, "-c", program, *words], stderr=subprocess.PIPE, text=True)
    assert child.stderr is not None
    with child, child.stderr:
        assert "--password-file" in child.stderr.readline()
        seen = json.loads(child.stderr.readline())
        assert seen == {"password": "wabbit", "secret": False, "background": False}
        client = Client(str(tmp_path / "tulle.sock"))
        while client.pid() is None:
            time.sleep(0.01)
        assert client.pid() == child.pid
        assert b"wabbit" not in Path(f"/proc/{child.pid}/cmdline").read_bytes()
        client.post("stop")
        assert child.wait() == 0
