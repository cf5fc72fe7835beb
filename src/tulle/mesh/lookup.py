"""Finding a peer by what a person calls it."""

from collections.abc import Mapping

from tulle.errors import UserError
from tulle.mesh.peername import PeerName, format_name, parse_name
from tulle.mesh.summary import PeerSummary


def label(name: PeerName, nickname: str) -> str:
    """A peer for people to read: name, and nickname if it has one."""
    return f"{format_name(name)}({nickname})" if nickname else format_name(name)


def find_peer(peers: Mapping[PeerName, PeerSummary], text: str) -> PeerName:
    """The peer with this name or nickname. Raises UserError if there is none, or more than one."""
    try:
        name = parse_name(text)
    except ValueError:
        name = None
    if name is not None and name in peers:
        return name
    found = sorted(peer.name for peer in peers.values() if peer.nickname == text)
    if not found:
        raise UserError(f"there is no peer {text}; `tulle status peers` lists all that are known", 404)
    if len(found) > 1:
        names = ", ".join(map(format_name, found))
        raise UserError(f"several peers are called {text}: {names}; use the name of the one you mean", 409)
    return found[0]
