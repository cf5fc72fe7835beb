"""The host as the gateway of networks: who gets out through it, and who gets nowhere by it."""

import socket
from collections.abc import Awaitable, Callable
from contextlib import contextmanager
from ipaddress import IPv4Interface, IPv4Network
from pathlib import Path
from typing import Any

import pytest

from lab.container import Container as Space
from lab.namespace import Namespace
from netns.support import MAC, Run
from tulle.host.bridge import DEFAULT_RESOLVER, Bridge, remove_bridge
from tulle.host.container import find_container
from tulle.host.expose import Exposure
from tulle.host.firewall import Firewall
from tulle.host.routed import Gateway, Routed
from tulle.host.rules import FirewallConfig
from tulle.host.veth import Wiring, attach

RANGE, FRONT, BACK, INNER = map(IPv4Network, ("10.32.0.0/12", "10.32.0.0/16", "10.40.1.0/24", "10.40.2.0/24"))
ROUTED = Routed.of([FRONT, BACK], [INNER])
CONFIG = FirewallConfig(
    "tulle", resolver=DEFAULT_RESOLVER, gateway=Gateway("tulle", MAC, DEFAULT_RESOLVER, RANGE)
)
OUTSIDE = "192.168.7.2"
DOCKER_LIKE = """
table ip filter {
    chain DOCKER-USER { }
    chain FORWARD {
        type filter hook forward priority filter; policy drop;
        jump DOCKER-USER
        oifname "docker0" ct state related,established accept
    }
}
"""

Boxes = dict[str, Space]


@pytest.fixture
def boxes(run: Run, host: Namespace, wiring: Wiring, make_container: Callable[[], Space]) -> Boxes:
    """Containers whose way out is the host: front, back and inner; and outside, a machine beside the host."""
    made = {}
    for name, address in (("front", "10.32.0.1/16"), ("back", "10.40.1.1/24"), ("inner", "10.40.2.1/24")):
        made[name] = make_container()
        run(attach(run(find_container(made[name].reference)), [IPv4Interface(address)], wiring))
        made[name].ip(f"route replace {DEFAULT_RESOLVER} dev tulle0")
        made[name].ip(f"route add default via {DEFAULT_RESOLVER} dev tulle0")
    made["outside"] = make_container()
    host.ip(f"link add wire type veth peer name wire netns {made['outside'].name}")
    host.ip("link set wire up", "addr add 192.168.7.1/24 dev wire", f"route add default via {OUTSIDE}")
    made["outside"].ip("link set wire up", f"addr add {OUTSIDE}/24 dev wire")
    host.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
    host.nft(DOCKER_LIKE)
    return made


def serve(
    run: Run, routed: Routed = ROUTED, during: Callable[[Firewall], Awaitable[Any]] | None = None
) -> None:
    """Be the gateway, do something, and leave all in place."""

    async def scenario() -> None:
        firewall = Firewall(CONFIG, interval=600)
        await firewall.start()
        await firewall.set_routed(routed)
        if during is not None:
            await during(firewall)
        await firewall.stop()

    run(scenario())


def test_containers_get_out_in_the_hosts_name_and_nobody_gets_in(run: Run, boxes: Boxes) -> None:
    assert not boxes["front"].pings(OUTSIDE, wait=1)
    serve(run)
    with boxes["outside"].socket() as listening, boxes["front"].socket() as sending:
        listening.bind((OUTSIDE, 5000))
        sending.connect((OUTSIDE, 5000))
        sending.send(b"question")
        data, place = listening.recvfrom(100)
        assert (data, place[0]) == (b"question", "192.168.7.1")
        listening.sendto(b"answer", place)
        assert sending.recv(100) == b"answer"
    assert boxes["back"].pings(OUTSIDE)
    boxes["outside"].ip("route add 10.32.0.0/12 via 192.168.7.1")
    assert not boxes["outside"].pings("10.32.0.1", wait=1)


def test_a_network_without_a_way_out_has_none(run: Run, boxes: Boxes) -> None:
    """Not even where it is a part of another."""
    serve(run, Routed.of([RANGE], [INNER]))
    assert boxes["front"].pings(OUTSIDE)
    assert not boxes["inner"].pings(OUTSIDE, wait=1)


@pytest.mark.parametrize("mode", ["strict", "strict, by marks too"])
def test_where_sources_are_checked_strictly(host: Namespace, run: Run, boxes: Boxes, mode: str) -> None:
    host.run("sysctl", "-qw", "net.ipv4.conf.all.rp_filter=1")
    if mode != "strict":
        host.run("sysctl", "-qw", "net.ipv4.conf.all.src_valid_mark=1")
    serve(run)
    assert boxes["front"].pings(OUTSIDE)
    assert boxes["front"].pings("192.168.7.1")
    with boxes["front"].socket() as forging:
        forging.setsockopt(socket.SOL_IP, socket.IP_TRANSPARENT, 1)
        forging.bind(("192.168.7.77", 5000))
        assert not answers(boxes["outside"], forging)


def answers(server: Namespace, sending: socket.socket) -> bool:
    """Whether what a socket sends reaches a machine."""
    with server.socket() as listening:
        listening.bind((OUTSIDE, 5000))
        listening.settimeout(0.3)
        sending.sendto(b"hello", (OUTSIDE, 5000))
        try:
            return listening.recv(100) == b"hello"
        except TimeoutError:
            return False


def test_no_way_leads_from_network_to_network(
    host: Namespace, run: Run, bridge: Bridge, boxes: Boxes
) -> None:
    serve(run)
    assert not boxes["front"].pings("10.40.1.1", wait=1)

    async def expose(firewall: Firewall) -> None:
        exposure = Exposure(bridge, firewall)
        for address in ("10.32.0.9/16", "10.40.1.9/24", "10.99.0.9/24"):
            await exposure.expose(IPv4Interface(address))

    serve(run, during=expose)
    assert boxes["front"].pings("10.32.0.9")
    assert boxes["front"].pings(OUTSIDE)
    for target in ("10.40.1.1", "10.40.2.1", "10.99.0.1"):
        assert not boxes["front"].pings(target, wait=1)
    assert not boxes["back"].pings("10.32.0.1", wait=1)


def test_the_way_around_by_somebody_else_is_none_either(run: Run, boxes: Boxes, host: Namespace) -> None:
    """A router outside may know a way to all our networks."""
    serve(run)
    boxes["outside"].ip("addr add 10.40.3.1/32 dev lo", "addr add 10.60.0.1/32 dev lo")
    assert boxes["front"].pings("10.60.0.1")
    assert not boxes["front"].pings("10.40.3.1", wait=1)


@contextmanager
def box_of_others(host: Namespace, space: Space) -> Any:
    """Another bridge of the host, and a container there, 172.17.0.2, of which the host passes port 80 on."""
    host.ip("link add docker0 type bridge", "link set docker0 up", "addr add 172.17.0.1/16 dev docker0")
    host.ip(f"link add port master docker0 type veth peer name way netns {space.name}", "link set port up")
    space.ip("link set way up", "addr add 172.17.0.2/16 dev way", "route add default via 172.17.0.1")
    yield space


def test_containers_of_others_are_reached_by_their_own_rules_only(
    host: Namespace, run: Run, bridge: Bridge, boxes: Boxes, make_container: Callable[[], Space]
) -> None:
    async def expose(firewall: Firewall) -> None:
        await Exposure(bridge, firewall).expose(IPv4Interface("10.32.0.9/16"))

    with box_of_others(host, make_container()):
        serve(run)
        assert not boxes["front"].pings("172.17.0.2", wait=1)
        serve(run, during=expose)
        assert not boxes["front"].pings("172.17.0.2", wait=1)
        assert boxes["front"].pings(OUTSIDE)
        host.nft('add rule ip filter FORWARD iifname "tulle" ip daddr 172.17.0.2 accept')
        assert boxes["front"].pings("172.17.0.2")


def test_a_bridge_may_lead_out_of_the_host(
    host: Namespace, run: Run, boxes: Boxes, make_container: Callable[[], Space]
) -> None:
    with box_of_others(host, make_container()) as router:
        host.ip("route replace default via 172.17.0.2")
        serve(run)
        router.ip("addr add 10.60.0.1/32 dev lo")
        assert boxes["front"].pings("10.60.0.1")


def test_rules_of_the_user_come_first(host: Namespace, run: Run, boxes: Boxes) -> None:
    serve(run)
    assert boxes["front"].pings(OUTSIDE)
    host.nft(f"insert rule ip filter DOCKER-USER ip daddr {OUTSIDE} drop")
    assert not boxes["front"].pings(OUTSIDE, wait=1)


def test_our_accepts_stay_behind_the_first_word_of_others(host: Namespace, run: Run, boxes: Boxes) -> None:
    """As when Docker starts again, and puts its own before everything."""
    serve(run)
    host.nft("insert rule ip filter FORWARD oifname docker0 accept")
    host.nft("insert rule ip filter FORWARD jump DOCKER-USER")
    serve(run)
    lines = host.run("nft", "list", "chain", "ip", "filter", "FORWARD").stdout.splitlines()
    rules = [line.split() for line in lines if "tulle" in line or "DOCKER-USER" in line or "docker0" in line]
    assert [" ".join(rule[:2]) for rule in rules] == [
        "jump DOCKER-USER",
        'oifname "docker0"',
        "jump DOCKER-USER",
        *['iifname "tulle"'] * 2,
        'oifname "tulle"',
        'oifname "docker0"',
    ]


def test_the_gateway_outlives_the_daemon_its_bridge_and_a_flush(
    host: Namespace, run: Run, boxes: Boxes
) -> None:
    serve(run)

    async def look(firewall: Firewall) -> None:
        host.nft("flush ruleset")
        host.nft(DOCKER_LIKE)
        assert not await firewall.check()

    async def next_life() -> None:
        firewall = Firewall(CONFIG, interval=600)
        await firewall.start()
        assert await firewall.check()
        await look(firewall)
        await firewall.stop()

    run(next_life())
    assert boxes["front"].pings(OUTSIDE)
    serve(run, Routed())
    assert not boxes["front"].pings(OUTSIDE, wait=1)
    assert "masquerade" not in host.run("nft", "list", "ruleset").stdout


def test_packets_that_are_too_big_for_the_way_out_come_back(host: Namespace, run: Run, boxes: Boxes) -> None:
    serve(run)
    host.ip("link set wire mtu 1000")
    ping = ("ping", "-M", "do", "-c1", "-W1", "-s", "1200", OUTSIDE)
    said = boxes["front"].run(*ping, check=False).stdout
    assert "mtu = 1000" in said or "mtu=1000" in said


def test_what_the_bridge_passes_on_is_not_kept_track_of(
    host: Namespace, run: Run, boxes: Boxes, wiring: Wiring, make_container: Callable[[], Space]
) -> None:
    shown_to_ip = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
    if not shown_to_ip.exists():
        pytest.skip("this kernel lacks br_netfilter, so bridged packets are never shown to the IP layer")
    host.inside(lambda: shown_to_ip.write_text("1"))
    other = make_container()
    run(attach(run(find_container(other.reference)), [IPv4Interface("10.32.0.2/16")], wiring))
    serve(run)
    counting = 'add rule ip filter DOCKER-USER iifname "tulle" oifname "tulle" ct state'
    for state in ("untracked", "new"):
        host.nft(f"{counting} {state} counter")
    assert other.pings("10.32.0.1")
    assert boxes["front"].pings(OUTSIDE)
    lines = host.run("nft", "list", "chain", "ip", "filter", "DOCKER-USER").stdout.splitlines()
    counted = {line.split()[6]: int(line.split()[9]) for line in lines if "ct state" in line}
    assert counted == {"untracked": 2, "new": 0}


def test_nothing_of_it_stays(host: Namespace, run: Run, boxes: Boxes) -> None:
    serve(run)

    async def remove(firewall: Firewall) -> None:
        await firewall.remove()

    serve(run, during=remove)
    run(remove_bridge("tulle"))
    assert "fwmark" not in host.run("ip", "rule").stdout
    assert "tulle" not in host.run("nft", "list", "ruleset").stdout
