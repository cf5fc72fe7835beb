"""The records address management keeps on disk, and how to read them back.

========== ================= =====================================================================
kind       key               value (JSON)
========== ================= =====================================================================
ipam-held  the address       who has it, and with which prefix length
ipam-ring  "ring"            the ring as last merged or changed: what we may hand out
ipam-vote  "vote"            what this host's acceptor promised and accepted in the first election
ipam-names "owners"          what the owners of ranges are called, for those that are gone
========== ================= =====================================================================

The ring is one record, so that a crash can never leave half of one change on disk.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv4Address, IPv4Interface, NetmaskValueError

import msgspec

from tulle.ipam.holdings import Holdings
from tulle.ipam.paxos import Claims, NodeId, Proposal
from tulle.ipam.ring import Entry, Ring, RingInvalid
from tulle.mesh.peername import PeerName

HELD = "ipam-held"
RING = "ipam-ring"
VOTE = "ipam-vote"
NAMES = "ipam-names"
RING_KEY = "ring"
VOTE_KEY = "vote"
NAMES_KEY = "owners"

RecordTuple = tuple[str, str, bytes]
_Entry = tuple[int, int, int, int]
_Proposal = tuple[int, int, int]


class _Held(msgspec.Struct, frozen=True):
    ident: str
    prefix: int


class _Ring(msgspec.Struct, frozen=True):
    peer: int
    start: int
    end: int
    seeds: list[int]
    entries: list[_Entry]


class _Vote(msgspec.Struct, frozen=True):
    uid: int
    promise: _Proposal
    accepted: _Proposal
    value: list[int]
    origin: _Proposal


@dataclass(slots=True)
class Restored:
    """What a previous life left. ``problems`` are for the log: records that could not be used."""

    holdings: Holdings = field(default_factory=Holdings)
    ring: Ring | None = None
    ring_unreadable: bool = False
    peer: PeerName | None = None
    vote: tuple[NodeId, Claims] | None = None
    nicknames: dict[PeerName, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def held_record(ident: str, interface: IPv4Interface) -> bytes:
    """Value of an ipam-held record."""
    return msgspec.json.encode(_Held(ident, interface.network.prefixlen))


def ring_record(ring: Ring, me: PeerName) -> bytes:
    """Value of the ipam-ring record."""
    entries: list[_Entry] = [(entry.token, entry.peer, entry.version, entry.free) for entry in ring.entries]
    return msgspec.json.encode(_Ring(me, ring.start, ring.end, list(ring.seeds), entries))


def vote_record(node: NodeId, claims: Claims) -> bytes:
    """Value of the ipam-vote record."""
    promise, accepted, origin = map(_flat, (claims.promise, claims.accepted, claims.origin))
    return msgspec.json.encode(_Vote(node.uid, promise, accepted, list(claims.value), origin))


def nicknames_record(nicknames: Mapping[PeerName, str]) -> bytes:
    """Value of the ipam-names record."""
    return msgspec.json.encode(dict(sorted(nicknames.items())))


def restore(records: Iterable[RecordTuple], me: PeerName) -> Restored:
    """Read records back. A record that makes no sense is reported and left out."""
    restored = Restored()
    for kind, key, value in records:
        reader = _READERS.get(kind)
        if reader is None:
            continue
        try:
            reader(restored, key, value, me)
        except (msgspec.DecodeError, ValueError, RingInvalid) as problem:
            restored.problems.append(f"stored record {kind} {key!r} cannot be used and is skipped: {problem}")
            restored.ring_unreadable |= kind == RING
    return restored


def _restore_held(restored: Restored, key: str, value: bytes, _me: PeerName) -> None:
    held = msgspec.json.decode(value, type=_Held)
    try:
        interface = IPv4Interface((int(IPv4Address(key)), held.prefix))
    except (AddressValueError, NetmaskValueError) as problem:
        raise ValueError(str(problem)) from None
    restored.holdings.add(held.ident, interface)


def _restore_ring(restored: Restored, _key: str, value: bytes, _me: PeerName) -> None:
    stored = msgspec.json.decode(value, type=_Ring)
    entries = tuple(
        Entry(token, PeerName(peer), version, free) for token, peer, version, free in stored.entries
    )
    ring = Ring(stored.start, stored.end, entries, tuple(map(PeerName, stored.seeds)))
    ring.check()
    restored.ring = ring
    restored.peer = PeerName(stored.peer)


def _restore_vote(restored: Restored, _key: str, value: bytes, me: PeerName) -> None:
    vote = msgspec.json.decode(value, type=_Vote)
    promise, accepted, origin = map(_proposal, (vote.promise, vote.accepted, vote.origin))
    claims = Claims(promise, accepted, tuple(map(PeerName, vote.value)), origin)
    restored.vote = (NodeId(me, vote.uid), claims)


def _restore_nicknames(restored: Restored, _key: str, value: bytes, _me: PeerName) -> None:
    stored = msgspec.json.decode(value, type=dict[int, str])
    restored.nicknames = {PeerName(peer): text for peer, text in stored.items()}


_READERS = {HELD: _restore_held, RING: _restore_ring, VOTE: _restore_vote, NAMES: _restore_nicknames}


def _flat(proposal: Proposal) -> _Proposal:
    return (proposal.round, proposal.proposer.name, proposal.proposer.uid)


def _proposal(flat: _Proposal) -> Proposal:
    return Proposal(flat[0], NodeId(PeerName(flat[1]), flat[2]))
