"""Fuzzing of multicast groups: any messages of other peers, over the life of a channel."""

from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address

from source import Source

from tulle.datapath.groups import wire
from tulle.datapath.groups.channel import GroupChannel
from tulle.datapath.groups.record import MAX_GROUPS, MAX_VERSION, Interest, group_of
from tulle.errors import BadMessage
from tulle.instant import Instant
from tulle.mesh.peername import PeerName

ME = PeerName(0x020000000001)
PEERS = tuple(PeerName(0x020000000000 + number) for number in range(1, 6))
GROUPS = tuple(map(group_of, (IPv4Address("239.1.2.3"), IPv4Address("224.0.0.1"), IPv6Address("ff05::1"))))
NOW = Instant(1000.0, 1_700_000_000.0)


def _message(source: Source) -> bytes:
    return wire.encode(
        {
            source.pick(PEERS): Interest(
                source.pick((0, 1, 2, 3, MAX_VERSION)),
                frozenset(source.some(GROUPS, 3)),
                bool(source.number() % 2),
            )
            for _ in range(source.number() % 4)
        }
    )


def fuzz_groups(data: bytes) -> None:
    """Messages, made up or raw; what the channel says after each must be what a peer can read."""
    source, channel, now = Source(data), GroupChannel(ME), NOW
    channel.known_peers(frozenset(PEERS[:3]))
    while source.more():
        payload = _message(source) if source.number() % 4 else source.piece()
        with suppress(BadMessage):
            merged = channel.merge("weave", payload, source.pick(PEERS[1:]), bool(source.number() % 2), now)
            assert merged.fresh <= merged.received
            channel.encode_some("weave", merged.received, now)
        if source.number() % 4 == 0:
            channel.want(source.some(GROUPS, 3), "" if source.number() % 4 else "asked to", now)
        if source.number() % 4 == 0:
            now = now.later(source.number())
            channel.tick(now)
        if source.number() % 8 == 0:
            channel.peers_gone([source.pick(PEERS)])
        for state in channel.encode_all("weave", now):
            told = wire.decode(state)
            assert told is not None
            assert all(len(interest.groups) <= MAX_GROUPS for interest in told.values())


def group_seeds() -> list[bytes]:
    told = {PEERS[1]: Interest(2, frozenset(GROUPS)), PEERS[4]: Interest(MAX_VERSION, everything=True)}
    payload = wire.encode(told)
    return [b"\x00" + len(payload).to_bytes(2, "big") + payload]
