"""Who the other peers are: names for people, and who can be reached."""

from collections.abc import Iterable, Mapping, Set

from tulle.errors import UserError
from tulle.ipam.ring import Ring
from tulle.ipam.weave import MAX_NICKNAMES, clean_nickname
from tulle.mesh.peername import PeerName, format_name


class Directory:
    """Nicknames from the mesh and, for owners that are gone, from what others remember."""

    def __init__(self, me: PeerName) -> None:
        self._me = me
        self._live: dict[PeerName, str] = {}
        self._heard: dict[PeerName, str] = {}
        self._kept: dict[PeerName, str] = {}
        self._news = True
        self._kept_owners: frozenset[PeerName] = frozenset()
        self.reachable: frozenset[PeerName] = frozenset()

    def nicknames(self, owners: frozenset[PeerName]) -> dict[PeerName, str]:
        """Names worth telling: of peers in the mesh, and of owners that are gone. The mesh knows best."""
        return {peer: text for peer, text in self._heard.items() if peer in owners} | self._live

    def nicknames_of_absent(self, owners: frozenset[PeerName]) -> dict[PeerName, str]:
        """Only what the mesh does not tell everybody by itself: of owners that are gone, and our own."""
        known = self.nicknames(owners)
        return {peer: text for peer, text in known.items() if peer == self._me or peer not in self.reachable}

    def update(self, reachable: frozenset[PeerName], nicknames: Mapping[PeerName, str]) -> None:
        """What the mesh says now."""
        self.reachable = reachable
        self._heard |= self._live
        self._news = True
        self._live = {peer: clean_nickname(text) for peer, text in nicknames.items()}

    def learn(self, nicknames: Mapping[PeerName, str]) -> None:
        """Names that another peer uses."""
        if nicknames.items() <= self._heard.items():
            return
        if len(self._heard) < MAX_NICKNAMES:
            self._heard.update(nicknames)
            self._news = True

    def restore(self, nicknames: Mapping[PeerName, str]) -> None:
        """What owners of ranges were called in a previous life."""
        self._kept = {peer: clean_nickname(text) for peer, text in nicknames.items()}
        self.learn(self._kept)

    def to_keep(self, owners: frozenset[PeerName]) -> dict[PeerName, str] | None:
        """What these owners are called, if that should be written down anew; None if it need not be."""
        if not self._news and owners is self._kept_owners:
            return None
        self._news, self._kept_owners = False, owners
        names = {owner: self.nickname(owner) for owner in owners if self.nickname(owner)}
        if names == self._kept:
            return None
        self._kept = names
        return names

    def forget(self, names: Iterable[PeerName], owners: frozenset[PeerName]) -> None:
        """These peers are gone; owners of ranges keep their names, for whoever has to decide about them."""
        for name in set(names) - owners:
            self._heard.pop(name, None)
            self._live.pop(name, None)

    def known(self, peer: PeerName) -> bool:
        """Whether the peer is this one or can be reached."""
        return peer == self._me or peer in self.reachable

    def nickname(self, peer: PeerName) -> str:
        """What the peer is called; empty if nobody said."""
        return self._live.get(peer) or self._heard.get(peer, "")

    def label(self, peer: PeerName) -> str:
        """The peer as messages name it: ``h1 (02:00:00:00:00:01)``."""
        nickname = self.nickname(peer)
        return f"{nickname} ({format_name(peer)})" if nickname else format_name(peer)

    def find(self, text: str, among: frozenset[PeerName]) -> PeerName | None:
        """The peer written so. Raises UserError if a nickname is not unique."""
        found = sorted(peer for peer in among if text in (format_name(peer), self.nickname(peer)))
        if len(found) > 1:
            names = ", ".join(map(format_name, found))
            raise UserError(f"several peers are called {text}: {names}; give the name of one of them", 409)
        return found[0] if found else None

    def heir(self, ring: Ring, unless: Set[PeerName] = frozenset()) -> PeerName | None:
        """Who should get what we own when we leave: an owner that can be reached, else anybody that can.

        None of ``unless``, who may be leaving too.
        """
        stay = self.reachable - unless
        return min(ring.owners & stay or stay, default=None)
