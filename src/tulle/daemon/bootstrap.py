"""How the first peers agree on who owns the range: ``consensus[=N] | seed=NAME,... | observer``."""

from dataclasses import dataclass

from tulle.daemon.values import peer_name, whole_number
from tulle.errors import UserError
from tulle.mesh.peername import PeerName


@dataclass(frozen=True, slots=True)
class Consensus:
    """An election among ``size`` peers; None: as many as we have targets, and ourselves."""

    size: int | None = None


@dataclass(frozen=True, slots=True)
class Seed:
    """No election: these peers share the range from the start. All of them must be told the same list."""

    peers: tuple[PeerName, ...]


@dataclass(frozen=True, slots=True)
class Observer:
    """Take no part in an election; wait for those who do."""


Bootstrap = Consensus | Seed | Observer


def parse_bootstrap(text: str) -> Bootstrap:
    """The value of ``--ipalloc-init``. Raises UserError."""
    mode, equals, value = text.partition("=")
    if mode == "consensus":
        return Consensus(whole_number(value, 1, 10_000, "a number of peers") if equals else None)
    if mode == "observer" and not equals:
        return Observer()
    if mode == "seed" and value:
        peers = tuple(peer_name(part.strip()) for part in value.split(","))
        if len(set(peers)) != len(peers):
            raise UserError(f"{text!r} names a peer twice")
        return Seed(peers)
    raise UserError(f"{text!r} is not a way to start; use consensus, consensus=3, seed=NAME,NAME or observer")
