"""The host on its own network: addresses, standing in for others, and hiding again."""

import asyncio
from collections.abc import Callable, Coroutine
from ipaddress import IPv4Interface
from typing import Any

import pytest

from lab.container import Container as Space
from lab.namespace import Namespace
from netns.support import Run, setting, shown
from tulle.host.bridge import DEFAULT_RESOLVER, Bridge
from tulle.host.container import find_container
from tulle.host.expose import Exposure
from tulle.host.firewall import Firewall
from tulle.host.rules import Exposed, FirewallConfig
from tulle.host.veth import Wiring, attach

HERE, ALSO, OTHER = (IPv4Interface(text) for text in ("10.32.0.9/12", "10.32.0.10/12", "10.99.0.9/24"))
INSIDE = IPv4Interface("10.32.0.1/12")
OUTSIDE = "192.168.7.2"

With = Callable[[Callable[[Exposure], Coroutine[Any, Any, Any]]], Any]


@pytest.fixture
def inside(run: Run, container: Space, wiring: Wiring) -> Space:
    """A container that sends what it does not know to the host."""
    run(attach(run(find_container(container.reference)), [INSIDE], wiring))
    container.ip(f"route add 192.168.7.0/24 via {HERE.ip} dev tulle0 onlink")
    return container


@pytest.fixture
def outside(host: Namespace, make_container: Callable[[], Space]) -> Space:
    """A machine beside the host, which knows nothing of the network."""
    made = make_container()
    host.ip(f"link add wire type veth peer name wire netns {made.name}")
    host.ip("link set wire up", "addr add 192.168.7.1/24 dev wire")
    made.ip("link set wire up", f"addr add {OUTSIDE}/24 dev wire")
    return made


@pytest.fixture
def exposing(run: Run, bridge: Bridge) -> With:
    """Does something with an Exposure as a daemon would have it, each time a new one."""

    def exposing(work: Callable[[Exposure], Coroutine[Any, Any, Any]]) -> Any:
        async def scenario() -> Any:
            firewall = Firewall(FirewallConfig("tulle", resolver=DEFAULT_RESOLVER))
            await firewall.start()
            exposure = Exposure(bridge, firewall)
            await exposure.start()
            try:
                return await work(exposure)
            finally:
                exposure.stop()
                await firewall.stop()

        return run(scenario())

    return exposing


def test_an_exposed_host_reaches_containers_and_they_it(
    host: Namespace, inside: Space, exposing: With
) -> None:
    exposing(lambda exposure: exposure.expose(HERE))
    assert inside.pings(HERE.ip)
    assert host.run("ping", "-c1", "-W1", str(INSIDE.ip)).returncode == 0


def test_containers_reach_others_in_the_hosts_name(inside: Space, outside: Space, exposing: With) -> None:
    assert not inside.pings(OUTSIDE, wait=1)
    exposing(lambda exposure: exposure.expose(HERE))
    assert inside.pings(OUTSIDE)


def test_others_reach_containers_through_the_host(inside: Space, outside: Space, exposing: With) -> None:
    """The container has no way back to them, so the host stands in."""
    inside.ip("route del 192.168.7.0/24")
    outside.ip("route add 10.32.0.0/12 via 192.168.7.1")
    exposing(lambda exposure: exposure.expose(HERE))
    assert outside.pings(INSIDE.ip)


def test_without_masquerade_sources_are_kept(inside: Space, outside: Space, exposing: With) -> None:
    exposing(lambda exposure: exposure.expose(HERE, masquerade=False))
    assert not inside.pings(OUTSIDE, wait=1)
    outside.ip("route add 10.32.0.0/12 via 192.168.7.1")
    assert inside.pings(OUTSIDE)


def test_traffic_among_containers_keeps_its_source(
    host: Namespace,
    run: Run,
    wiring: Wiring,
    inside: Space,
    make_container: Callable[[], Space],
    exposing: With,
) -> None:
    exposing(lambda exposure: exposure.expose(HERE))
    other = make_container()
    run(attach(run(find_container(other.reference)), [IPv4Interface("10.32.0.2/12")], wiring))
    with other.socket() as listening, inside.socket() as sending:
        listening.bind(("10.32.0.2", 5000))
        sending.sendto(b"hello", ("10.32.0.2", 5000))
        assert listening.recvfrom(100)[1][0] == str(INSIDE.ip)


def test_what_is_exposed_is_listed_also_by_the_next_daemon(
    host: Namespace, exposing: With, inside: Space, outside: Space
) -> None:
    async def expose(exposure: Exposure) -> None:
        await exposure.expose(OTHER, masquerade=False)
        await exposure.expose(HERE)
        await exposure.expose(ALSO)

    async def listed(exposure: Exposure) -> list[Exposed]:
        return await exposure.exposed()

    exposing(expose)
    assert exposing(listed) == [Exposed(HERE), Exposed(ALSO), Exposed(OTHER, masquerade=False)]
    assert inside.pings(OUTSIDE)


def test_exposing_again_changes_masquerading(host: Namespace, exposing: With) -> None:
    async def work(exposure: Exposure) -> list[list[Exposed]]:
        seen = []
        for masquerade in (True, True, False, True):
            await exposure.expose(HERE, masquerade)
            seen.append(await exposure.exposed())
        return seen

    assert exposing(work) == [[Exposed(HERE, masquerade)] for masquerade in (True, True, False, True)]
    assert "masquerade" in host.run("nft", "list", "ruleset").stdout


def test_hiding_one_keeps_the_others(host: Namespace, exposing: With) -> None:
    async def work(exposure: Exposure) -> list[bool]:
        for address in (HERE, ALSO, OTHER):
            await exposure.expose(address)
        return [await exposure.hide(address) for address in (HERE, HERE, OTHER)]

    assert exposing(work) == [True, False, True]
    (seen,) = shown(host, "-4", "addr", "show", "tulle")
    assert [info["local"] for info in seen["addr_info"]] == [str(DEFAULT_RESOLVER), str(ALSO.ip)]
    ruleset = host.run("nft", "list", "ruleset").stdout
    assert "from 10.32.0.0/12" in ruleset
    assert "10.99.0.0/24" not in ruleset


def test_hiding_the_last_ends_masquerading(host: Namespace, exposing: With) -> None:
    async def work(exposure: Exposure) -> None:
        await exposure.expose(HERE)
        await exposure.hide(HERE)

    exposing(work)
    assert "masquerade" not in host.run("nft", "list", "ruleset").stdout


def test_the_resolver_is_not_an_exposed_address(exposing: With) -> None:
    async def work(exposure: Exposure) -> tuple[list[Exposed], bool]:
        return await exposure.exposed(), await exposure.hide(IPv4Interface(DEFAULT_RESOLVER))

    assert exposing(work) == ([], False)


def test_the_host_forwards_from_the_first_exposure_on(host: Namespace, exposing: With) -> None:
    host.run("sysctl", "-qw", "net.ipv4.ip_forward=0")
    exposing(lambda exposure: asyncio.sleep(0))
    assert setting(host, "ipv4/ip_forward") == "0"
    exposing(lambda exposure: exposure.expose(HERE))
    assert setting(host, "ipv4/ip_forward") == "1"


def test_an_exposed_address_is_announced(inside: Space, exposing: With) -> None:
    """A container that knew the address elsewhere learns that it is here now."""
    inside.ip(f"neigh add {HERE.ip} lladdr 02:00:00:00:00:99 dev tulle0 nud stale")
    exposing(lambda exposure: exposure.expose(HERE))
    (seen,) = (one for one in shown(inside, "-4", "neigh") if one["dst"] == str(HERE.ip))
    assert seen["lladdr"] == "02:00:00:00:00:01"


def test_what_is_exposed_is_known_while_the_bridge_is_gone(host: Namespace, exposing: With) -> None:
    """Somebody removed it; the daemon makes another within seconds, and is asked for its state meanwhile."""

    async def work(exposure: Exposure) -> list[Exposed]:
        await exposure.expose(HERE)
        host.ip("link delete tulle")
        return await exposure.exposed()

    assert exposing(work) == [Exposed(HERE, True)]
