"""Hosts behind routers of every kind, of which none can be reached from outside, and one host that can.

Each was launched with the address of that one host and nothing else.
"""

import itertools
import socket
import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any

import pytest

from lab import Container, Host, Lab, PingStream, wait_until
from lab.nat import Kind, Nat, move

pytestmark = pytest.mark.timeout(300)
"""Eight daemons take their time to start where other things run as well."""

PATIENCE = 60
PINGS = 200
"""Many more than what else passes the open host in that time: other hosts' ARP."""
PINGS_A_MOMENT = 20
"""A ping stream sends so many in a second."""
PASSWORD = "of all sites"

HOPELESS = [
    {"sym1", "sym2"},
    {"sym1", "home"},
    {"sym1", "home2"},
    {"sym1", "deep"},
    {"sym2", "home"},
    {"sym2", "home2"},
    {"sym2", "deep"},
]
"""Pairs for which no theory knows a direct way: one end is symmetric, and the other one not more open than
port-restricted."""


@dataclass
class Sites:
    """The hosts by name, their routers, and a container on each host."""

    lab: Lab
    routers: dict[str, Nat]
    hosts: dict[str, Host]
    boxes: dict[str, Container]
    addresses: dict[str, IPv4Interface]

    def ping(self, one: str, other: str) -> bool:
        return self.boxes[one].pings(self.addresses[other].ip)

    def talk(self, one: str, other: str) -> int:
        """Many pings in quick succession; how many frames for others the open host passes on meanwhile."""
        before = self.relayed()
        command = ("ping", "-n", "-q", "-c", PINGS, "-i", "0.005", self.addresses[other].ip)
        self.boxes[one].run(*map(str, command), timeout=PATIENCE)
        return self.relayed() - before

    def pairs(self) -> list[tuple[str, str]]:
        return list(itertools.combinations(sorted(self.hosts), 2))

    def way(self, one: str, other: str) -> str:
        """How one host sees its way to the other: "linked", or the state of the shortcut; "" if none."""
        router = self.hosts[one].report()["Router"]
        if any(link["state"] == "established" and f"({other})" in link["info"] for link in _lower(router)):
            return "linked"
        states = [shortcut["State"] for shortcut in router["Shortcuts"] if shortcut["NickName"] == other]
        return str(states[0]) if states else ""

    def relayed(self) -> int:
        """Frames for others that the open host has passed on."""
        return int(self.hosts["hub"].report()["Router"]["Counters"]["relayed"])

    def stream(self, one: str, other: str) -> PingStream:
        log = Path(self.lab.directory) / f"ping-{one}-{other}"
        return self.boxes[one].ping_stream(self.addresses[other].ip, log)


def _lower(router: Any) -> list[dict[str, str]]:
    return [{key.lower(): value for key, value in link.items()} for link in router["Connections"]]


def build(lab: Lab) -> Sites:
    """Routers of every kind, a host behind each, two behind one of them, and one behind two routers."""
    kinds = {
        "home": Kind.PORT_RESTRICTED,
        "sym1": Kind.SYMMETRIC,
        "sym2": Kind.SYMMETRIC,
        "cone": Kind.FULL_CONE,
        "mild": Kind.RESTRICTED,
        "outer": Kind.PORT_RESTRICTED,
    }
    routers = {name: Nat(lab, name, number, kind) for number, (name, kind) in enumerate(kinds.items(), 1)}
    routers["deep"] = Nat(lab, "deep", 7, Kind.FULL_CONE, upstream=routers["outer"])
    hosts = {"hub": lab.host("hub")}
    hosts |= {name: router.host(name) for name, router in routers.items() if name != "outer"}
    hosts["home2"] = routers["home"].host("home2")
    return Sites(lab, routers, hosts, {}, {})


@pytest.fixture(scope="module")
def lab() -> Generator[Lab]:
    """One for all tests here."""
    with Lab() as made:
        yield made


@pytest.fixture(scope="module")
def sites(lab: Lab) -> Sites:
    made = build(lab)
    hub, *others = made.hosts.values()
    hub.launch("--password", PASSWORD)
    for some in (others[:4], others[4:]):
        for host in some:
            host.begin_launch("--password", PASSWORD, hub)
        for host in some:
            host.wait_ready()
    made.boxes |= {name: host.container("box") for name, host in made.hosts.items()}
    with ThreadPoolExecutor(4) as pool:
        attached = pool.map(lambda name: made.hosts[name].attach(made.boxes[name]), made.hosts)
        made.addresses |= dict(zip(made.hosts, attached, strict=True))
    return made


def test_all_pairs_talk(sites: Sites) -> None:
    for one, other in sites.pairs():
        wait_until(lambda pair=(one, other): sites.ping(*pair), PATIENCE, f"{one} reaches {other}")


def test_directly_where_theory_allows_and_over_the_open_host_where_not(sites: Sites) -> None:
    for one, other in sites.pairs():
        if {one, other} not in HOPELESS:
            wait_until(
                lambda pair=(one, other): sites.way(*pair) in ("linked", "direct"),
                PATIENCE,
                f"{one} and {other} meet",
            )
    for one, other in map(sorted, HOPELESS):
        wait_until(lambda pair=(one, other): sites.way(*pair), PATIENCE, f"{one} has tried to meet {other}")
        assert sites.way(one, other) in ("relayed", "trying")


def test_hosts_in_one_network_make_a_link_of_their_own(sites: Sites) -> None:
    wait_until(lambda: sites.way("home", "home2") == "linked", PATIENCE, "home and home2 are linked")


@pytest.mark.parametrize("pair", [("home", "deep"), ("cone", "sym1"), ("mild", "sym2")])
def test_direct_frames_do_not_pass_the_open_host(sites: Sites, pair: tuple[str, str]) -> None:
    assert sites.talk(*pair) < PINGS


def test_the_frames_of_hopeless_pairs_do(sites: Sites) -> None:
    """On a busy machine several wait together, and travel in one."""
    assert sites.talk("sym1", "sym2") >= PINGS


def test_people_see_how_each_peer_is_reached(sites: Sites) -> None:
    lines = sites.hosts["sym1"].view("connections").splitlines()
    direct = next(line for line in lines if "(cone)" in line)
    relayed = next(line for line in lines if "(sym2)" in line)
    assert direct.startswith("~> 10.99.0.104:")
    assert " direct " in direct
    assert " encrypted " in direct
    assert relayed.startswith("~> -")
    assert "over hub" in relayed
    assert not any(line.startswith("->") and "10.99.0.1:" not in line for line in lines)
    assert "(cone)" in sites.hosts["sym1"].view("peers")


def test_a_mapping_that_changes_under_way(sites: Sites) -> None:
    """The routers of both ends of one path, one after the other."""
    with Echo(sites, "home", "cone") as echo:
        for name in ("cone", "home"):
            sites.routers[name].remap()
            echo.exchange()
        wait_until(lambda: sites.way("home", "cone") == "direct", PATIENCE, "a direct path again")


def test_a_router_that_forgets_everything(sites: Sites) -> None:
    with Echo(sites, "sym1", "mild") as echo:
        sites.routers["sym1"].flush()
        echo.exchange()
        wait_until(lambda: sites.way("sym1", "mild") == "direct", PATIENCE, "a direct path again")


def test_direct_paths_need_nobody_else(sites: Sites) -> None:
    """The daemon of the only host that all others know is killed, and comes back."""
    hub, stream = sites.hosts["hub"], sites.stream("home", "cone")
    hub.kill()
    for _ in range(2):
        before = stream.answers
        wait_until(lambda so_far=before: stream.answers > so_far + PINGS_A_MOMENT, PATIENCE, "pings go on")
        if hub.process is None:
            hub.relaunch()
    sent, answered = stream.stop()
    assert sent - answered <= PINGS_A_MOMENT
    wait_until(lambda: sites.ping("sym1", "sym2"), PATIENCE, "the relay relays again")


def test_a_host_that_moves_to_another_network(sites: Sites) -> None:
    host = sites.hosts["home2"]
    with Echo(sites, "home2", "hub") as to_hub, Echo(sites, "home2", "cone") as to_cone:
        move(host, sites.routers["mild"], sites.routers["home"])
        to_hub.exchange()
        to_cone.exchange()
    wait_until(lambda: sites.way("home2", "mild") == "linked", PATIENCE, "a link in the new network")
    wait_until(lambda: sites.way("home2", "home") == "direct", PATIENCE, "a shortcut to the old one")
    assert "192.168.1." not in "".join(
        line for line in host.view("connections").splitlines() if " established " in line
    )


class Echo:
    """A TCP connection between containers of two hosts; what one end sends comes back."""

    def __init__(self, sites: Sites, one: str, other: str) -> None:
        address = str(sites.addresses[other].ip)
        self._server = sites.boxes[other].socket(kind=socket.SOCK_STREAM)
        self._server.bind((address, 0))
        self._server.listen()
        self._client = sites.boxes[one].socket(kind=socket.SOCK_STREAM)
        self._client.settimeout(PATIENCE)
        self._client.connect((address, self._server.getsockname()[1]))
        self._far = self._server.accept()[0]
        self._far.settimeout(2 * PATIENCE)
        self._thread = threading.Thread(target=self._answer)
        self._thread.start()
        self._number = 0

    def _answer(self) -> None:
        while data := self._far.recv(1000):
            self._far.sendall(data)

    def exchange(self) -> None:
        """Send something, and get it back on the same connection."""
        self._number += 1
        sent = f"message {self._number}".encode()
        self._client.sendall(sent)
        assert self._client.recv(1000) == sent

    def __enter__(self) -> "Echo":
        self.exchange()
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()
        self._thread.join()
        self._far.close()
        self._server.close()
