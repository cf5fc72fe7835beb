"""Docker's IPAM driver: pools by their ids, addresses that are held until Docker gives them back."""

import asyncio
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

import pytest

from tulle.api.daemon import DnsService
from tulle.docker.plugin import ipam
from tulle.docker.plugin.messages import PoolRequest
from tulle.docker.plugin.pools import Pool, choose_pool, parse_pool
from tulle.errors import UserError

from .conftest import DEFAULT, WHOLE, Docker, Refused


@pytest.mark.parametrize(
    ("subnet", "part"), [("10.32.0.0/16", "10.32.0.0/16"), ("10.40.0.0/16", "10.40.128.0/17")]
)
def test_a_pool_is_known_by_its_id_alone(subnet: str, part: str) -> None:
    pool = Pool(IPv4Network(subnet), IPv4Network(part))
    assert parse_pool(pool.ident) == pool


@pytest.mark.parametrize("ident", ["", "10.32.0.0/16 10.32.0.0/17 x", "10.32.0.1/16", "::/8", "x y"])
def test_an_id_that_is_no_pool_is_refused(ident: str) -> None:
    with pytest.raises(UserError):
        parse_pool(ident)


def test_the_pool_that_a_user_means() -> None:
    assert choose_pool(PoolRequest(), DEFAULT, WHOLE).subnet == DEFAULT
    chosen = choose_pool(PoolRequest(pool="10.40.0.0/16", sub_pool="10.40.1.0/24"), DEFAULT, WHOLE)
    assert chosen == Pool(IPv4Network("10.40.0.0/16"), IPv4Network("10.40.1.0/24"))


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (PoolRequest(pool="192.168.0.0/24"), "not inside 10.32.0.0/12"),
        (PoolRequest(pool="10.40.0.1/24"), "not an IPv4 subnet"),
        (PoolRequest(pool="10.40.0.0/24", sub_pool="10.40.1.0/25"), "--ip-range 10.40.1.0/25 is not inside"),
        (PoolRequest(pool="fd00::/64", v6=True), "IPv4 addresses only"),
    ],
)
def test_a_pool_that_cannot_be_is_refused(request_: PoolRequest, said: str) -> None:
    with pytest.raises(UserError, match=said):
        choose_pool(request_, DEFAULT, WHOLE)


def test_without_a_range_there_are_no_pools() -> None:
    with pytest.raises(UserError, match="turned off"):
        choose_pool(PoolRequest(), None, None)


async def test_addresses_come_from_the_pool_and_go_back(docker: Docker) -> None:
    pool = await docker.network("n1", "10.40.0.0/24")
    first = await docker.call("IpamDriver.RequestAddress", PoolID=pool)
    second = await docker.call("IpamDriver.RequestAddress", PoolID=pool, Address="10.40.0.9")
    assert (first["Address"], second["Address"]) == ("10.40.0.1/24", "10.40.0.9/24")
    docker.begin()
    for address in ("10.40.0.1", "10.40.0.9", "10.40.0.77"):
        await docker.call("IpamDriver.ReleaseAddress", PoolID=pool, Address=address)
    assert docker.daemon.addresses == set()


async def test_a_range_within_the_subnet_does_not_change_the_prefix(docker: Docker) -> None:
    pool = (await docker.call("IpamDriver.RequestPool", Pool="10.40.0.0/16", SubPool="10.40.7.0/24"))[
        "PoolID"
    ]
    answer = await docker.call("IpamDriver.RequestAddress", PoolID=pool)
    assert answer["Address"] == "10.40.7.1/16"


async def test_an_address_in_use_or_outside_is_refused(docker: Docker, refused: Refused) -> None:
    pool = await docker.network("n1", "10.40.0.0/24")
    docker.daemon.elsewhere.add(IPv4Address("10.40.0.5"))
    with refused("10.40.0.5 is in use"):
        await docker.call("IpamDriver.RequestAddress", PoolID=pool, Address="10.40.0.5")
    with refused("10.41.0.5 is not inside 10.40.0.0/24"):
        await docker.call("IpamDriver.RequestAddress", PoolID=pool, Address="10.41.0.5")
    with refused("not an IPv4 address"):
        await docker.call("IpamDriver.RequestAddress", PoolID=pool, Address="fd00::5")


async def test_a_gateway_is_kept_from_containers_until_its_network_goes(docker: Docker) -> None:
    pool = await docker.network("n1", "10.40.0.0/24", gateway="10.40.0.1")
    answer = await docker.call("IpamDriver.RequestAddress", PoolID=pool)
    assert answer["Address"] == "10.40.0.2/24"
    assert docker.networks.reserved() == {IPv4Address("10.40.0.1")}
    await docker.call("NetworkDriver.DeleteNetwork", NetworkID="n1")
    assert docker.daemon.addresses == {"10.40.0.2"}


async def test_a_gateway_that_another_host_already_is_serves_as_well(docker: Docker) -> None:
    docker.daemon.elsewhere.add(IPv4Address("10.40.0.1"))
    await docker.network("n1", "10.40.0.0/24", gateway="10.40.0.1")
    joined = await docker.endpoint("n1", "a" * 64, "10.40.0.2/24", "/run/docker/netns/x")
    assert joined["Gateway"] == "10.40.0.1"


async def test_docker_does_not_wait_for_ever(docker: Docker, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: object) -> IPv4Interface:
        return await asyncio.Future()

    monkeypatch.setattr(docker.daemon, "allocate", never)
    monkeypatch.setattr(ipam, "PATIENCE", 0.01)
    with pytest.raises(UserError, match="no address could be had in time"):
        await docker.call("IpamDriver.RequestAddress", PoolID="10.32.0.0/16")


async def test_names_go_with_the_address(docker: Docker) -> None:
    docker.daemon.dns = DnsService("tulle.internal.", IPv4Address("169.254.53.53"), 53)
    await docker.call("IpamDriver.RequestAddress", PoolID="10.32.0.0/16")
    ident = next(iter(docker.daemon.holders))
    await docker.call("IpamDriver.ReleaseAddress", PoolID="10.32.0.0/16", Address="10.32.0.1")
    assert [request.container for request in docker.daemon.names_removed] == [ident]


async def test_what_the_user_holds_otherwise_is_not_dockers_to_free(docker: Docker) -> None:
    docker.daemon.holders["netns:web"] = [IPv4Interface("10.32.0.1/16")]
    await docker.call("IpamDriver.ReleaseAddress", PoolID="10.32.0.0/16", Address="10.32.0.1")
    assert docker.daemon.addresses == {"10.32.0.1"}
