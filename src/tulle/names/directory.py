"""The live names, indexed for answers: by name, and by address.

Everything here costs by the entries concerned, never by how many there are: with 10,000 names a change of
one is a few dictionary operations.
"""

from collections import Counter, defaultdict
from ipaddress import IPv4Address

from tulle.names.entry import Entry, Key
from tulle.names.hostname import is_hostname, parents, wire_form


class Directory:
    """Live entries by name (in wire form, lower case) and by address.

    ``generation`` goes up whenever an answer may have changed.
    """

    def __init__(self, domain: str) -> None:
        """``domain`` is complete and in lower case."""
        self.generation = 0
        self._domain = wire_form(domain)
        self._by_name: dict[bytes, dict[Key, bytes]] = {}
        self._by_address: defaultdict[int, dict[Key, bytes]] = defaultdict(dict)
        self._parents: Counter[bytes] = Counter()
        self._addresses: dict[bytes, tuple[IPv4Address, ...]] = {}

    def add(self, entry: Entry) -> None:
        """List a live entry. One whose name no query can ask for is left out."""
        key = entry.key
        if not is_hostname(key.hostname):
            return
        name = wire_form(key.hostname)
        if name not in self._by_name:
            self._by_name[name] = {}
            self._parents.update(self._parents_of(name))
        self._by_name[name][key] = name
        self._by_address[key.address][key] = name
        self._changed(name)

    def discard(self, key: Key) -> None:
        """Take an entry off the list, if it is there."""
        name = self._by_address.get(key.address, {}).pop(key, None)
        if name is None:
            return
        if not self._by_address[key.address]:
            del self._by_address[key.address]
        del self._by_name[name][key]
        if not self._by_name[name]:
            del self._by_name[name]
            self._forget_parents(name)
        self._changed(name)

    def addresses(self, name: bytes) -> tuple[IPv4Address, ...]:
        """Every address of a name, each once, in ascending order; the same tuple until it changes."""
        known = self._addresses.get(name)
        if known is None:
            if name not in self._by_name:
                return ()
            numbers = sorted({key.address for key in self._by_name[name]})
            known = self._addresses[name] = tuple(map(IPv4Address, numbers))
        return known

    def is_parent(self, name: bytes) -> bool:
        """Whether some name lies below this one, so that it exists although it has no address."""
        return name in self._parents

    def exists(self, name: bytes) -> bool:
        """Whether this name or one below it has an address."""
        return name in self._by_name or name in self._parents

    def named(self, name: bytes) -> list[Key]:
        """The entries of one name."""
        return list(self._by_name.get(name, ()))

    def at(self, address: int) -> list[Key]:
        """The entries of one address."""
        return list(self._by_address.get(address, ()))

    def reverse(self, address: IPv4Address) -> str | None:
        """The name of an address; of several always the same one."""
        return min((key.hostname for key in self._by_address.get(int(address), ())), default=None)

    def _parents_of(self, name: bytes) -> list[bytes]:
        return parents(name, self._domain) if name.endswith(self._domain) else []

    def _forget_parents(self, name: bytes) -> None:
        for parent in self._parents_of(name):
            self._parents[parent] -= 1
            if not self._parents[parent]:
                del self._parents[parent]

    def _changed(self, name: bytes) -> None:
        self._addresses.pop(name, None)
        self.generation += 1
