"""What the daemon knows, in the report's shape."""

from ipaddress import IPv4Address, ip_address
from typing import Any, cast

from node.world import RANGE, Member, World

from tulle.api.report import ConnectionReport, RouterReport
from tulle.daemon.report import dns_report, ipam_report, router_report, timestamp
from tulle.datapath.carrier import CarrierState, CarrierStatus
from tulle.datapath.groups.record import group_of
from tulle.datapath.tables import ShortId
from tulle.host.bpf.layout import Counter, Traffic

ONE, TWO = "00:00:00:00:00:01", "00:00:00:00:00:02"


class FakePath:
    """A data path that has counted a little."""

    def __init__(self, member: Member) -> None:
        self.member = member

    def counters(self) -> dict[Counter, int]:
        return dict.fromkeys(Counter, 3)

    def traffic(self, peer: ShortId) -> Traffic:
        return Traffic(tx_packets=1, tx_bytes=100, rx_packets=2, rx_bytes=200)

    def macs(self) -> dict[bytes, ShortId | None]:
        neighbours = list(self.member.tables.routes)
        macs = dict(zip([b"\x02\0\0\0\0\x08"], neighbours, strict=False))
        return {b"\x02\0\0\0\0\x07": None, b"\x02\0\0\0\0\x09": ShortId(4000), **macs}


def report(world: World, member: Member) -> RouterReport:
    return router_report(
        member.node, cast(Any, FakePath(member)), "tulle-vx", world.now.mono, {"sleeve_dropped": 4}
    )


def only(router: RouterReport) -> ConnectionReport:
    (connection,) = router.connections
    return connection


def test_an_established_connection_with_its_carrier_and_traffic() -> None:
    world = World()
    one, _ = world.pair()
    router = report(world, one)
    connection = only(router)
    assert (connection.state, connection.info) == ("established", f"fastdp {TWO}(h2)")
    assert (connection.address, connection.outbound) == ("10.0.0.2:6783", True)
    assert (connection.attrs.name, connection.attrs.mtu, connection.attrs.rtt) == ("fastdp", 1376, 1.0)
    assert connection.attrs.reason == ""
    assert connection.traffic is not None
    assert connection.traffic.received_bytes == 200
    assert router.targets == ["10.0.0.2"]
    assert (router.counters["flooded"], router.counters["sleeve_dropped"]) == (3, 4)
    assert [(row.mac[-2:], row.name) for row in router.macs] == [
        ("07", ONE),
        ("08", TWO),
        ("09", "00:00:00:00:00:00"),
    ]


def test_who_listens_to_which_multicast_group() -> None:
    world = World()
    one, two = world.pair()
    groups = frozenset(group_of(ip_address(text)) for text in ("239.1.2.3", "ff05::1", "224.0.0.251"))
    one.node.multicast.channel.want(groups, "", world.now)
    two.node.multicast.channel.want(groups, "its bridge cannot tell", world.now)
    world.pass_time(1)
    first, second = report(world, one).multicast_interests
    assert (first.peer, first.groups, first.everything) == (ONE, ["239.1.2.3", "ff05::1"], False)
    assert (second.peer, second.groups, second.everything) == (TWO, [], True)


def test_peers_and_routes() -> None:
    world = World()
    one, _ = world.pair()
    router = report(world, one)
    assert [(peer.name, len(peer.connections)) for peer in router.peers] == [(ONE, 1), (TWO, 1)]
    assert [(route.dest, route.via) for route in router.unicast_routes] == [
        (ONE, "00:00:00:00:00:00"),
        (TWO, TWO),
    ]
    assert [(route.source, route.via) for route in router.broadcast_routes] == [(ONE, [TWO]), (TWO, [])]


def test_a_pending_connection_says_once_what_is_in_the_way() -> None:
    world = World()
    one, _ = world.pair()
    one.carrier.fail("blocked")
    one.carrier.status = lambda link: CarrierStatus(  # type: ignore[method-assign]
        CarrierState.LOST, None, None, False, "blocked"
    )
    world.pass_time(1)
    connection = only(report(world, one))
    assert (connection.state, connection.info) == ("pending", f"{TWO}(h2)")
    assert connection.attrs.reason == "fastdp: blocked"
    assert [attempt.state for attempt in connection.attrs.carriers] == ["failed"]


def test_a_target_that_nobody_answers_at() -> None:
    world = World()
    one = world.add(1)
    one.node.connect(["10.0.0.9:7000", "host.example"], False, world.now)
    world.pass_time(0.5)
    rows = {row.address: row for row in report(world, one).connections}
    assert rows["10.0.0.9:7000"].state == "failed"
    assert "connection refused, retry in " in rows["10.0.0.9:7000"].info
    assert any(address.startswith("host.example") for address in rows)


def test_addresses_before_and_after_the_range_is_divided() -> None:
    world = World()
    one, two = world.pair()
    assert ipam_report(one.ipam).entries == []
    one.ipam.allocate(1, "c1", RANGE, world.now)
    world.pass_time(1)
    ours = ipam_report(one.ipam)
    assert (ours.range, ours.active_ips, ours.range_num_ips) == ("10.40.0.0/24", 1, 256)
    assert sum(entry.size for entry in ours.entries) == 256
    assert {entry.peer for entry in ours.entries} <= {ONE, TWO}
    assert all(entry.is_known_peer for entry in ipam_report(two.ipam).entries)


def test_names() -> None:
    world = World()
    one = world.add(1)
    one.names.add("c1", "web", IPv4Address("10.40.0.1"), world.now)
    made = dns_report(one.names, "169.254.53.53:53", 1, ["9.9.9.9"])
    (entry,) = made.entries
    assert (entry.hostname, entry.origin, entry.address) == ("web.tulle.internal.", ONE, "10.40.0.1")
    assert (made.domain, made.upstream) == ("tulle.internal.", ["9.9.9.9"])


def test_moments_are_in_utc() -> None:
    assert timestamp(0.9) == "1970-01-01T00:00:00Z"
