"""The DNS server as containers meet it: on port 53 of an address of the host, found by way of resolv.conf."""

import asyncio
import random
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from lab.container import Container
from lab.namespace import Namespace
from netns.support import Run
from tulle.errors import UserError
from tulle.host.dns_server import DnsServer
from tulle.host.resolv_conf import ResolvConf, for_container, remove_for_namespace, write_for_namespace
from tulle.instant import Instant
from tulle.mesh.peername import PeerName
from tulle.names.nameserver import Nameserver
from tulle.names.resolver import Resolver

HOST, HOST_6 = "10.32.0.1", "fd00::1"


@pytest.fixture
def container(host: Namespace, make_container: Callable[[], Container]) -> Iterator[Container]:
    """A container with a wire to the host, whose resolv.conf names the host."""
    made = make_container()
    made.ip(f"link add wire type veth peer name wire netns {host.name}")
    for space, addresses in ((host, (f"{HOST}/12", f"{HOST_6}/64")), (made, ("10.32.0.2/12", "fd00::2/64"))):
        space.ip(*(f"address add {address} dev wire nodad" for address in addresses), "link set wire up")
    write_for_namespace(made.name, for_container(HOST, "tulle.internal.", ResolvConf()))
    yield made
    remove_for_namespace(made.name)


def server(listen: str) -> DnsServer:
    names = Nameserver(PeerName(1), "tulle.internal")
    for number in range(2, 5):
        names.add(f"c{number}", "web", IPv4Address(f"10.32.0.{number}"), Instant(0, 0))
    for number in range(100):
        names.add(f"m{number}", "many", IPv4Address("10.33.0.0") + number, Instant(0, 0))
    return DnsServer(Resolver(names, 1, random.Random(1)), (listen, 53), Path("/nonexistent"))


async def while_serving(listen: str, *acts: Callable[[], object]) -> list[object]:
    """What these functions give while the server runs."""
    serving = server(listen)
    await serving.start()
    try:
        return [await asyncio.to_thread(act) for act in acts]
    finally:
        await serving.stop()


def test_programs_in_a_container_find_names_without_more_ado(run: Run, container: Container) -> None:
    web, full, many, nobody = run(
        while_serving(
            HOST,
            lambda: container.resolve("web"),
            lambda: container.resolve("WEB.tulle.internal"),
            lambda: container.resolve("many"),
            lambda: container.resolve("nobody"),
        )
    )
    assert web == full == [IPv4Address(f"10.32.0.{number}") for number in range(2, 5)]
    assert isinstance(many, list)
    assert len(many) == 100
    assert nobody == []


@pytest.mark.parametrize("address", [HOST, HOST_6])
@pytest.mark.parametrize("everywhere", [False, True])
def test_the_reply_comes_from_the_address_that_was_asked(
    run: Run, container: Container, address: str, everywhere: bool
) -> None:
    wildcard = "::" if ":" in address else "0.0.0.0"
    listen = wildcard if everywhere else address
    (output,) = run(
        while_serving(listen, lambda: container.run("dig", f"@{address}", "+short", "+tries=1", "web").stdout)
    )
    assert isinstance(output, str)
    assert sorted(output.split()) == ["10.32.0.2", "10.32.0.3", "10.32.0.4"]


def test_listening_on_every_ipv6_address_serves_ipv4_as_well(run: Run, container: Container) -> None:
    (output,) = run(
        while_serving("::", lambda: container.run("dig", f"@{HOST}", "+short", "+tries=1", "web").stdout)
    )
    assert isinstance(output, str)
    assert len(output.split()) == 3


def test_a_second_server_on_the_port_is_told_what_to_do(run: Run, container: Container) -> None:
    with pytest.raises(UserError, match="in use"):
        run(two_servers())


async def two_servers() -> None:
    first = server(HOST)
    await first.start()
    try:
        await server(HOST).start()
    finally:
        await first.stop()
