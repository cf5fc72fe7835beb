"""What every container of Docker's that was attached should have, for as long as Docker has the container.

A container loses its interface whenever it stops. What it gets back when it starts again is written here.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface

import msgspec
from msgspec.structs import replace

from tulle.api.addresses import AddressSpec, AutoAddress, ManualAddress
from tulle.api.daemon import AttachRequest
from tulle.host.store import Change, Record

_KIND = "docker-container"


class Membership(msgspec.Struct, frozen=True, kw_only=True):
    """One container's. ``chosen`` are those of its ``addresses`` that a user named, and none other will do.

    ``hostname`` is the name that a user gave it, ``derived`` the one that it has otherwise. ``aliases`` are
    its other names, each with its address, from when it was last seen to end. ``unfinished``: an attach or
    detach has begun, and what the container has beyond these addresses is to be undone.
    """

    addresses: tuple[IPv4Interface, ...] = ()
    chosen: tuple[IPv4Interface, ...] = ()
    hostname: str | None = None
    derived: str | None = None
    aliases: tuple[tuple[str, IPv4Address], ...] = ()
    without_dns: bool = False
    rewrite_hosts: bool = False
    no_multicast_route: bool = False
    extra_hosts: tuple[tuple[str, IPv4Address], ...] = ()
    unfinished: bool = False

    def after(self, request: AttachRequest, addresses: Iterable[IPv4Interface]) -> "Membership":
        """What it is once ``request`` is met and these are all addresses of the container."""
        there = tuple(addresses)
        named = {one.interface for one in request.addresses if isinstance(one, ManualAddress)}
        return Membership(
            addresses=there,
            chosen=tuple(one for one in there if one in named or one in self.chosen),
            hostname=request.hostname or self.hostname,
            derived=request.container.hostname,
            aliases=self.aliases,
            without_dns=request.without_dns,
            rewrite_hosts=request.rewrite_hosts,
            no_multicast_route=request.no_multicast_route,
            extra_hosts=request.extra_hosts or self.extra_hosts,
        )

    def without(self, leaving: Iterable[IPv4Interface]) -> "Membership":
        """What it is after these addresses were taken from the container."""
        gone = set(leaving)
        return replace(
            self,
            addresses=tuple(one for one in self.addresses if one not in gone),
            chosen=tuple(one for one in self.chosen if one not in gone),
        )

    def begun(self) -> "Membership":
        """The same, with a change under way."""
        return replace(self, unfinished=True)

    def specs(self, same: bool) -> tuple[AddressSpec, ...]:
        """What to ask for when it starts again: the same addresses, or others where that is as good."""
        return tuple(
            ManualAddress(one) if same or one in self.chosen else AutoAddress(one.network)
            for one in self.addresses
        )


@dataclass(frozen=True, slots=True)
class _Change:
    key: str
    value: bytes | None
    kind: str = _KIND


class Memberships:
    """All of them, by container id, on disk before a change returns."""

    def __init__(self, records: Iterable[Record], commit: Callable[[Sequence[Change]], None]) -> None:
        self._commit = commit
        self._known: dict[str, Membership] = {}
        for kind, key, value in records:
            if kind == _KIND:
                self._known[key] = _decoded(value)

    def get(self, ident: str) -> Membership | None:
        """What a container should have; None for one that was never attached."""
        return self._known.get(ident)

    def idents(self) -> list[str]:
        """Whose there are."""
        return list(self._known)

    def put(self, ident: str, membership: Membership) -> None:
        """Keep it. Raises StorageError."""
        if self._known.get(ident) != membership:
            self._commit([_Change(ident, msgspec.json.encode(membership, enc_hook=str))])
            self._known[ident] = membership

    def drop(self, ident: str) -> None:
        """Forget a container. Raises StorageError."""
        if ident in self._known:
            self._commit([_Change(ident, None)])
            del self._known[ident]


def _decoded(value: bytes) -> Membership:
    """A record; one that makes no sense counts as an attach that was broken off."""
    try:
        return msgspec.json.decode(value, type=Membership, dec_hook=lambda kind, text: kind(text))
    except (msgspec.MsgspecError, ValueError):
        return Membership(unfinished=True)
