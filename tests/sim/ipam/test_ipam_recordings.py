"""What routers of the original said about addresses, taken in by ours."""

from collections.abc import Iterator
from ipaddress import IPv4Network
from random import Random

import pytest

from recordings import RUNS, recordings
from tulle.instant import Instant
from tulle.ipam import weave
from tulle.ipam.allocator import Allocator
from tulle.ipam.config import IpamConfig, Observer
from tulle.ipam.merge import repairing_merge, strict_merge
from tulle.ipam.ring import Ring
from tulle.mesh.dialect.weave import gob
from tulle.mesh.peername import PeerName

STRANGER = PeerName(0x0200_0000_00FF)
NOW = Instant(1.0, 1_795_404_800.0)


def spoken(run: str) -> Iterator[tuple[int, PeerName, bytes]]:
    """Kind (4 gossip, 5 unicast, 6 broadcast), sender and payload of each message of the channel, by time."""
    for recording in recordings(run):
        for from_client in (True, False):
            for body in recording.bodies(from_client):
                if body and body[0] in (4, 5, 6):
                    names = [gob.UINT] * (2 if body[0] == 5 else 1)
                    values = gob.decode(body[1:], gob.STRING, *names, gob.BYTES)
                    if values[0] == "IPallocation":
                        yield body[0], PeerName(int(str(values[1]))), bytes(values[-1])  # type: ignore[arg-type]


def rings(run: str) -> list[Ring]:
    """Every ring anybody sent."""
    found = []
    for kind, _, payload in spoken(run):
        message = weave.decode_direct(payload) if kind == 5 else weave.RingUpdate(weave.decode_state(payload))
        if isinstance(message, weave.RingUpdate) and message.state.ring is not None:
            found.append(message.state.ring)
    return found


@pytest.mark.parametrize("run", RUNS)
def test_every_message_is_understood(run: str) -> None:
    kinds = {kind for kind, _, _ in spoken(run)}
    assert kinds == {4, 5, 6}
    assert rings(run)


@pytest.mark.parametrize("run", RUNS)
def test_both_merges_agree_on_what_they_said(run: str) -> None:
    strict = repaired = Ring(rings(run)[0].start, rings(run)[0].end)
    for theirs in rings(run):
        strict = strict_merge(strict, theirs, STRANGER, lambda _piece: False)
        repaired = repairing_merge(repaired, theirs).ring
    assert [(e.token, e.peer, e.version) for e in strict.entries] == [
        (e.token, e.peer, e.version) for e in repaired.entries
    ]


@pytest.mark.parametrize("run", RUNS)
def test_a_listener_ends_with_the_last_ring_in_any_order(run: str) -> None:
    messages = list(spoken(run))
    results = set()
    for seed in range(5):
        universe = IPv4Network("10.32.0.0/12")
        ipam = Allocator(IpamConfig(STRANGER, 1, universe, universe, Observer()), Random(seed))
        Random(seed).shuffle(messages)
        for kind, sender, payload in messages:
            if kind == 5:
                ipam.receive("weave", payload, sender, NOW)
            else:
                ipam.merge("weave", payload, sender, kind == 6, NOW)
            ipam.collect()
        results.add(ipam.ring)
    (final,) = results
    assert final.owners == {0x0200_0000_0001}
    assert len(final.entries) == 5
