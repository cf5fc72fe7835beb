"""Which addresses are in use here, and by whom."""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Interface, IPv4Network


class Holdings:
    """Addresses by holder (a container or another name) and holders by address: an address has one holder."""

    def __init__(self) -> None:
        self._by_ident: dict[str, dict[int, IPv4Interface]] = {}
        self._by_address: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self._by_address)

    def __iter__(self) -> Iterator[int]:
        return iter(self._by_address)

    def idents(self) -> list[str]:
        """Everybody who has an address."""
        return list(self._by_ident)

    def holder(self, address: int) -> str | None:
        """Who has the address."""
        return self._by_address.get(address)

    def of(self, ident: str, subnet: IPv4Network | None = None) -> list[IPv4Interface]:
        """What a holder has, oldest first; only what belongs to ``subnet`` if that is given."""
        held = self._by_ident.get(ident, {}).values()
        return [interface for interface in held if subnet is None or interface.network == subnet]

    def add(self, ident: str, interface: IPv4Interface) -> None:
        """Note that ``ident`` has this address; it must not be anybody else's."""
        address = int(interface)
        if self._by_address.get(address, ident) != ident:
            raise ValueError(f"{interface.ip} is held by {self._by_address[address]}")
        self._by_address[address] = ident
        self._by_ident.setdefault(ident, {})[address] = interface

    def drop(self, ident: str, address: IPv4Address | None) -> list[IPv4Interface]:
        """Take one address, or all of them, from a holder. Returns what it had of these."""
        held = self._by_ident.get(ident, {})
        gone = [int(address)] if address is not None else list(held)
        dropped = [held.pop(one) for one in gone if one in held]
        for interface in dropped:
            del self._by_address[int(interface)]
        if not held:
            self._by_ident.pop(ident, None)
        return dropped
