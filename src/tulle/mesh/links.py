"""All connections, and which of several to the same peer is the link."""

from collections.abc import Mapping, Set
from enum import Enum, auto
from types import MappingProxyType

from tulle.mesh.connection import Link
from tulle.mesh.events import LinkId
from tulle.mesh.peername import PeerName


class Verdict(Enum):
    """Which of two connections to one peer survives."""

    OLD = auto()
    NEW = auto()
    NEITHER = auto()
    DISPUTED = auto()


def contest(old: Link, new: Link) -> Verdict:
    """Choose between two connections to one peer, so that both ends choose the same.

    The lower connection UID survives; of equal ones neither does. But two processes under one name are the
    same host before and after a restart, or two hosts: that depends on whether the old one still lives.
    A stale connection loses, and the other end notices that we made another.
    """
    assert old.greeting is not None
    assert new.greeting is not None
    if old.stale:
        return Verdict.NEW
    if old.greeting.uid != new.greeting.uid:
        return Verdict.DISPUTED
    if old.conn_uid == new.conn_uid:
        return Verdict.NEITHER
    return Verdict.NEW if new.conn_uid < old.conn_uid else Verdict.OLD


class LinkTable:
    """Connections by id, and the one link that is up by peer."""

    def __init__(self) -> None:
        self._all: dict[LinkId, Link] = {}
        self._up: dict[PeerName, Link] = {}
        self._alike: set[PeerName] = set()
        self._stale: set[PeerName] = set()
        self._rivals: dict[LinkId, Link] = {}
        self._caught_up: list[Link] = []

    @property
    def all(self) -> Mapping[LinkId, Link]:
        """Every open connection."""
        return MappingProxyType(self._all)

    @property
    def up(self) -> Mapping[PeerName, Link]:
        """The link to each neighbour."""
        return MappingProxyType(self._up)

    @property
    def fresh(self) -> Set[PeerName]:
        """The neighbours whose link need not be replaced."""
        return self._up.keys() - self._stale if self._stale else self._up.keys()

    def moved(self, ips: Set[str]) -> list[Link]:
        """These are our IPv4 addresses now. Connections made from others are stale; all that are."""
        stale = []
        for link in self._all.values():
            link.stale = ":" not in link.local[0] and link.local[0] not in ips
            if link.stale:
                stale.append(link)
        self._stale = {peer for peer, link in self._up.items() if link.stale}
        return stale

    def add(self, link: Link) -> None:
        """A connection was opened."""
        self._all[link.id] = link

    def remove(self, link: Link) -> bool:
        """A connection is over; says whether it was the link to its peer."""
        del self._all[link.id]
        self._rivals.pop(link.id, None)
        peer = link.peer
        if peer is None or self._up.get(peer) is not link:
            return False
        del self._up[peer]
        self._alike.discard(peer)
        self._stale.discard(peer)
        return True

    def raise_up(self, link: Link) -> None:
        """This connection is the link to its peer now."""
        assert link.peer is not None
        assert link.peer not in self._up
        self._up[link.peer] = link
        if self._rivals.pop(link.id, None) is not None:
            self._caught_up.append(link)
        if link.greeting is not None and link.greeting.tells_all:
            self._alike.add(link.peer)

    def alike(self) -> set[PeerName]:
        """The neighbours of our own kind (see ``Greeting.tells_all``)."""
        return set(self._alike)

    def stand_by(self, link: Link) -> None:
        """This connection waits to replace the link to its peer."""
        self._rivals[link.id] = link

    def rivals(self, peer: PeerName) -> list[Link]:
        """The connections that wait to replace the link to ``peer``, those that came first in front."""
        return [link for link in self._rivals.values() if link.peer == peer] if self._rivals else []

    def caught_up(self) -> list[Link]:
        """The connections that waited and have become links since the last call."""
        risen, self._caught_up = self._caught_up, []
        return risen

    def inbound(self) -> dict[str, Link]:
        """The connections that others opened, by the IP address they came from."""
        return {link.remote[0]: link for link in self._all.values() if not link.outbound}
