"""Fuzzing of the rendezvous: peers that say anything at any time, while paths are met and lost."""

from contextlib import suppress
from ipaddress import IPv4Address, IPv4Interface
from random import Random

from source import Source

from tulle.datapath.sleeve.orders import Endpoint
from tulle.errors import BadMessage
from tulle.instant import Instant
from tulle.mesh.channel import Unicast
from tulle.mesh.peername import PeerName
from tulle.node.rendezvous.agreement import public_key
from tulle.node.rendezvous.candidates import Whereabouts
from tulle.node.rendezvous.messages import Answer, Candidate, Go, Nudge, Offer, Origin, decode, encode
from tulle.node.rendezvous.rendezvous import Introduce, Rendezvous

PEERS = tuple(PeerName(number) for number in (1, 2, 8, 9))
ME = PeerName(5)
KEYS = (public_key(b"p" * 32), bytes(32), b"\xff" * 32)
IPS = ("192.0.2.1", "224.0.0.1", "127.0.0.1", "255.255.255.255", "10.32.0.1", "192.168.1.5", "192.168.1.255")


def _message(source: Source, attempts: list[int]) -> bytes:
    attempt = source.pick([*attempts, 7])
    key = source.pick(KEYS)
    candidates = tuple(
        Candidate(source.pick(tuple(Origin)), Endpoint(source.pick(IPS), source.number(2)))
        for _ in range(source.number() % 9)
    )
    kinds = (Offer(attempt, key, candidates), Answer(attempt, key, candidates), Go(attempt), Nudge())
    return encode(source.pick(kinds))


def fuzz_rendezvous(data: bytes) -> None:
    """Whatever is said, packets go only to where a single other host may be, and few attempts are made."""
    source, now, attempts = Source(data), Instant(1000.0, 0.0), [0]
    whereabouts = Whereabouts(6783, None)
    whereabouts.set_local([IPv4Interface("192.168.1.5/24")])
    rendezvous = Rendezvous(ME, b"password", whereabouts, Random(1))
    rendezvous.want(set(PEERS), set(), set(), now)
    introduced = 0
    while source.more():
        peer = source.pick((*PEERS, ME, PeerName(77)))
        payload = _message(source, attempts) if source.number() % 4 else source.piece()
        with suppress(BadMessage):
            rendezvous.receive("weave", payload, peer, now)
        match source.number() % 8:
            case 0:
                now = now.later(source.number() / 16)
                rendezvous.tick(now)
            case 1:
                rendezvous.met(peer, now)
            case 2:
                rendezvous.parted(peer, "lost", now)
            case 3:
                sets = (set(source.some(PEERS, most)) for most in (4, 2, 2))
                rendezvous.want(*sets, now)
            case 4:
                rendezvous.moved(now)
        for said in rendezvous.outbox:
            assert isinstance(said, Unicast)
            message = decode(said.payload)
            attempts = [message.attempt, *attempts[:3]] if isinstance(message, Offer | Answer) else attempts
        rendezvous.outbox.clear()
        for event in rendezvous.collect():
            introduced += isinstance(event, Introduce)
            for endpoint in event.endpoints if isinstance(event, Introduce) else ():
                ip = IPv4Address(endpoint.ip)
                assert not any((ip.is_multicast, ip.is_loopback, ip.is_reserved))
                assert endpoint.port
                assert endpoint.ip not in ("192.168.1.5", "192.168.1.255")
        rendezvous.views()
        assert rendezvous.next_deadline() > 0
    assert introduced <= 20 + 10 * (now.mono - 1000.0)


def rendezvous_seeds() -> list[bytes]:
    """An offer, and its go, as raw messages of a peer that leads."""
    offer = encode(Offer(7, KEYS[0], (Candidate(Origin.SEEN, Endpoint("192.0.2.1", 6783)),)))
    said = [b"\x00\x00" + len(payload).to_bytes(2, "big") + payload for payload in (offer, encode(Go(7)))]
    return [said[0] + b"\x05" + said[1] + b"\x01"]
