"""All entries that a peer holds, with the indexes that keep every change and every answer cheap."""

from collections import defaultdict
from collections.abc import Iterable
from ipaddress import IPv4Address
from typing import TypeVar

from tulle.mesh.peername import PeerName
from tulle.names.directory import Directory
from tulle.names.entry import Entry, Key
from tulle.names.fingerprint import Fingerprint

Group = TypeVar("Group", PeerName, str)


class State:
    """Entries by key, by origin and, for the live ones of ``peer``, by container; and what is answered."""

    def __init__(self, peer: PeerName, domain: str) -> None:
        self.peer = peer
        self.directory = Directory(domain)
        self.entries: dict[Key, Entry] = {}
        self.fingerprint = Fingerprint()
        self._of_origin: defaultdict[PeerName, dict[Key, None]] = defaultdict(dict)
        self._of_container: defaultdict[str, dict[Key, None]] = defaultdict(dict)

    def put(self, entry: Entry) -> None:
        """Make ``entry`` the state of its key."""
        key = entry.key
        old = self.entries.get(key)
        for changed in (old, entry):
            if changed is not None and changed.live:
                self.fingerprint.toggle(changed)
        self.entries[key] = entry
        self._of_origin[key.origin][key] = None
        if not entry.live:
            self._unlist(key)
        elif old is None or not old.live:
            self.directory.add(entry)
            if key.origin == self.peer:
                self._of_container[key.container][key] = None

    def drop(self, key: Key) -> None:
        """Forget a key as if it had never been."""
        self._unlist(key)
        old = self.entries.pop(key)
        if old.live:
            self.fingerprint.toggle(old)
        _take_out(self._of_origin, key.origin, key)

    def of_origin(self, origin: PeerName) -> list[Key]:
        """Every key that a peer made."""
        return list(self._of_origin.get(origin, ()))

    def containers(self) -> list[str]:
        """Every container of ours that has a name."""
        return list(self._of_container)

    def of_container(self, container: str) -> list[Key]:
        """The live keys of a container of ours."""
        return list(self._of_container.get(container, ()))

    def matching(
        self, container: str | None, name: bytes | None, address: IPv4Address | None
    ) -> Iterable[Key]:
        """Live keys among which are all those of ours that match, as few as the indexes allow.

        ``name`` is in wire form; what is None matches all.
        """
        if container is not None:
            return self.of_container(container)
        if name is not None:
            return self.directory.named(name)
        if address is not None:
            return self.directory.at(int(address))
        return [key for keys in self._of_container.values() for key in keys]

    def _unlist(self, key: Key) -> None:
        """Take a key out of what is for live ones."""
        self.directory.discard(key)
        if key.origin == self.peer:
            _take_out(self._of_container, key.container, key)


def _take_out(groups: dict[Group, dict[Key, None]], group: Group, key: Key) -> None:
    """Remove a key from its group, if it is there, and the group when it is empty."""
    members = groups.get(group)
    if members is not None:
        members.pop(key, None)
        if not members:
            del groups[group]
