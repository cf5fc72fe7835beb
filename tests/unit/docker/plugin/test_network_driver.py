"""Docker's network driver: networks kept over lives, endpoints, and what a joining container is told."""

from ipaddress import IPv4Address, IPv4Network

import pytest

from tulle.docker.plugin.messages import PORTS
from tulle.host import endpoints
from tulle.host.routed import Routed

from .conftest import Docker, Refused

ONE, TWO = "a1" * 32, "b2" * 32
BOX = "/var/run/docker/netns/0123456789ab"
GENERIC = "com.docker.network.generic"


def destinations(joined: dict) -> list[str]:  # type: ignore[type-arg]
    return [route["Destination"] for route in joined["StaticRoutes"]]


async def test_a_container_joins_and_leaves(docker: Docker) -> None:
    await docker.network("n1")
    joined = await docker.endpoint("n1", ONE, "10.32.0.1/16", BOX)
    assert joined["InterfaceName"] == {"SrcName": "tia1a1a1a1a1a1", "DstPrefix": "tulle"}
    assert joined["Gateway"] == ""
    assert destinations(joined) == ["224.0.0.0/4", "169.254.53.53/32"]
    assert docker.announced[0].address.ip == IPv4Address("10.32.0.1")
    assert docker.links.made[ONE].sandbox == BOX
    for call in ("Leave", "DeleteEndpoint", "DeleteEndpoint"):
        await docker.call(f"NetworkDriver.{call}", NetworkID="n1", EndpointID=ONE)
    assert docker.links.retired == [ONE]
    await docker.driver.stop()
    assert docker.links.made == {}


async def test_docker_is_told_a_hardware_address_only_if_it_has_none(docker: Docker) -> None:
    await docker.network("n1")
    words = {"NetworkID": "n1", "EndpointID": ONE}
    own = {"Address": "10.32.0.1/16", "MacAddress": "02:42:00:00:00:01"}
    assert await docker.call("NetworkDriver.CreateEndpoint", **words, Interface=own) == {"Interface": {}}
    assert docker.links.made[ONE].mac == "02:42:00:00:00:01"
    answer = await docker.call("NetworkDriver.CreateEndpoint", **words, Interface={"Address": "10.32.0.1/16"})
    assert answer["Interface"]["MacAddress"] == docker.links.made[ONE].mac


async def test_a_second_network_brings_no_second_route(docker: Docker) -> None:
    await docker.network("n1")
    await docker.network("n2", "10.40.0.0/24")
    await docker.endpoint("n1", ONE, "10.32.0.1/16", BOX)
    joined = await docker.endpoint("n2", TWO, "10.40.0.1/24", BOX)
    assert destinations(joined) == []


async def test_a_container_is_not_in_a_subnet_and_in_a_part_of_it(docker: Docker, refused: Refused) -> None:
    await docker.network("n1")
    await docker.network("n2", "10.32.7.0/24")
    await docker.endpoint("n1", ONE, "10.32.0.1/16", BOX)
    with refused("--ipalloc-default-subnet"):
        await docker.endpoint("n2", TWO, "10.32.7.1/24", BOX)


async def test_a_network_without_a_way_out_has_a_way_to_the_resolver(docker: Docker) -> None:
    docker.driver.dns_servers = [IPv4Address("9.9.9.9")]
    await docker.network("n1", **{"com.docker.network.internal": True})
    joined = await docker.endpoint("n1", ONE, "10.32.0.1/16", BOX)
    way = {"Destination": "9.9.9.9/32", "RouteType": 0, "NextHop": "169.254.53.53"}
    assert joined["StaticRoutes"][-1] == way


UNPUBLISHED: dict[str, list[object]] = {PORTS: []}


async def test_the_host_is_the_gateway_of_networks_with_a_way_out(docker: Docker) -> None:
    await docker.network("n1")
    await docker.network("n2", "10.40.0.0/24", gateway="10.40.0.1")
    await docker.network("n3", "10.41.0.0/24", **{"com.docker.network.internal": True})
    own, inner = IPv4Network("10.40.0.0/24"), IPv4Network("10.41.0.0/24")
    assert docker.routed == Routed.of([IPv4Network("10.32.0.0/16")], [own, inner])
    ways = {
        network: (await docker.endpoint(network, ident, address, f"{BOX}{network}", **UNPUBLISHED))["Gateway"]
        for network, ident, address in (
            ("n1", ONE, "10.32.0.1/16"), ("n2", TWO, "10.40.0.2/24"), ("n3", "c3" * 32, "10.41.0.1/24"))
    }  # fmt: skip
    assert ways == {"n1": "169.254.53.53", "n2": "10.40.0.1", "n3": ""}
    await docker.call("NetworkDriver.DeleteNetwork", NetworkID="n3")
    assert docker.routed.without == {own}


async def test_docker_provides_the_way_out_where_it_publishes_ports(docker: Docker) -> None:
    await docker.network("n1")
    published = {PORTS: [{"Proto": 6, "Port": 80, "HostPort": 8080}]}
    for options in (published, {}):
        joined = await docker.endpoint("n1", ONE, "10.32.0.1/16", BOX, **options)
        assert joined["Gateway"] == ""


async def test_a_way_out_that_a_container_has_stays(docker: Docker, monkeypatch: pytest.MonkeyPatch) -> None:
    async def has_way_out(sandbox: str) -> bool:
        return sandbox == BOX

    monkeypatch.setattr(endpoints, "has_way_out", has_way_out)
    await docker.network("n1")
    await docker.network("n2", "10.40.0.0/24")
    joined = await docker.endpoint("n1", ONE, "10.32.0.1/16", BOX, **UNPUBLISHED)
    assert joined["Gateway"] == ""
    joined = await docker.endpoint("n2", TWO, "10.40.0.1/24", BOX, **UNPUBLISHED)
    assert joined["Gateway"] == ""


async def test_where_the_host_cannot_be_a_gateway_docker_is(docker: Docker) -> None:
    docker.no_firewall = True
    await docker.network("n1")
    joined = await docker.endpoint("n1", ONE, "10.32.0.1/16", BOX, **UNPUBLISHED)
    assert joined["Gateway"] == ""


async def test_options_for_mtu_and_multicast(docker: Docker) -> None:
    await docker.network("n1", **{GENERIC: {"tulle.mtu": "1200", "tulle.multicast": "false"}})
    joined = await docker.endpoint("n1", ONE, "10.32.0.1/16", BOX)
    assert docker.links.mtus[ONE] == 1200
    assert "224.0.0.0/4" not in destinations(joined)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"tulle.colour": "blue"}, "no network option 'tulle.colour'"),
        ({"tulle.mtu": "1377"}, "from 576 to 1376"),
        ({"tulle.mtu": "wide"}, "number of bytes"),
        ({"tulle.multicast": "maybe"}, "true or false"),
    ],
)
async def test_options_that_mean_nothing_are_refused(
    docker: Docker, refused: Refused, options: dict[str, str], said: str
) -> None:
    with refused(said):
        await docker.network("n1", **{GENERIC: options})
    assert docker.networks.all() == []


async def test_networks_survive_the_daemon(docker: Docker) -> None:
    await docker.network("n1", "10.40.0.0/24", gateway="10.40.0.1", **{GENERIC: {"tulle.mtu": "1000"}})
    before = docker.networks.get("n1")
    docker.begin()
    assert docker.networks.get("n1") == before
    await docker.call("NetworkDriver.DeleteNetwork", NetworkID="n1")
    docker.begin()
    assert docker.networks.all() == []


async def test_networks_whose_subnets_overlap(docker: Docker, refused: Refused) -> None:
    await docker.network("n1", "10.40.0.0/16")
    with refused(r"10.40.1.0/24 overlaps 10.40.0.0/16.*choose another --subnet"):
        await docker.network("n2", "10.40.1.0/24")
    await docker.network("default")
    await docker.network("the same by another name")
    await docker.network("n3", "10.32.9.0/24")
    assert len(docker.networks.all()) == 4


async def test_an_unknown_network_is_an_error_with_advice(docker: Docker, refused: Refused) -> None:
    with refused("remove the network and make it again"):
        await docker.endpoint("n9", ONE, "10.32.0.1/16")
    with refused("is gone; start the container again"):
        await docker.network("n1")
        await docker.call("NetworkDriver.Join", NetworkID="n1", EndpointID=ONE, SandboxKey=BOX)


@pytest.mark.parametrize("ident", ["", "short", "../../etc/passwd", "A" * 64, "a" * 65])
async def test_an_id_that_cannot_name_an_interface_is_refused(
    docker: Docker, refused: Refused, ident: str
) -> None:
    await docker.network("n1")
    with refused("not an endpoint id"):
        await docker.endpoint("n1", ident, "10.32.0.1/16")


def plain(pool: str) -> list[dict[str, str]]:
    return [{"AddressSpace": "LocalDefault", "Pool": pool, "Gateway": pool.replace("0/", "1/")}]


async def test_addresses_that_docker_deals_out_are_claimed(docker: Docker, refused: Refused) -> None:
    await docker.call("NetworkDriver.CreateNetwork", NetworkID="n1", IPv4Data=plain("10.40.0.0/24"))
    await docker.endpoint("n1", ONE, "10.40.0.2/24")
    assert docker.daemon.addresses == {"10.40.0.2"}
    docker.daemon.elsewhere.add(IPv4Address("10.40.0.3"))
    with refused(r"10.40.0.3 is in use.*--ipam-driver tulle"):
        await docker.endpoint("n1", TWO, "10.40.0.3/24")
    await docker.call("NetworkDriver.DeleteEndpoint", NetworkID="n1", EndpointID=ONE)
    assert docker.daemon.addresses == set()


async def test_what_cannot_be_made_is_not_held(docker: Docker, refused: Refused) -> None:
    await docker.call("NetworkDriver.CreateNetwork", NetworkID="n1", IPv4Data=plain("10.40.0.0/24"))
    docker.links.broken = True
    with refused("no bridge"):
        await docker.endpoint("n1", ONE, "10.40.0.2/24")
    assert docker.daemon.addresses == set()


async def test_addresses_outside_the_range_are_for_a_swarm_to_deal_out(
    docker: Docker, refused: Refused
) -> None:
    data = plain("10.0.1.0/24")
    with refused("--ipam-driver tulle"):
        await docker.call("NetworkDriver.CreateNetwork", NetworkID="n1", IPv4Data=data)
    docker.begin("global")
    await docker.call("NetworkDriver.CreateNetwork", NetworkID="n1", IPv4Data=data)
    await docker.endpoint("n1", ONE, "10.0.1.5/24", BOX)
    assert ONE in docker.links.made
    assert docker.daemon.addresses == set()
