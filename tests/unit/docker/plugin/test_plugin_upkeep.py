"""What Docker forgot goes, but only when it looks unused twice; and networks are known again from Docker."""

from collections.abc import Iterator
from ipaddress import IPv4Address

import msgspec
import pytest

from tulle.api.daemon import DnsService, NameRequest
from tulle.docker.plugin.listing import Listed
from tulle.docker.plugin.upkeep import Upkeep
from tulle.errors import UserError
from tulle.host import endpoints
from tulle.host.endpoints import Found

from .conftest import Docker

ONE, TWO = "a1" * 32, "b2" * 32
BOX = "/var/run/docker/netns/0123456789ab"


@pytest.fixture
def upkeep(docker: Docker, monkeypatch: pytest.MonkeyPatch) -> Iterator[Upkeep]:
    docker.links.taken = set()  # type: ignore[attr-defined]
    joined: list[str] = []

    async def found(bridge: str) -> list[Found]:
        taken = docker.links.taken  # type: ignore[attr-defined]
        return [Found(one, 1, one.ident in taken, one.ident in joined) for one in docker.links.made.values()]

    async def join(found: Found) -> None:
        joined.append(found.endpoint.ident)

    monkeypatch.setattr(endpoints, "list_endpoints", found)
    monkeypatch.setattr(endpoints, "join_again", join)
    yield Upkeep(docker.driver, docker.ipam, docker.networks, "tulle")
    assert set(joined) >= docker.links.made.keys()


async def test_what_is_in_use_stays(docker: Docker, upkeep: Upkeep) -> None:
    pool = await docker.network("n1")
    address = (await docker.call("IpamDriver.RequestAddress", PoolID=pool))["Address"]
    await docker.endpoint("n1", ONE, address, BOX)
    docker.links.taken.add(ONE)  # type: ignore[attr-defined]
    for _ in range(3):
        await upkeep.look()
    assert ONE in docker.links.made
    assert docker.daemon.addresses == {"10.32.0.1"}


async def test_what_containers_have_is_held_again_after_the_state_was_lost(
    docker: Docker, upkeep: Upkeep
) -> None:
    address = (await docker.call("IpamDriver.RequestAddress", PoolID=await docker.network("n1")))["Address"]
    await docker.endpoint("n1", ONE, address, BOX)
    docker.links.taken.add(ONE)  # type: ignore[attr-defined]
    docker.daemon.holders.clear()
    for _ in range(3):
        await upkeep.look()
        assert docker.daemon.addresses == {"10.32.0.1"}


async def test_what_nobody_uses_goes_at_the_second_look(docker: Docker, upkeep: Upkeep) -> None:
    docker.daemon.dns = DnsService("tulle.internal.", IPv4Address("169.254.53.53"), 53)
    pool = await docker.network("n1")
    address = (await docker.call("IpamDriver.RequestAddress", PoolID=pool))["Address"]
    await docker.call("IpamDriver.RequestAddress", PoolID=pool)
    await docker.endpoint("n1", ONE, address, BOX)
    await upkeep.look()
    assert docker.daemon.addresses == {"10.32.0.1", "10.32.0.2"}
    assert len(docker.daemon.names_removed) == 2
    await upkeep.look()
    await docker.driver.stop()
    assert ONE not in docker.links.made
    assert docker.daemon.addresses == set()


async def test_one_that_is_started_during_the_look_is_said_to_be_in_use(
    docker: Docker, upkeep: Upkeep, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have lost its names: they are looked at once more then."""
    docker.daemon.dns = DnsService("tulle.internal.", IPv4Address("169.254.53.53"), 53)
    address = (await docker.call("IpamDriver.RequestAddress", PoolID=await docker.network("n1")))["Address"]
    await docker.endpoint("n1", ONE, address, BOX)

    async def start(request: NameRequest) -> int:
        docker.links.taken.add(ONE)  # type: ignore[attr-defined]
        return 0

    assert await upkeep.look() == []
    monkeypatch.setattr(docker.daemon, "dns_remove", start)
    assert await upkeep.look() == [IPv4Address("10.32.0.1")]


async def test_what_a_network_reserves_stays(docker: Docker, upkeep: Upkeep) -> None:
    await docker.network("n1", "10.40.0.0/24", gateway="10.40.0.1")
    for _ in range(3):
        await upkeep.look()
    assert docker.daemon.addresses == {"10.40.0.1"}


def listed(**more: object) -> Listed:
    body = {
        "Id": "n1",
        "Name": "blue",
        "Driver": "tulle",
        "Internal": True,
        "IPAM": {
            "Driver": "tulle",
            "Config": [
                {"Subnet": "10.40.0.0/24", "Gateway": "10.40.0.1", "AuxiliaryAddresses": {"a": "10.40.0.2"}}
            ],
        },
        "Options": {"tulle.mtu": "1200"},
        **more,
    }
    return msgspec.json.decode(msgspec.json.encode(body), type=Listed)


def test_a_network_that_docker_lists_is_the_one_that_it_asked_for() -> None:
    network = listed().as_network("tulle", 1376, True)
    assert (network.ident, str(network.subnet), network.gateway) == ("n1", "10.40.0.0/24", "10.40.0.1")
    assert (network.internal, network.mtu, network.multicast, network.dealt_here) == (True, 1200, True, True)
    assert network.reserved == ("10.40.0.2",)
    assert (
        not listed(IPAM={"Driver": "default", "Config": [{"Subnet": "10.40.0.0/24"}]})
        .as_network("tulle", 1376, False)
        .multicast
    )


@pytest.mark.parametrize("config", [None, [], [{"Subnet": "fd00::/64"}], [{"Subnet": "x"}, {"Subnet": "y"}]])
def test_a_network_that_cannot_be_ours_is_refused(config: object) -> None:
    with pytest.raises(UserError):
        listed(IPAM={"Driver": "tulle", "Config": config}).as_network("tulle", 1376, True)
