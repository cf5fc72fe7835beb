"""Which paths there are, and whose."""

from datapath.sleeve.wire import LINK, Wire
from tulle.datapath.carrier import Lost, Met, Neighbour, Parted
from tulle.datapath.sleeve.carrier import SleeveCarrier
from tulle.datapath.sleeve.derivation import native_path
from tulle.datapath.sleeve.orders import ClosePath, Count, OpenPath, PathId, SendMessage, WeavePath
from tulle.datapath.tables import ShortId
from tulle.instant import Instant
from tulle.mesh.events import LinkId
from tulle.mesh.peername import PeerName

NOW = Instant(1.0, 1.0)


def neighbour(link: int, uid: int = 5, native: bool = True, key: bytes | None = None) -> Neighbour:
    return Neighbour(
        link=LinkId(link),
        peer=PeerName(2),
        short_id=ShortId(12),
        remote_ip="10.0.0.2",
        local_ip="10.0.0.1",
        conn_uid=uid,
        native=native,
        secret=key is not None,
        session_key=key,
        outbound=True,
        remote_port=6783,
    )


def test_a_path_is_open_in_the_step_in_which_its_link_is_settled() -> None:
    carrier = SleeveCarrier(PeerName(1), 1376, 6783)
    carrier.link_up(neighbour(1), NOW)
    opened, *questions = carrier.collect()
    assert isinstance(opened, OpenPath)
    assert questions
    assert all(isinstance(event, SendMessage) and event.path == opened.path for event in questions)


def test_a_link_that_replaces_another_has_a_path_of_its_own() -> None:
    """The race that the original loses: both dial, and the loser ends after the winner has begun."""
    carrier = SleeveCarrier(PeerName(1), 1376, 6783)
    carrier.link_up(neighbour(1, uid=5), NOW)
    carrier.link_down(LinkId(1), NOW)
    carrier.link_up(neighbour(2, uid=6), NOW)
    carrier.link_down(LinkId(1), NOW)
    events = carrier.collect()
    first, second = [event for event in events if isinstance(event, OpenPath)]
    assert [event for event in events if isinstance(event, ClosePath)] == [ClosePath(first.path)]
    assert first.path != second.path
    assert first.format != second.format
    assert carrier.status(LinkId(2)).mtu is None


def test_peers_of_weave_net_get_their_format() -> None:
    carrier = SleeveCarrier(PeerName(1), 1376, 6783)
    carrier.link_up(neighbour(1, native=False, key=b"k" * 32), NOW)
    opened = carrier.collect()[0]
    assert isinstance(opened, OpenPath)
    assert opened.format == WeavePath(PeerName(1), PeerName(2), b"k" * 32, True)


def test_two_that_have_no_link_meet_when_both_are_told() -> None:
    wire = Wire()
    secret = b"s" * 32
    paths: list[PathId] = []
    for side, end in enumerate(wire.ends):
        far, peer = wire.ends[1 - side].at, PeerName(2 - side)
        path = native_path(peer, secret, leads=side == 0, encrypted=True)
        paths.append(end.carrier.introduce(peer, ShortId(12 - side), path, [], wire.now))
        end.carrier.add_candidates(paths[side], [far], wire.now)
    wire.run(1)
    assert [end.news for end in wire.ends] == [
        [Met(path, PeerName(2 - side))] for side, path in enumerate(paths)
    ]
    assert [end.carrier.observed(path) for end, path in zip(wire.ends, paths, strict=True)] == [
        end.at for end in wire.ends
    ]
    assert wire.ends[0].carrier.path_status(paths[0]).encrypted
    wire.ends[1].carrier.part(paths[1])
    wire.run(3)
    assert isinstance(wire.ends[0].news[-1], Parted)
    assert wire.ends[1].news == [Met(paths[1], PeerName(1))]
    assert wire.ends[1].open == {}


def test_a_path_beside_a_link_ends_with_the_link_only() -> None:
    wire = Wire()
    wire.link()
    end = wire.ends[0]
    (path,) = end.open
    end.carrier.part(path)
    wire.run(1)
    assert path in end.open
    end.carrier.link_down(LINK, wire.now)
    wire.run(3)
    assert end.open == {}
    assert isinstance(wire.ends[1].news[-1], Lost)


def test_news_of_paths_that_are_gone_is_dropped() -> None:
    carrier = SleeveCarrier(PeerName(1), 1376, 6783)
    gone = PathId(9)
    carrier.counted({gone: Count(1, 1, 1, 0)}, NOW)
    carrier.add_candidates(gone, [], NOW)
    carrier.rename(gone, None, NOW)
    carrier.part(gone)
    assert carrier.observed(gone) is None
    assert carrier.collect() == []
    assert carrier.next_deadline() == float("inf")
