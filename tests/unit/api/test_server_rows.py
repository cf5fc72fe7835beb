"""Every row of the API once: what the daemon is asked, and what the client gets."""

import json
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any

import pytest

from api.conftest import Ask
from api.fake_daemon import SUBNET, FakeDaemon
from tulle.api.addresses import AutoAddress, ManualAddress
from tulle.api.containers import EXTERNAL, ContainerRef
from tulle.api.daemon import AttachRequest, DetachRequest, ExposeRequest, NameRequest

WEB = ContainerRef("netns:web", "/run/netns/web", "web")
ONE = IPv4Address("10.32.0.1")
SMALL = IPv4Network("10.33.0.0/24")

TEXT_ROWS: list[tuple[str, str, tuple[Any, ...] | None, int, str]] = [
    ("GET", "/ring", ("prime",), 200, ""),
    ("POST", "/ip/c1", ("allocate", "c1", SUBNET, False), 200, "10.32.0.1/12"),
    ("POST", "/ip/c1?check-alive=true", ("allocate", "c1", SUBNET, True), 200, "10.32.0.1/12"),
    ("POST", "/ip/c1/10.33.0.0/24", ("allocate", "c1", SMALL, False), 200, "10.32.0.1/12"),
    ("POST", "/ip/netns:%2Fx%2Fy", ("allocate", "netns:/x/y", SUBNET, False), 200, "10.32.0.1/12"),
    ("GET", "/ip/c1", ("lookup", "c1", SUBNET), 200, "10.32.0.1/12"),
    ("GET", "/ip/c1/10.33.0.0/24", ("lookup", "c1", SMALL), 200, "10.32.0.1/12"),
    ("PUT", "/ip/c1/10.32.0.9/12", ("claim", "c1", IPv4Interface("10.32.0.9/12"), False, False), 204, ""),
    (
        "PUT",
        "/ip/c1/10.32.0.9/12?check-alive=true&noErrorOnUnknown=true",
        ("claim", "c1", IPv4Interface("10.32.0.9/12"), True, True),
        204,
        "",
    ),
    ("DELETE", "/ip/c1", ("release", "c1", None), 204, ""),
    ("DELETE", "/ip/c1/10.32.0.1", ("release", "c1", ONE), 204, ""),
    ("GET", "/ipinfo/defaultsubnet", None, 200, "10.32.0.0/12"),
    ("GET", "/ipinfo/tracker", None, 200, ""),
    (
        "PUT",
        "/name/c1/10.32.0.1?fqdn=web.weave.local",
        ("dns_add", NameRequest("c1", "web.weave.local", (ONE,))),
        204,
        "",
    ),
    ("PUT", "/name/c1/10.32.0.1?fqdn=web.example.com", None, 200, ""),
    ("DELETE", "/name", ("dns_remove", NameRequest(None, None)), 204, ""),
    ("DELETE", "/name/c1", ("dns_remove", NameRequest("c1", None)), 204, ""),
    (
        "DELETE",
        "/name/c1/10.32.0.1?fqdn=web.weave.local.",
        ("dns_remove", NameRequest("c1", "web.weave.local.", (ONE,))),
        204,
        "",
    ),
    ("GET", "/domain", None, 200, "weave.local."),
    ("GET", "/dns-address", None, 200, "10.99.0.2"),
    ("GET", "/proxyaddrs", None, 200, "unix:///run/tulle/proxy.sock\ntcp://0.0.0.0:12375"),
    ("GET", "/dns-address-port", None, 200, "10.99.0.2:53"),
    ("POST", "/connect?peer=h2&peer=10.0.0.3:7000", ("connect", ["h2", "10.0.0.3:7000"], False), 200, ""),
    ("POST", "/connect?replace=true", ("connect", [], True), 200, ""),
    ("POST", "/forget?peer=h2", ("forget", ["h2"]), 200, ""),
    ("DELETE", "/peer", ("leave", False), 204, ""),
    ("DELETE", "/peer/h3", ("takeover", "h3", False), 200, "262143 IPs taken over from h3\n"),
    (
        "DELETE",
        "/peer/partly?force=true",
        ("takeover", "partly", True),
        200,
        "262143 IPs taken over from partly\n"
        "could not be asked what they know of partly: 02:00:00:00:00:09(h9)\n",
    ),
    (
        "POST",
        "/expose/10.2.1.9/24?skipNAT=true",
        ("expose", ExposeRequest((ManualAddress(IPv4Interface("10.2.1.9/24")),), None, True)),
        204,
        "",
    ),
    ("POST", "/stop", ("stop",), 204, ""),
    ("POST", "/reset", ("reset", False), 204, ""),
    ("POST", "/reset?force=true", ("reset", True), 204, ""),
]


@pytest.mark.parametrize(
    ("method", "path", "call", "status", "answer"), TEXT_ROWS, ids=[f"{row[0]} {row[1]}" for row in TEXT_ROWS]
)
async def test_text_rows(
    ask: Ask,
    daemon: FakeDaemon,
    method: str,
    path: str,
    call: tuple[Any, ...] | None,
    status: int,
    answer: str,
) -> None:
    from yarl import URL

    got = await ask(method, URL(path, encoded=True))
    assert (got.status, got.text) == (status, answer)
    assert daemon.calls == ([] if call is None else [call])


MANUAL = ManualAddress(IPv4Interface("10.2.1.1/24"))
JSON_ROWS: list[tuple[str, dict[str, Any], tuple[Any, ...], Any]] = [
    ("/attach", {"container": "netns:web"}, ("attach", AttachRequest(WEB)), {"addresses": ["10.32.0.1/12"]}),
    (
        "/attach",
        {
            "container": "/run/netns/web",
            "addresses": ["net:default", "10.2.1.1/24", "ip:10.2.1.1/24"],
            "hostname": "www",
            "without_dns": True,
            "rewrite_hosts": True,
            "no_multicast_route": True,
            "extra_hosts": ["db:10.9.0.1"],
        },
        (
            "attach",
            AttachRequest(
                WEB, (AutoAddress(), MANUAL), "www", True, True, True, (("db", IPv4Address("10.9.0.1")),)
            ),
        ),
        {"addresses": ["10.32.0.1/12"]},
    ),
    (
        "/detach",
        {"container": "pid:12", "addresses": ["net:10.33.0.0/24"]},
        ("detach", DetachRequest(ContainerRef("pid:12", "/proc/12/ns/net", None), (AutoAddress(SMALL),))),
        {"addresses": ["10.32.0.1/12"]},
    ),
    ("/expose", {}, ("expose", ExposeRequest()), {"addresses": ["10.32.0.1/12"]}),
    (
        "/expose",
        {"addresses": ["ip:10.2.1.1/24"], "hostname": "gw.weave.local", "without_masquerade": True},
        ("expose", ExposeRequest((MANUAL,), "gw.weave.local", True)),
        {"addresses": ["10.32.0.1/12"]},
    ),
    ("/hide", {"addresses": ["ip:10.2.1.1/24"]}, ("hide", (MANUAL,)), {"addresses": ["10.32.0.1/12"]}),
    (
        "/dns/add",
        {"container": "netns:web"},
        ("dns_add", NameRequest("netns:web", None)),
        None,
    ),
    (
        "/dns/add",
        {"hostname": "ext", "addresses": ["10.32.0.1"]},
        ("dns_add", NameRequest(EXTERNAL, "ext", (ONE,))),
        None,
    ),
    (
        "/dns/remove",
        {"hostname": "ext.weave.local"},
        ("dns_remove", NameRequest(EXTERNAL, "ext.weave.local")),
        {"removed": 2},
    ),
]


@pytest.mark.parametrize(("path", "body", "call", "answer"), JSON_ROWS)
async def test_json_rows(
    ask: Ask, daemon: FakeDaemon, path: str, body: dict[str, Any], call: tuple[Any, ...], answer: Any
) -> None:
    got = await ask("POST", path, json=body)
    assert daemon.calls == [call]
    assert got.status == (204 if answer is None else 200)
    assert (json.loads(got.text) if got.text else None) == answer


async def test_targets_may_come_in_a_form(ask: Ask, daemon: FakeDaemon) -> None:
    got = await ask("POST", "/connect", data=[("peer", "h2"), ("peer", "h3"), ("replace", "true")])
    assert got.status == 200
    assert daemon.calls == [("connect", ["h2", "h3"], True)]


async def test_everything_held_is_listed(ask: Ask) -> None:
    got = await ask("GET", "/ip")
    assert json.loads(got.text) == {
        "owned": [
            {"containerid": "netns:web", "addrs": ["10.32.0.1/12"]},
            {"containerid": "c2", "addrs": []},
        ]
    }


async def test_names_are_dumped(ask: Ask) -> None:
    got = await ask("GET", "/name", headers={"Accept": "application/json"})
    assert [entry["Hostname"] for entry in json.loads(got.text)] == [
        "DB.weave.local.",
        "web.weave.local.",
        "web.weave.local.",
    ]


async def test_a_name_is_looked_up(ask: Ask) -> None:
    got = await ask("GET", "/dns/lookup", params={"name": "web"})
    assert json.loads(got.text) == {"addresses": ["10.32.0.1", "10.44.0.1"]}
    assert json.loads((await ask("GET", "/dns/lookup?name=nobody")).text) == {"addresses": []}


async def test_an_ident_that_holds_nothing_is_not_found(ask: Ask, daemon: FakeDaemon) -> None:
    daemon.addresses = []
    got = await ask("GET", "/ip/c1")
    assert (got.status, got.text) == (404, "c1 holds no address in 10.32.0.0/12\n")


async def test_many_addresses_stand_in_one_line(ask: Ask, daemon: FakeDaemon) -> None:
    daemon.addresses = [IPv4Interface("10.32.0.1/12"), IPv4Interface("10.32.0.2/12")]
    assert (await ask("GET", "/ip/c1")).text == "10.32.0.1/12 10.32.0.2/12"


async def test_a_name_may_come_in_the_body_as_the_script_of_weave_net_sends_it(
    ask: Ask, daemon: FakeDaemon
) -> None:
    got = await ask("PUT", "/name/c1/10.32.0.1", data={"fqdn": "web.weave.local"})
    assert got.status == 204
    assert ("dns_add", NameRequest("c1", "web.weave.local", (ONE,))) in daemon.calls
