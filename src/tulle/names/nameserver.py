"""The names of all containers on all peers, kept alike by gossip.

Every peer holds every name and answers from memory. A peer changes only its own entries; what it hears
about them from others it corrects: the owner of a name is always right (see ``_hear_of_own``).

Nothing here trusts a clock. Entries merge by version, tombstones age from the moment they arrive, and a
message from a peer whose clock is wrong is as good as any other. (Peers running Weave Net drop the
connection when clocks differ by more than 15 minutes, so that much is said in the log.)
"""

import math
from collections.abc import Container, Iterable
from ipaddress import IPv4Address
from struct import Struct

from tulle.errors import BadMessage, UserError
from tulle.instant import Instant
from tulle.mesh.channel import NO_KEYS, Broadcast, Gossip, Keys, Merged, Outgoing
from tulle.mesh.peername import PeerName
from tulle.names import records, weave
from tulle.names.clocks import Clocks
from tulle.names.directory import Directory
from tulle.names.early import EarlyEntries
from tulle.names.entry import Entry, Key
from tulle.names.events import Event, Log, Save
from tulle.names.hostname import complete, complete_inside, parse_domain, wire_form
from tulle.names.migration import Migration
from tulle.names.state import State
from tulle.names.tombstones import Tombstones
from tulle.names.unsaved import Unsaved

ENTRIES_PER_MESSAGE = 20_000
"""A whole state goes out in pieces of this size, far below the 10 MiB that a message may have."""

MOST_ENTRIES = 1 << 18
"""Names and removals, of all peers, that are remembered; what other peers tell beyond that is ignored."""

_WALL = Struct(">q")


class Nameserver:
    """The channel "nameserver", and what this peer's containers are called.

    ``restored`` are the records of a previous life; those of other parts are ignored.
    """

    name = "nameserver"

    def __init__(self, peer: PeerName, domain: str, restored: Iterable[tuple[str, str, bytes]] = ()) -> None:
        self.peer = peer
        self.domain = parse_domain(domain)
        self.outbox: list[Outgoing] = []
        self._state = State(peer, self.domain)
        self._known: Container[PeerName] = frozenset()
        self._tombstones = Tombstones()
        self._early = EarlyEntries()
        self._clocks = Clocks()
        self._migration = Migration(self.domain)
        self._unsaved = Unsaved()
        self._crowded = False
        self._events: list[Event] = []
        self._restore(restored)

    # -- what the operator and the containers want -----------------------------------------------------------

    def add(self, container: str, hostname: str, address: IPv4Address, now: Instant) -> None:
        """Give a container a name; nothing happens if it has it already. UserError if it cannot be a name."""
        key = Key(complete_inside(hostname, self.domain), self.peer, container, int(address))
        if any(self._same_but_for_case(key, other) for other in self.directory.at(key.address)):
            return
        old = self._state.entries.get(key)
        self._change([Entry(key, old.version + 1 if old else 0, 0)], now)

    def remove(
        self, container: str | None, hostname: str | None, address: IPv4Address | None, now: Instant
    ) -> int:
        """Remove names of this peer that match everything given (None matches all); how many there were."""
        wire = None if hostname is None else wire_form(complete(hostname, self.domain))
        keys = [
            key
            for key in self._state.matching(container, wire, address)
            if key.origin == self.peer
            and (container is None or key.container == container)
            and (wire is None or wire_form(key.hostname) == wire)
            and (address is None or key.address == int(address))
        ]
        self._remove(keys, now)
        return len(keys)

    def container_gone(self, container: str, now: Instant) -> int:
        """Remove every name of a container; how many there were."""
        return self.remove(container, None, None, now)

    # -- answers ---------------------------------------------------------------------------------------------

    @property
    def directory(self) -> Directory:
        """The live names, for those who answer."""
        return self._state.directory

    @property
    def generation(self) -> int:
        """Goes up whenever an answer may have changed."""
        return self.directory.generation

    def lookup(self, hostname: str) -> tuple[IPv4Address, ...]:
        """The addresses of a name, which may be a single label. UserError if it cannot be a name."""
        return self.directory.addresses(wire_form(complete(hostname, self.domain)))

    def reverse(self, address: IPv4Address) -> str | None:
        """The complete name of an address."""
        return self.directory.reverse(address)

    def names_of(self, container: str) -> list[str]:
        """What a container of this peer is called, in order."""
        return sorted({key.hostname for key in self._state.of_container(container)})

    def records_of(self, container: str) -> list[tuple[str, IPv4Address]]:
        """Each name of a container of this peer, at each of its addresses."""
        return [(key.hostname, IPv4Address(key.address)) for key in self._state.of_container(container)]

    def containers(self) -> list[str]:
        """Every container of this peer that has a name."""
        return self._state.containers()

    def entries(self) -> list[Entry]:
        """Every entry and every tombstone that is still being spread, in order of names."""
        return sorted(self._spoken().values(), key=lambda entry: entry.key)

    # -- the channel -----------------------------------------------------------------------------------------

    def encode_all(self, dialect: str, now: Instant) -> list[bytes]:
        """The complete state, in pieces."""
        spoken = self._spoken()
        keys = [key for key in spoken if key not in self._unsaved]
        pieces = (keys[at : at + ENTRIES_PER_MESSAGE] for at in range(0, len(keys), ENTRIES_PER_MESSAGE))
        return [weave.encode(int(now.wall), {key: spoken[key] for key in piece}) for piece in pieces]

    def encode_some(self, dialect: str, keys: Keys, now: Instant) -> list[bytes]:
        """The present state of ``keys``."""
        chosen = {
            key: self._state.entries[key]
            for key in keys
            if isinstance(key, Key) and key in self._state.entries and key not in self._unsaved
        }
        return [weave.encode(int(now.wall), chosen)] if chosen else []

    def merge(self, dialect: str, payload: bytes, sender: PeerName, broadcast: bool, now: Instant) -> Merged:
        """Take entries in; those of peers that are not in the topology wait until they are."""
        message = weave.decode(payload)
        self._events += self._clocks.compare(sender, message.timestamp - now.wall)
        received: set[Key] = set()
        fresh: set[Key] = set()
        corrected: set[Key] = set()
        for entry in message.entries:
            if entry.key.origin == self.peer:
                correct = self._hear_of_own(entry, now)
                if correct is not None:
                    corrected.add(entry.key)
                    self._put(correct, now)
            elif entry.key.origin not in self._known:
                self._early.hold(entry, now)
                continue
            elif self._is_news(entry):
                if not self._room_for(entry.key):
                    continue
                fresh.add(entry.key)
                self._put(entry, now)
            received.add(entry.key)
        self._broadcast(corrected)
        return Merged(frozenset(received), frozenset(fresh | corrected))

    def digest(self, fine: bool, now: Instant) -> bytes:
        """See ``mesh.channel.Comparable``. Our wall clock comes first, so that wrong clocks show."""
        fingerprint = self._state.fingerprint
        return _WALL.pack(int(now.wall)) + (fingerprint.fine() if fine else fingerprint.whole())

    def compare(self, theirs: bytes, fine: bool, sender: PeerName, now: Instant) -> Keys | None:
        """See ``mesh.channel.Comparable``. Raises BadMessage."""
        if len(theirs) < _WALL.size:
            raise BadMessage("a digest of the names is cut off")
        (wall,) = _WALL.unpack_from(theirs)
        self._events += self._clocks.compare(sender, wall - now.wall)
        digest, fingerprint = theirs[_WALL.size :], self._state.fingerprint
        if not fine:
            return NO_KEYS if digest == fingerprint.whole() else None
        try:
            return frozenset(fingerprint.differing(digest, self._spoken()))
        except ValueError as error:
            raise BadMessage(str(error)) from None

    def receive(self, dialect: str, payload: bytes, src: PeerName, now: Instant) -> None:
        """Names are not sent to single peers; such a message is dropped."""

    # -- what happens around ---------------------------------------------------------------------------------

    def known_peers(self, names: Container[PeerName]) -> None:
        """The peers of the topology, as a view that stays current: only their entries are accepted."""
        self._known = names

    def peers_gone(self, names: Iterable[PeerName]) -> None:
        """Drop the entries of peers that left the topology. Other peers do the same, so nobody is told."""
        gone = frozenset(names)
        self._clocks.forget(gone)
        for name in gone:
            if name != self.peer:
                for key in self._state.of_origin(name):
                    self._drop(key)

    def tick(self, now: Instant) -> None:
        """Forget tombstones that are old enough; accept what came too early."""
        if self._migration:
            self._migrate(now)
        self._accept(self._early.take(self._known, now), now)
        for key in self._tombstones.expired(now, self._state.entries):
            self._drop(key)

    def next_deadline(self) -> float:
        """When ``tick`` has something to do, on the mono clock."""
        if self._migration or self._unsaved.owed:
            return -math.inf
        return min(self._tombstones.next_deadline(), self._early.next_deadline())

    def collect(self) -> list[Event]:
        """What is to be saved and logged since the last call. It counts as saved unless ``storage_failed``
        follows; then the caller keeps it and tries again after the next call.
        """
        self._broadcast(self._unsaved.hand_out())
        events, self._events = self._events, []
        return events

    def storage_failed(self) -> None:
        """The records handed out so far are not on disk: tell nobody of the names in them for now."""
        self._unsaved.refused()

    # -- inside ----------------------------------------------------------------------------------------------

    @staticmethod
    def _same_but_for_case(one: Key, other: Key) -> bool:
        return one[1:] == other[1:] and one.hostname.lower() == other.hostname.lower()

    def _hear_of_own(self, heard: Entry, now: Instant) -> Entry | None:
        """What to answer when others hold something newer about a name of ours; None when they do not.

        It comes from a previous life whose end the disk did not see, or from a peer with our name. A name
        that we have is said again with a version above theirs; one that we do not have is removed.
        """
        ours = self._state.entries.get(heard.key)
        if ours is None:
            if not heard.live:
                return heard
            return Entry(heard.key, heard.version + 1, _tombstone(now))
        if heard.replaces(ours):
            return Entry(ours.key, heard.version + 1, ours.tombstone)
        return None

    def _is_news(self, entry: Entry) -> bool:
        old = self._state.entries.get(entry.key)
        return old is None or entry.replaces(old)

    def _room_for(self, key: Key) -> bool:
        """Whether one more entry of another peer can be remembered; said once when it cannot."""
        entries = self._state.entries
        if key in entries or len(entries) < MOST_ENTRIES:
            return True
        if not self._crowded:
            self._crowded = True
            text = (
                f"there are {len(entries)} names in the network, as many as are remembered; more are ignored"
            )
            self._events.append(Log("warning", text))
        return False

    def _accept(self, entries: list[Entry], now: Instant) -> None:
        """Take in what waited, and pass it on as news."""
        fresh = [entry for entry in entries if self._is_news(entry) and self._room_for(entry.key)]
        for entry in fresh:
            self._put(entry, now)
        if fresh:
            self.outbox.append(Gossip(frozenset(entry.key for entry in fresh)))

    def _remove(self, keys: Iterable[Key], now: Instant) -> None:
        self._change([Entry(key, self._state.entries[key].version + 1, _tombstone(now)) for key in keys], now)

    def _change(self, entries: list[Entry], now: Instant) -> None:
        for entry in entries:
            self._put(entry, now)
        self._broadcast({entry.key for entry in entries})

    def _broadcast(self, keys: set[Key]) -> None:
        if keys:
            self.outbox.append(Broadcast(frozenset(keys)))

    def _put(self, entry: Entry, now: Instant) -> None:
        """Make ``entry`` the state of its key, in every index and on disk."""
        self._state.put(entry)
        if entry.live:
            self._tombstones.release(entry.key)
        else:
            self._tombstones.hold(entry, now)
        if entry.key.origin == self.peer:
            if entry.live:
                self._events += self._migration.note_domain()
            self._events.append(records.save(entry))
            self._unsaved.changed(entry)

    def _drop(self, key: Key) -> None:
        self._state.drop(key)
        self._tombstones.release(key)
        if key.origin == self.peer:
            self._events.append(records.forget(key))

    def _spoken(self) -> dict[Key, Entry]:
        """The state without the tombstones that are silent by now."""
        silent = self._tombstones.silent
        if not silent:
            return self._state.entries
        return {key: entry for key, entry in self._state.entries.items() if key not in silent}

    def _migrate(self, now: Instant) -> None:
        """Names that were saved under another domain come under the one that is served now."""
        strays = self._migration.take()
        moved = sum(self._try_add(key, hostname, now) for key, hostname in strays if hostname is not None)
        self._remove([key for key, _ in strays], now)
        text = (
            f"of {len(strays)} names from another domain {moved} are under {self.domain} now, the others gone"
        )
        self._events.append(Log("info", text))

    def _try_add(self, key: Key, hostname: str, now: Instant) -> bool:
        try:
            self.add(key.container, hostname, IPv4Address(key.address), now)
        except UserError as error:
            self._events.append(Log("warning", f"{key.hostname} cannot be moved to another domain: {error}"))
            return False
        return True

    def _restore(self, restored: Iterable[tuple[str, str, bytes]]) -> None:
        for kind, record_key, value in restored:
            if kind == records.DOMAIN_KIND:
                self._migration.restored_domain(value)
            if kind != records.KIND:
                continue
            try:
                entry = records.restore(record_key, value, self.peer)
            except ValueError as error:
                self._events.append(Log("warning", f"a saved name is damaged and dropped: {error}"))
                self._events.append(Save(kind, record_key, None))
                continue
            self._state.put(entry)
            if not entry.live:
                self._tombstones.restore(entry)
            else:
                self._migration.restored(entry.key)


def _tombstone(now: Instant) -> int:
    """The mark of a removal; never zero, which means alive."""
    return max(1, int(now.wall))
