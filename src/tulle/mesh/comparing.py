"""Whether two neighbours of our kind know the same of the topology, found out with a few bytes.

Complete descriptions of a large mesh every half a minute would be nearly all that an idle peer sends. A
digest of the versions says the same when nothing was lost. When it differs, and not only because news is
still on its way, whoever hears it answers with all it knows; what it lacks itself, its own digest will bring.
Peers of another kind get complete descriptions, as ever.
"""

from collections.abc import Iterable
from hashlib import blake2b
from struct import Struct

from tulle.mesh.peername import PeerName
from tulle.mesh.summary import PeerSummary
from tulle.mesh.topology import is_placeholder

CHANNEL = "tulle-topology"
PAUSE_SECONDS = 10.0
"""Between two complete answers to the same neighbour."""

_DESCRIPTION = Struct(">QQQH")
_NO_SHORT_ID = 0xFFFF


def digest(peers: Iterable[PeerSummary]) -> bytes:
    """Which descriptions somebody has; the order does not matter."""
    digester = blake2b(digest_size=16)
    for peer in sorted(peers, key=lambda peer: peer.name):
        if not is_placeholder(peer):
            short_id = _NO_SHORT_ID if peer.short_id is None else peer.short_id
            digester.update(_DESCRIPTION.pack(peer.name, peer.uid, peer.version, short_id))
    return digester.digest()


class Comparing:
    """Decides which digests are to be answered. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._odd: set[PeerName] = set()
        self._answered: dict[PeerName, float] = {}

    def differs(self, neighbour: PeerName, calm: bool, now: float) -> bool:
        """This neighbour's digest is not ours; whether to tell it everything.

        Unless all is ``calm`` (no news lately) only one that differs twice in a row counts.
        """
        self._answered = {peer: at for peer, at in self._answered.items() if at > now - PAUSE_SECONDS}
        if neighbour in self._answered:
            return False
        if not calm and neighbour not in self._odd:
            self._odd.add(neighbour)
            return False
        self._odd.discard(neighbour)
        self._answered[neighbour] = now
        return True

    def resume(self) -> None:
        """The topology has changed, and peers may have been forgotten meanwhile: answer all again."""
        self._answered.clear()

    def same(self, neighbour: PeerName) -> None:
        """This neighbour's digest is ours, or it is no neighbour any more."""
        self._odd.discard(neighbour)
