"""Who wants which multicast groups, on all peers, kept alike by gossip.

Each peer speaks for itself alone, with versions: whoever hears something older, or something else, in its
name says the next version at once. Peers that know nothing of this channel (Weave Net's) carry it unread,
and have no interest here: they are sent everything.
"""

import math
from collections.abc import Container, Iterable, Mapping
from dataclasses import replace

from tulle.datapath.groups import wire
from tulle.datapath.groups.record import MAX_GROUPS, MAX_VERSION, Group, Interest, merged, worth_saying
from tulle.instant import Instant
from tulle.mesh.channel import NO_KEYS, Broadcast, Keys, Merged, Outgoing
from tulle.mesh.peername import PeerName
from tulle.mesh.strangers import Strangers

PACE = 0.2
"""Seconds between two messages of ours: what changes meanwhile is said together."""

RECORDS_PER_MESSAGE = 256
"""A whole state goes out in pieces of this many peers, at most some megabytes each."""


class GroupChannel:
    """The channel "tulle-groups"."""

    name = "tulle-groups"

    def __init__(self, me: PeerName) -> None:
        self.outbox: list[Outgoing] = []
        self.generation = 0
        """Goes up whenever somebody's interest changes."""
        self._me = me
        self._interests: dict[PeerName, Interest] = {}
        self._strangers = Strangers()
        self._wanted: Interest | None = None
        self._reason = ""
        self._said_at = -math.inf
        self._due = math.inf
        self._notes: list[str] = []

    # -- what happens here -----------------------------------------------------------------------------------

    def want(self, groups: Iterable[Group], everything: str, now: Instant) -> None:
        """The listeners of this host want these groups, or all of them if ``everything`` says why."""
        named = worth_saying(groups)
        if len(named) > MAX_GROUPS:
            everything = everything or f"its containers listen to more than {MAX_GROUPS} multicast groups"
        if everything:
            named = frozenset()
        if everything != self._reason:
            self._notes.append(
                f"this host gets the multicast of all groups: {everything}"
                if everything
                else "this host gets only the multicast of its own groups again"
            )
        self._reason = everything
        self._wanted = Interest(0, named, bool(everything))
        self._look(now)

    def known_peers(self, names: Container[PeerName]) -> None:
        """The peers of the topology, as a view that stays current."""
        self._strangers.known = names

    def peers_gone(self, names: Iterable[PeerName]) -> None:
        """Forget peers that left the topology. The others do the same, so nobody is told."""
        self._forget(name for name in names if name != self._me)

    def tick(self, now: Instant) -> None:
        """Say what has changed here; forget strangers that nobody has introduced."""
        if now.mono >= self._due:
            self._look(now)
        self._forget(self._strangers.overdue(now))

    def next_deadline(self) -> float:
        """When ``tick`` has something to do, on the mono clock."""
        return min(self._due, self._strangers.next_deadline())

    def collect(self) -> list[str]:
        """Lines for the log since the last call."""
        notes, self._notes = self._notes, []
        return notes

    @property
    def interests(self) -> Mapping[PeerName, Interest]:
        """What each peer wants that has said so, our own included."""
        return self._interests

    # -- the channel -----------------------------------------------------------------------------------------

    def encode_all(self, dialect: str, now: Instant) -> list[bytes]:
        """What all known peers want, in pieces."""
        told = [name for name in self._interests if name not in self._strangers]
        pieces = (told[at : at + RECORDS_PER_MESSAGE] for at in range(0, len(told), RECORDS_PER_MESSAGE))
        return [self._encode(piece) for piece in pieces]

    def encode_some(self, dialect: str, keys: Keys, now: Instant) -> list[bytes]:
        """What the peers among ``keys`` want."""
        chosen = [name for name in self._interests if name in keys]
        return [self._encode(chosen)] if chosen else []

    def merge(self, dialect: str, payload: bytes, sender: PeerName, broadcast: bool, now: Instant) -> Merged:
        """Take interests in; those of peers that are not in the topology for a while only."""
        told = wire.decode(payload)
        if told is None:
            return Merged(NO_KEYS, NO_KEYS)
        fresh = {name for name, interest in told.items() if self._hear(name, interest, now)}
        received = frozenset(name for name in told if name in self._interests)
        return Merged(received, frozenset(fresh))

    def receive(self, dialect: str, payload: bytes, src: PeerName, now: Instant) -> None:
        """Nobody sends this to single peers; such a message is dropped."""

    # -- inside ----------------------------------------------------------------------------------------------

    def _hear(self, name: PeerName, interest: Interest, now: Instant) -> bool:
        """Whether this is news here, and so to be passed on."""
        if name == self._me:
            self._hear_of_own(interest, now)
            return False
        old = self._interests.get(name)
        new = merged(old, interest)
        if new == old:
            return False
        if old is None and not self._strangers.admit(name, now):
            return False
        self._interests[name] = new
        self.generation += 1
        return True

    def _hear_of_own(self, heard: Interest, now: Instant) -> None:
        """An earlier life of ours said this, or somebody who speaks in our name: go beyond it."""
        own = self._interests.get(self._me)
        if own is None or merged(own, heard) != own:
            self._interests[self._me] = heard
            self._look(now)

    def _look(self, now: Instant) -> None:
        """Say what has changed, now or when it is time."""
        said, wanted = self._interests.get(self._me), self._wanted
        if wanted is None or (said is not None and said == replace(wanted, version=said.version)):
            self._due = math.inf
        elif now.mono < self._said_at + PACE:
            self._due = self._said_at + PACE
        else:
            version = min(said.version + 1 if said else 1, MAX_VERSION)
            self._interests[self._me] = replace(wanted, version=version)
            self.generation += 1
            self._said_at, self._due = now.mono, math.inf
            self.outbox.append(Broadcast(frozenset((self._me,))))

    def _encode(self, names: Iterable[PeerName]) -> bytes:
        return wire.encode({name: self._interests[name] for name in names})

    def _forget(self, names: Iterable[PeerName]) -> None:
        for name in names:
            self._strangers.drop(name)
            if self._interests.pop(name, None) is not None:
                self.generation += 1
