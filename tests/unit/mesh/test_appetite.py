"""How much gossip of one host is worked through."""

import pytest

from mesh.builders import at
from mesh.stage import RecordingChannel, Stage
from tulle.errors import BadMessage
from tulle.mesh.appetite import BURST_BYTES, BYTES_PER_SECOND, MAX_HOSTS, Appetite
from tulle.mesh.dialect import GossipMessage
from tulle.mesh.events import CloseLink
from tulle.mesh.peername import PeerName


def test_a_burst_is_fine_and_a_flood_is_not() -> None:
    appetite = Appetite()
    appetite.spend("10.0.0.2", BURST_BYTES, 0.0)
    with pytest.raises(BadMessage, match="more gossip than"):
        appetite.spend("10.0.0.2", 1000, 0.0)
    appetite.spend("10.0.0.3", BURST_BYTES, 0.0)
    appetite.spend("10.0.0.2", BYTES_PER_SECOND, 1.0)


def test_what_is_remembered_of_hosts_is_bounded() -> None:
    appetite = Appetite()
    appetite.spend("10.0.0.2", BURST_BYTES, 0.0)
    for number in range(MAX_HOSTS):
        appetite.spend(f"host {number}", 1, 0.0)
    appetite.spend("10.0.0.2", BURST_BYTES, 0.0)


def test_a_new_connection_is_no_new_beginning() -> None:
    stage = Stage(channels=(RecordingChannel(),))
    flood = GossipMessage("colours", PeerName(2), bytes(8 << 20))
    links = [stage.meet(2)]
    stage.give(links[0], *[flood] * (BURST_BYTES // len(flood.payload) + 1))
    links.append(stage.meet(2))
    stage.give(links[1], flood)
    closes = [event for event in stage.mesh.collect() if isinstance(event, CloseLink)]
    assert [close.link for close in closes] == links
    assert all("more gossip than" in close.reason for close in closes)
    assert at(0) == stage.now
