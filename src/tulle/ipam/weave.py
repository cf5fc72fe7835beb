"""The IPallocation channel in Weave Net's encoding.

Gossip and broadcasts carry one State. Unicasts start with a byte that says what they are; InUse is a kind of
our own, which Weave Net's peers are not sent. Everything here that reads network bytes raises BadMessage and
nothing else.
"""

import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tulle.errors import BadMessage
from tulle.ipam.paxos import MAX_ELECTORS, MAX_ROUND, Claims, NodeId, Proposal
from tulle.ipam.ring import MAX_ENTRIES, MAX_VERSION, Entry, Range, Ring, RingInvalid
from tulle.mesh.dialect.weave import gob
from tulle.mesh.peername import PeerName

MAX_NICKNAMES = 1 << 14
_NICKNAME_LENGTH = 255
_U32 = 0xFFFF_FFFF

MAX_IN_USE = 1 << 12
"""Addresses in one InUse message; who uses more of what it does not own asks for the rest afterwards."""

_NAME_SLICE = gob.Slice(gob.UINT, "[]mesh.PeerName")
_NODE = gob.Struct("", (("Name", gob.UINT), ("UID", gob.UINT)))
_PROPOSAL = gob.Struct("ProposalID", (("Round", gob.UINT), ("Proposer", _NODE)))
_ACCEPTED = gob.Struct("AcceptedValue", (("Value", gob.Slice(gob.UINT, "Value")), ("Origin", _PROPOSAL)))
_CLAIMS = gob.Struct("", (("Promise", _PROPOSAL), ("Accepted", _PROPOSAL), ("AcceptedVal", _ACCEPTED)))
_ENTRY = gob.Struct("", (("Token", gob.UINT), ("Peer", gob.UINT), ("Version", gob.UINT), ("Free", gob.UINT)))
_RING = gob.Struct(
    "Ring",
    (
        ("Start", gob.UINT),
        ("End", gob.UINT),
        ("Peer", gob.UINT),
        ("Entries", gob.Slice(_ENTRY, "entries")),
        ("Seeds", _NAME_SLICE),
    ),
)
_STATE = gob.Struct(
    "gossipState",
    (
        ("Now", gob.INT),
        ("Nicknames", gob.Map(gob.UINT, gob.STRING, "map[mesh.PeerName]string")),
        ("Paxos", gob.Optional(gob.Map(_NODE, _CLAIMS, "GossipState"))),
        ("Ring", gob.Optional(_RING)),
    ),
)
_RANGE = gob.Struct("Range", (("Start", gob.UINT), ("End", gob.UINT)))


@dataclass(frozen=True, slots=True)
class State:
    """What a peer says of address management.

    ``claims`` is None from a peer that takes no part in the election (an observer, or one that has a ring),
    and an empty mapping from an elector that knows nothing yet. ``ring`` is None before there is one.
    """

    nicknames: Mapping[PeerName, str] = field(default_factory=dict)
    claims: Mapping[NodeId, Claims] | None = None
    ring: Ring | None = None


@dataclass(frozen=True, slots=True)
class SpaceRequest:
    """Please give me some free addresses of this range."""

    wanted: Range


@dataclass(frozen=True, slots=True)
class RingUpdate:
    """The sender's state, as the answer to something."""

    state: State


@dataclass(frozen=True, slots=True)
class SpaceDenied:
    """I have no free address in this range."""

    wanted: Range


@dataclass(frozen=True, slots=True)
class InUse:
    """Containers of mine have these addresses, although I do not own them."""

    addresses: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class UnknownKind:
    """A kind of message from a later version; not an error."""

    kind: int


Direct = SpaceRequest | RingUpdate | SpaceDenied | InUse

_IN_USE = 0x80


def encode_state(state: State, me: PeerName, wall: float) -> bytes:
    """Gossip payload. ``wall`` is Unix time."""
    return gob.encode((_STATE, _state_value(state, me, wall)))


def decode_state(payload: bytes) -> State:
    """The state in a gossip payload."""
    (value,) = gob.decode(payload, _STATE)
    return _guard(lambda: _read_state(value))


def encode_direct(message: Direct, me: PeerName, wall: float) -> bytes:
    """Unicast payload."""
    match message:
        case SpaceRequest(wanted):
            return b"\x00" + encode_range(wanted)
        case RingUpdate(state):
            return b"\x01" + encode_state(state, me, wall)
        case SpaceDenied(wanted):
            return b"\x02" + encode_range(wanted)
        case InUse(addresses):
            return struct.pack(f">B{len(addresses)}I", _IN_USE, *addresses)


def decode_direct(payload: bytes) -> Direct | UnknownKind:
    """The message in a unicast payload."""
    if not payload:
        raise BadMessage("empty message about address space")
    kind, body = payload[0], payload[1:]
    if kind == 0:
        return SpaceRequest(decode_range(body))
    if kind == 1:
        return RingUpdate(decode_state(body))
    if kind == 2:
        return SpaceDenied(decode_range(body))
    if kind == _IN_USE:
        return InUse(_read_addresses(body))
    return UnknownKind(kind)


def _read_addresses(body: bytes) -> tuple[int, ...]:
    if len(body) % 4 or len(body) > 4 * MAX_IN_USE:
        raise BadMessage("the addresses in use are cut short or too many")
    return struct.unpack(f">{len(body) // 4}I", body)


def encode_range(wanted: Range) -> bytes:
    """A range on its own."""
    return gob.encode((_RANGE, {"Start": wanted.start, "End": wanted.end}))


def decode_range(body: bytes) -> Range:
    """A range; its end is not before its start."""
    (value,) = gob.decode(body, _RANGE)
    start, end = value["Start"], value["End"]
    if not start <= end <= _U32:
        raise BadMessage("address range ends before it starts")
    return Range(start, end)


def _state_value(state: State, me: PeerName, wall: float) -> dict[str, object]:
    value: dict[str, object] = {"Now": int(wall), "Nicknames": dict(state.nicknames)}
    if state.claims is not None:
        value["Paxos"] = {tuple(node): _claims_value(claims) for node, claims in state.claims.items()}
    if state.ring is not None:
        value["Ring"] = _ring_value(state.ring, me)
    return value


def _claims_value(claims: Claims) -> dict[str, object]:
    return {
        "Promise": _proposal_value(claims.promise),
        "Accepted": _proposal_value(claims.accepted),
        "AcceptedVal": {"Value": list(claims.value), "Origin": _proposal_value(claims.origin)},
    }


def _proposal_value(proposal: Proposal) -> dict[str, object]:
    proposer = proposal.proposer
    return {"Round": proposal.round, "Proposer": {"Name": proposer.name, "UID": proposer.uid}}


def _ring_value(ring: Ring, me: PeerName) -> dict[str, object]:
    entries = [
        {"Token": entry.token, "Peer": entry.peer, "Version": entry.version, "Free": entry.free}
        for entry in ring.entries
    ]
    return {"Start": ring.start, "End": ring.end, "Peer": me, "Entries": entries, "Seeds": list(ring.seeds)}


_T = TypeVar("_T")


def _guard(read: Callable[[], _T]) -> _T:
    try:
        return read()
    except RingInvalid as broken:
        raise BadMessage(str(broken)) from None


def _read_state(value: dict[str, Any]) -> State:
    claims, ring = value["Paxos"], value["Ring"]
    return State(
        nicknames=_read_nicknames(value["Nicknames"]),
        claims=None if claims is None else _read_claims(claims),
        ring=None if ring is None else _read_ring(ring),
    )


def _read_nicknames(value: Mapping[int, str]) -> dict[PeerName, str]:
    if len(value) > MAX_NICKNAMES:
        raise BadMessage(f"more than {MAX_NICKNAMES} nicknames")
    return {_peer(name): clean_nickname(text) for name, text in value.items()}


def clean_nickname(text: str) -> str:
    """A nickname that is safe to print: no control characters, not endless."""
    short = text[:_NICKNAME_LENGTH]
    return short if short.isprintable() else "".join(filter(str.isprintable, short))


def _read_claims(value: Mapping[tuple[int, int], dict[str, Any]]) -> dict[NodeId, Claims]:
    if len(value) > MAX_ELECTORS:
        raise BadMessage(f"more than {MAX_ELECTORS} electors")
    return {NodeId(_peer(name), uid): _read_one_claim(claim) for (name, uid), claim in value.items()}


def _read_one_claim(value: dict[str, Any]) -> Claims:
    accepted = value["AcceptedVal"]
    claims = Claims(
        promise=_read_proposal(value["Promise"]),
        accepted=_read_proposal(value["Accepted"]),
        value=_peers(accepted["Value"], MAX_ELECTORS),
        origin=_read_proposal(accepted["Origin"]),
    )
    if claims.accepted.round and not claims.value:
        raise BadMessage("an elector accepted an empty list of peers")
    return claims


def _read_proposal(value: dict[str, Any]) -> Proposal:
    proposer = value["Proposer"]
    if value["Round"] > MAX_ROUND:
        raise BadMessage("election round is out of bounds")
    name = PeerName(proposer["Name"]) if proposer["Name"] == 0 else _peer(proposer["Name"])
    return Proposal(value["Round"], NodeId(name, proposer["UID"]))


def _read_ring(value: dict[str, Any]) -> Ring:
    if len(value["Entries"]) > MAX_ENTRIES:
        raise BadMessage(f"ring has more than {MAX_ENTRIES} entries")
    if not 0 <= value["Start"] < value["End"] <= _U32:
        raise BadMessage("ring has no address range")
    ring = Ring(
        start=value["Start"],
        end=value["End"],
        entries=tuple(_read_entry(entry) for entry in value["Entries"]),
        seeds=_peers(value["Seeds"], MAX_ENTRIES),
    )
    ring.check()
    return ring


def _read_entry(value: dict[str, Any]) -> Entry:
    if value["Version"] > MAX_VERSION or value["Free"] > _U32:
        raise BadMessage("ring entry is out of bounds")
    return Entry(value["Token"], _peer(value["Peer"]), value["Version"], value["Free"])


def _peers(names: Iterable[int], limit: int) -> tuple[PeerName, ...]:
    peers = tuple(_peer(name) for name in names)
    if len(peers) > limit:
        raise BadMessage(f"more than {limit} peers in a list")
    return peers


def _peer(name: int) -> PeerName:
    if not 0 < name < 1 << 48:
        raise BadMessage("peer name is out of bounds")
    return PeerName(name)
