"""The kernel copies multicast where the tables say that somebody listens, and everything else as ever."""

import socket
import struct
import time
from collections.abc import Generator
from ipaddress import ip_address

import pytest

from lab import Lab, wait_until
from netns.vxlan_lab import BRIDGE, Node, full_mesh, make_nodes
from tulle.datapath.groups.pruning import Branch, GroupTables, Twig
from tulle.datapath.groups.record import group_of
from tulle.datapath.tables import ShortId
from tulle.host.bpf.layout import Counter
from tulle.host.groups_maps import GroupMaps

HERE, THERE = ShortId(1), ShortId(2)
BRANCH = Branch(0xFEDCBA9876543210)
LISTENING = GroupTables(
    {Twig(HERE, THERE): BRANCH},
    frozenset((BRANCH, group_of(ip_address(text))) for text in ("239.1.2.3", "ff05::123")),
)
SOURCE = bytes.fromhex("020000000001")

COPIED, PRUNED, ADVERT = Counter.COPIES, Counter.PRUNED, Counter.DROP_ROUTER_ADVERT


def ethernet(to: str, ethertype: str, body: bytes) -> bytes:
    return bytes.fromhex(to) + SOURCE + bytes.fromhex(ethertype) + body


def summed(data: bytes, at: int, also: bytes = b"") -> bytes:
    """With the internet checksum of all (and of a pseudo header) at this place: bridges look at it."""
    words = struct.unpack(f"!{len(data + also) // 2}H", data + also)
    total = sum(words)
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return data[:at] + (~total & 0xFFFF).to_bytes(2, "big") + data[at + 2 :]


def ipv4(to: str, protocol: int = 17, body: bytes = bytes(20), options: bytes = b"", mac: str = "") -> bytes:
    address = socket.inet_aton(to)
    words = 5 + len(options) // 4
    head = struct.pack("!BBHHHBBH", 0x40 + words, 0, words * 4 + len(body), 0, 0, 1, protocol, 0)
    head = summed(head + bytes([10, 1, 0, 1]) + address + options, 10)
    return ethernet(mac or f"01005e{address[1] & 0x7F:02x}{address[2:].hex()}", "0800", head + body)


def igmp(kind: int, about: str = "0.0.0.0") -> bytes:
    return summed(bytes([kind, 0, 0, 0]) + socket.inet_aton(about), 2)


def ipv6(to: str, protocol: int = 17, body: bytes = bytes(20), mac: str = "") -> bytes:
    address = socket.inet_pton(socket.AF_INET6, to)
    head = struct.pack("!IHBB", 0x60000000, len(body), protocol, 255) + LINK_LOCAL + address
    return ethernet(mac or f"3333{address[12:].hex()}", "86dd", head + body)


def icmp6(to: str, kind: int, length: int, before: bytes = b"", mac: str = "") -> bytes:
    """A message of that type; ``before`` are the headers before it, each of which names what follows."""
    address = socket.inet_pton(socket.AF_INET6, to)
    message = bytes([kind]) + bytes(length - 1)
    pseudo = LINK_LOCAL + address + length.to_bytes(4, "big") + bytes([0, 0, 0, 58])
    body = summed(message, 2, pseudo)
    return ipv6(to, before[0], before[1:] + body, mac) if before else ipv6(to, 58, body, mac)


def chain(*headers: int) -> bytes:
    """Extension headers of the smallest size, the type of the first in front, the last one before ICMPv6."""
    return bytes(headers[:1]) + b"".join(bytes([following]) + bytes(7) for following in [*headers[1:], 58])


LINK_LOCAL = socket.inet_pton(socket.AF_INET6, "fe80::1")
ROUTER_ALERT = bytes([0, 58, 0, 5, 2, 0, 0, 1, 0])
CASES = {
    "a group that somebody there wants": (ipv4("239.1.2.3"), COPIED),
    "one that nobody wants": (ipv4("239.1.2.4"), PRUNED),
    "one with the same hardware address": (ipv4("225.1.2.3"), PRUNED),
    "one that looks like a group of the link to hardware": (ipv4("239.0.0.5"), PRUNED),
    "a group of the link": (ipv4("224.0.0.251"), COPIED),
    "an IPv6 group that somebody there wants": (ipv6("ff05::123"), COPIED),
    "an IPv6 group that nobody wants": (ipv6("ff0e::9"), PRUNED),
    "all nodes": (ipv6("ff02::1"), COPIED),
    "a neighbour solicited": (icmp6("ff02::1:ff00:7", 135, 24), COPIED),
    "broadcast": (ethernet("ffffffffffff", "0806", bytes(28)), COPIED),
    "a hardware address that nobody knows": (ipv4("10.1.0.9", mac="02aaaaaaaaaa"), COPIED),
    "multicast of another protocol": (ethernet("011b19000000", "88f7", bytes(40)), COPIED),
    "a unicast packet to a group's hardware address": (ipv4("10.1.0.2", mac="01005e010203"), COPIED),
    "a report to a group": (ipv4("239.1.2.3", 2, igmp(0x16)), PRUNED),
    "a report with an option": (ipv4("239.1.2.3", 2, igmp(0x16), bytes([0x94, 4, 0, 0])), PRUNED),
    "a question of a router among containers": (ipv4("239.9.9.9", 2, igmp(0x11, "239.9.9.9")), COPIED),
    "an IPv6 report": (icmp6("ff02::16", 143, 8, ROUTER_ALERT), PRUNED),
    "an IPv6 question": (icmp6("ff02::1", 130, 24, ROUTER_ALERT), COPIED),
    "a router's advertisement": (icmp6("ff02::1", 134, 16), ADVERT),
    "one behind other headers": (icmp6("ff02::1", 134, 16, chain(0, 60, 60)), ADVERT),
    "the first fragment of one": (icmp6("ff02::1", 134, 16, chain(44)), ADVERT),
    "a later fragment whose data looks like one": (
        ipv6("ff02::1", 44, bytes([58, 0, 0, 8, 0, 0, 0, 1]) + bytes([134]) + bytes(15)),
        COPIED,
    ),
    "one to a single container": (icmp6("fe80::2", 134, 16, mac="020000000002"), ADVERT),
    "something behind more headers than anybody needs": (
        icmp6("ff02::1", 128, 16, chain(0, 60, 60, 60, 60)),
        ADVERT,
    ),
}


@pytest.fixture(scope="module")
def nodes() -> Generator[list[Node]]:
    """Two hosts; on the first a container whose frames are counted."""
    with Lab() as lab:
        made = make_nodes(lab, 2)
        full_mesh(made)
        containers = [node.container() for node in made]
        assert containers[0].pings("10.1.0.2", wait=5)
        silence(made[0])
        yield made


def silence(node: Node) -> None:
    """Have the bridge ask and say nothing, so that only what the test sends is counted."""
    without_ipv6 = f"net.ipv6.conf.{BRIDGE}.disable_ipv6=1"
    node.host.run("sysctl", "-qw", without_ipv6, "net.ipv4.igmp_link_local_mcast_reports=0")
    node.host.ip(f"link set {BRIDGE} type bridge mcast_querier 0")
    wait_until(lambda: is_silent(node), what="nobody sends anything")


def is_silent(node: Node) -> bool:
    before = counted(node)
    time.sleep(1.5)
    return counted(node) == before


@pytest.fixture
def groups(nodes: list[Node]) -> GroupMaps:
    """The first host's tables, of which the test begins with none."""
    nodes[0].path.groups.apply(GroupTables())
    return nodes[0].path.groups


def counted(node: Node) -> dict[Counter, int]:
    every = node.path.counters()
    return {what: every[what] for what in (COPIED, PRUNED, ADVERT)}


def effect(node: Node, frame: bytes) -> dict[Counter, int]:
    """What the host of this container counts when it sends the frame, as far as it matters here."""
    before = counted(node)
    with node.containers[0].socket(socket.AF_PACKET, socket.SOCK_RAW) as out:
        out.bind(("tulle0", 0))
        out.send(frame)
    wait_until(lambda: counted(node) != before, 5)
    return {what: count - before[what] for what, count in counted(node).items() if count != before[what]}


@pytest.mark.parametrize("name", list(CASES))
def test_what_becomes_of(nodes: list[Node], groups: GroupMaps, name: str) -> None:
    frame, fate = CASES[name]
    groups.apply(LISTENING)
    assert effect(nodes[0], frame) == {fate: 1}


@pytest.mark.parametrize("name", [name for name, (_, fate) in CASES.items() if fate is PRUNED])
def test_a_branch_that_is_not_listed_gets_everything(nodes: list[Node], groups: GroupMaps, name: str) -> None:
    frame, _ = CASES[name]
    assert effect(nodes[0], frame) == {COPIED: 1}


def test_the_tables_are_believed_as_long_as_somebody_keeps_them(nodes: list[Node], groups: GroupMaps) -> None:
    groups.apply(LISTENING)
    groups._pruned_until.set(0, 1)
    assert effect(nodes[0], ipv4("239.1.2.4")) == {COPIED: 1}
    groups.confirm()
    assert effect(nodes[0], ipv4("239.1.2.4")) == {PRUNED: 1}


def test_a_new_daemon_finds_the_tables_and_goes_on_from_there(nodes: list[Node], groups: GroupMaps) -> None:
    groups.apply(LISTENING)
    nodes[0].path.close()
    nodes[0].reopen()
    silence(nodes[0])
    assert nodes[0].path.groups.tables == LISTENING
    assert effect(nodes[0], ipv4("239.1.2.4")) == {PRUNED: 1}
    nodes[0].path.groups.apply(GroupTables())
    assert effect(nodes[0], ipv4("239.1.2.4")) == {COPIED: 1}


def test_the_bridge_s_own_questions_stay_on_their_host(lab: Lab) -> None:
    (alone,) = make_nodes(lab, 1)
    wait_until(lambda: alone.path.counters()[Counter.QUERIES_KEPT] > 0)
