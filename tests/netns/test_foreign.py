"""Forward chains of others that drop by default, as a container engine sets them up."""

import asyncio
import shutil
from collections.abc import Callable
from ipaddress import IPv4Interface
from pathlib import Path

import pytest

from lab import wait_until
from lab.container import Container as Space
from lab.namespace import Namespace
from netns.support import Run
from tulle.host.bridge import DEFAULT_RESOLVER, Bridge
from tulle.host.container import find_container
from tulle.host.expose import Exposure
from tulle.host.firewall import Firewall
from tulle.host.rules import FirewallConfig
from tulle.host.veth import Wiring, attach

CONFIG = FirewallConfig("tulle", resolver=DEFAULT_RESOLVER)
HERE = IPv4Interface("10.32.0.9/12")
DOCKER_LIKE = """
table ip filter {
    chain FORWARD { type filter hook forward priority filter; policy drop; }
    chain INPUT { type filter hook input priority filter; policy accept; }
}
"""


@pytest.fixture
def pair(run: Run, wiring: Wiring, make_container: Callable[[], Space]) -> list[Space]:
    """10.32.0.1 and 10.32.0.2 on one bridge."""
    made = [make_container(), make_container()]
    for number, space in enumerate(made, 1):
        target = run(find_container(space.reference))
        run(attach(target, [IPv4Interface(f"10.32.0.{number}/12")], wiring))
    return made


def with_firewall(run: Run, *exposed: IPv4Interface, bridge: Bridge | None = None) -> None:
    async def scenario() -> None:
        firewall = Firewall(CONFIG)
        await firewall.start()
        for address in exposed:
            assert bridge
            await Exposure(bridge, firewall).expose(address)
        await firewall.stop()

    run(scenario())


def forward_chain(host: Namespace) -> str:
    return host.run("nft", "list", "chain", "ip", "filter", "FORWARD").stdout


def test_containers_reach_each_other_where_the_ip_layer_sees_the_bridge(
    host: Namespace, run: Run, pair: list[Space]
) -> None:
    setting = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
    if not setting.exists():
        pytest.skip("this kernel lacks br_netfilter, so bridged packets pass nobody's forward chain")
    host.inside(lambda: setting.write_text("1"))
    host.nft(DOCKER_LIKE)
    assert not pair[0].pings("10.32.0.2", wait=1)
    with_firewall(run)
    assert pair[0].pings("10.32.0.2")


def test_the_exposing_host_forwards(
    host: Namespace, run: Run, bridge: Bridge, pair: list[Space], make_container: Callable[[], Space]
) -> None:
    outside = make_container()
    host.ip(f"link add wire type veth peer name wire netns {outside.name}")
    host.ip("link set wire up", "addr add 192.168.7.1/24 dev wire")
    outside.ip("link set wire up", "addr add 192.168.7.2/24 dev wire")
    outside.ip("route add 10.32.0.0/12 via 192.168.7.1")
    pair[0].ip(f"route add 192.168.7.0/24 via {HERE.ip} dev tulle0")
    host.nft(DOCKER_LIKE)
    with_firewall(run, HERE, bridge=bridge)
    assert pair[0].pings("192.168.7.2")
    assert outside.pings("10.32.0.1")


def test_accepts_are_made_once_and_follow_what_is_exposed(host: Namespace, run: Run, bridge: Bridge) -> None:
    async def hide() -> None:
        firewall = Firewall(CONFIG)
        await firewall.start()
        exposure = Exposure(bridge, firewall)
        await exposure.start()
        await exposure.hide(HERE)
        exposure.stop()
        await firewall.stop()

    host.nft(DOCKER_LIKE)
    for _ in range(2):
        with_firewall(run, HERE, bridge=bridge)
        listed = forward_chain(host)
        for comment in ("within tulle", "out of tulle", "into 10.32.0.0/12"):
            assert listed.count(comment) == 1
    run(hide())
    assert "within tulle" in forward_chain(host)
    assert "out of tulle" not in forward_chain(host)


def test_removal_takes_them_out(host: Namespace, run: Run) -> None:
    async def scenario() -> None:
        firewall = Firewall(CONFIG)
        await firewall.start()
        assert "tulle" in forward_chain(host)
        await firewall.remove()

    host.nft(DOCKER_LIKE)
    run(scenario())
    assert "tulle" not in host.run("nft", "list", "ruleset").stdout


def test_a_chain_that_begins_to_drop_later_is_noticed(host: Namespace, run: Run) -> None:
    async def scenario() -> None:
        firewall = Firewall(CONFIG, interval=600)
        await firewall.start()
        host.nft(DOCKER_LIKE)
        await asyncio.to_thread(wait_until, lambda: "within tulle" in forward_chain(host))
        await firewall.stop()

    run(scenario())


def test_chains_that_drop_nothing_are_left_alone(host: Namespace, run: Run) -> None:
    host.nft(DOCKER_LIKE.replace("policy drop", "policy accept"))
    before = host.run("nft", "list", "table", "ip", "filter").stdout
    with_firewall(run)
    assert host.run("nft", "list", "table", "ip", "filter").stdout == before


def test_the_old_iptables_is_no_obstacle_either(host: Namespace, run: Run, pair: list[Space]) -> None:
    setting = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
    if not setting.exists() or shutil.which("iptables-legacy") is None:
        pytest.skip("no br_netfilter or no iptables-legacy here")
    host.inside(lambda: setting.write_text("1"))
    host.run("iptables-legacy", "-P", "FORWARD", "DROP")
    assert not pair[0].pings("10.32.0.2", wait=1)
    with_firewall(run)
    assert pair[0].pings("10.32.0.2")
    before = host.run("iptables-legacy", "-S", "FORWARD").stdout
    assert "tulle: within tulle" in before
    with_firewall(run)
    assert host.run("iptables-legacy", "-S", "FORWARD").stdout == before
    run(Firewall(CONFIG).remove())
    assert host.run("iptables-legacy", "-S", "FORWARD").stdout == "-P FORWARD DROP\n"


def test_where_the_old_iptables_was_never_used_it_stays_so(host: Namespace, run: Run, bridge: Bridge) -> None:
    tables = Path("/proc/thread-self/net/ip_tables_names")
    if not host.inside(tables.exists):
        pytest.skip("this kernel has no old iptables")
    with_firewall(run)
    assert "filter" not in host.inside(tables.read_text)
