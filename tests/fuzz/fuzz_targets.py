"""Everything that takes bytes from the network, each as a function of bytes that must end quietly.

A parser may raise BadMessage, and nothing else. A state machine may raise BadMessage from the call that takes
the bytes in; afterwards it must still be able to tick and to encode its state.
"""

import re
import sys
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parents[1]))  # for the recordings, when not run by pytest

from on_groups import fuzz_groups, group_seeds
from on_ipam import fuzz_ipam, ipam_seeds
from on_mesh import fuzz_mesh, mesh_seeds
from on_names import fuzz_names, names_seeds
from on_paths import fuzz_paths, path_seeds
from on_rendezvous import fuzz_rendezvous, rendezvous_seeds
from on_sleeve import fuzz_sleeve, sleeve_seeds
from on_weave_sleeve import fuzz_weave_sleeve, weave_sleeve_seeds
from on_wire import fuzz_gob, fuzz_session, gob_seeds, session_seeds

from tulle.datapath import echo, tapframe
from tulle.errors import BadMessage
from tulle.instant import Instant
from tulle.ipam import weave as ipam_weave
from tulle.ipam.allocator import Allocator
from tulle.ipam.config import IpamConfig, Seed
from tulle.mesh.config import MeshConfig
from tulle.mesh.descriptions import Descriptions
from tulle.mesh.dialect.weave.messages import decode_features, decode_message
from tulle.mesh.dialect.weave.session import WeaveSession
from tulle.mesh.dialect.weave.topology import decode_topology
from tulle.mesh.events import LinkId
from tulle.mesh.mesh import Mesh
from tulle.mesh.peername import PeerName
from tulle.names import weave as names_weave
from tulle.names.nameserver import Nameserver
from tulle.names.resolver import Resolver

Target = Callable[[bytes], object]

DATA = Path(__file__).parents[1] / "data"
NOW = Instant(1000.0, 1_700_000_000.0)
LATER = NOW.later(3600)
SELF = PeerName(0x020000000001)
OTHER = PeerName(0x020000000002)
RANGE = IPv4Network("10.32.0.0/12")
LINK = LinkId(1)


def _mesh(password: bytes | None = None) -> Mesh:
    config = MeshConfig(name=SELF, nickname="self", uid=1, short_id=7, password=password)
    mesh = Mesh(config, Random(1))
    mesh.add_channel(_allocator())
    mesh.add_channel(_nameserver())
    assert mesh.accepted(LINK, ("10.99.0.2", 40000), ("10.99.0.1", 6783), NOW)
    return mesh


def _allocator() -> Allocator:
    return Allocator(IpamConfig(SELF, 1, RANGE, RANGE, Seed((SELF, OTHER))), Random(1))


def _nameserver() -> Nameserver:
    return Nameserver(SELF, "tulle.internal.")


def _go_on(mesh: Mesh) -> None:
    """The mesh still works after whatever it was sent."""
    mesh.collect()
    mesh.pull(LINK, NOW)
    mesh.tick(LATER)
    mesh.pull(LINK, LATER)
    mesh.collect()
    assert mesh.next_deadline() > 0


def connection(data: bytes) -> None:
    """A connection whose other end sends these bytes and nothing else. Mesh.received raises nothing."""
    mesh = _mesh()
    mesh.received(LINK, data, NOW)
    _go_on(mesh)


def sealed_connection(data: bytes) -> None:
    mesh = _mesh(b"password")
    mesh.received(LINK, data, NOW)
    _go_on(mesh)


def _greeting() -> tuple[WeaveSession, bytes]:
    """The other end of a connection: all it sends until messages may follow."""
    theirs = WeaveSession(
        outbound=True,
        features={
            "PeerNameFlavour": "mac",
            "Name": "02:00:00:00:00:02",
            "NickName": "other",
            "ShortID": "9",
            "UID": "2",
            "ConnID": "3",
            "Trusted": "false",
            "Overlays": "fastdp",
        },
        password=None,
        private_key=bytes(32),
    )
    return theirs, theirs.start()


def established(data: bytes) -> None:
    """A well-behaved peer that, after its handshake, sends these bytes as one message."""
    mesh = _mesh()
    theirs, first = _greeting()
    mesh.received(LINK, first, NOW)
    theirs.receive(mesh.pull(LINK, NOW))
    mesh.received(LINK, theirs.data_to_send(), NOW)
    mesh.received(LINK, len(data).to_bytes(4, "big") + data, NOW)
    _go_on(mesh)


def ring_gossip(data: bytes) -> None:
    allocator = _allocator()
    try:
        allocator.merge("weave", data, OTHER, False, NOW)
    except BadMessage:
        return
    finally:
        allocator.tick(LATER)
        allocator.collect()
        allocator.encode_all("weave", LATER)


def ring_unicast(data: bytes) -> None:
    allocator = _allocator()
    try:
        allocator.receive("weave", data, OTHER, NOW)
    except BadMessage:
        return
    finally:
        allocator.tick(LATER)
        allocator.collect()
        allocator.encode_all("weave", LATER)


def name_gossip(data: bytes) -> None:
    nameserver = _nameserver()
    try:
        nameserver.merge("weave", data, OTHER, False, NOW)
    except BadMessage:
        return
    finally:
        nameserver.tick(LATER)
        nameserver.collect()
        nameserver.encode_all("weave", LATER)


def dns_query(data: bytes) -> None:
    nameserver = _nameserver()
    nameserver.add("c1", "web.tulle.internal.", IPv4Address("10.32.0.1"), NOW)
    resolver = Resolver(nameserver, 1, Random(1))
    first = resolver.answer_udp(data)
    resolver.answer_tcp(data)
    assert isinstance(resolver.answer_udp(data), type(first))


def parser(parse: Target) -> Target:
    """A target from a function that may raise BadMessage."""

    def target(data: bytes) -> None:
        try:
            parse(data)
        except BadMessage:
            return

    return target


TARGETS: dict[str, Target] = {
    "connection": connection,
    "sealed-connection": sealed_connection,
    "established": established,
    "ring-gossip": ring_gossip,
    "ring-unicast": ring_unicast,
    "name-gossip": name_gossip,
    "dns-query": dns_query,
    "features": parser(decode_features),
    "message": parser(decode_message),
    "topology": parser(decode_topology),
    "descriptions": parser(Descriptions({}).decode),
    "ring-state": parser(ipam_weave.decode_state),
    "ring-direct": parser(ipam_weave.decode_direct),
    "ring-range": parser(ipam_weave.decode_range),
    "names": parser(names_weave.decode),
    "tap-frame": parser(tapframe.decode),
    "echo": parser(echo.decode_answer),
    "gob": fuzz_gob,
    "session": fuzz_session,
    "life-of-rendezvous": fuzz_rendezvous,
    "life-of-mesh": fuzz_mesh,
    "life-of-ipam": fuzz_ipam,
    "life-of-names": fuzz_names,
    "life-of-groups": fuzz_groups,
    "life-of-sleeve": fuzz_sleeve,
    "life-of-paths": fuzz_paths,
    "life-of-weave-sleeve": fuzz_weave_sleeve,
}

OWN_SEEDS: dict[str, Callable[[], list[bytes]]] = {
    "gob": gob_seeds,
    "session": session_seeds,
    "life-of-sleeve": sleeve_seeds,
    "life-of-paths": path_seeds,
    "life-of-mesh": mesh_seeds,
    "life-of-ipam": ipam_seeds,
    "life-of-names": names_seeds,
    "life-of-groups": group_seeds,
    "life-of-rendezvous": rendezvous_seeds,
    "life-of-weave-sleeve": weave_sleeve_seeds,
}
"""Further inputs to start from, for targets that take an input apart in a way of their own."""


def seeds() -> list[bytes]:
    """Real payloads to start from, of all kinds: most targets know what to do with some of them."""
    found = {
        bytes.fromhex(text)
        for path in sorted(DATA.rglob("*.jsonl"))
        for text in re.findall(r'"hex": ?"((?:[0-9a-f]{2})+)"', path.read_text())
    }
    query = bytes.fromhex("1234010000010000000000000377656205" + "74756c6c6508696e7465726e616c0000010001")
    return [*sorted(found, key=lambda seed: (len(seed), seed)), query, b"weave\x01\x02\x00"]
