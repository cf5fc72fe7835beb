"""JSON bodies of requests, checked against their type before anything is done with them."""

from ipaddress import IPv4Address
from typing import TypeVar

import msgspec
from aiohttp import web

from tulle.api.addresses import AddressSpec, parse_ip, parse_spec
from tulle.api.containers import parse_container
from tulle.api.daemon import AttachRequest, DetachRequest, ExposeRequest, NameRequest
from tulle.api.names import check_name
from tulle.errors import UserError

MOST_ADDRESSES = 256
Body = TypeVar("Body", bound=msgspec.Struct)


class AttachBody(msgspec.Struct, forbid_unknown_fields=True):
    """POST /attach; ``addresses`` are words of the address grammar, ``extra_hosts`` are ``NAME:IP``."""

    container: str
    addresses: list[str] = []
    hostname: str | None = None
    without_dns: bool = False
    rewrite_hosts: bool = False
    no_multicast_route: bool = False
    extra_hosts: list[str] = []

    def request(self) -> AttachRequest:
        """The typed request. Raises UserError."""
        return AttachRequest(
            container=parse_container(self.container),
            addresses=specs(self.addresses),
            hostname=_name(self.hostname),
            without_dns=self.without_dns,
            rewrite_hosts=self.rewrite_hosts,
            no_multicast_route=self.no_multicast_route,
            extra_hosts=tuple(parse_extra_host(entry) for entry in self.extra_hosts),
        )


class DetachBody(msgspec.Struct, forbid_unknown_fields=True):
    """POST /detach."""

    container: str
    addresses: list[str] = []

    def request(self) -> DetachRequest:
        """The typed request. Raises UserError."""
        return DetachRequest(parse_container(self.container), specs(self.addresses))


class ExposeBody(msgspec.Struct, forbid_unknown_fields=True):
    """POST /expose."""

    addresses: list[str] = []
    hostname: str | None = None
    without_masquerade: bool = False

    def request(self) -> ExposeRequest:
        """The typed request. Raises UserError."""
        return ExposeRequest(specs(self.addresses), _name(self.hostname), self.without_masquerade)


class HideBody(msgspec.Struct, forbid_unknown_fields=True):
    """POST /hide."""

    addresses: list[str] = []


class NameBody(msgspec.Struct, forbid_unknown_fields=True):
    """POST /dns/add and POST /dns/remove; ``container`` as users write it, or missing for external names."""

    container: str | None = None
    hostname: str | None = None
    addresses: list[str] = []

    def request(self, ident: str) -> NameRequest:
        """The typed request, for the container with this ident. Raises UserError."""
        return NameRequest(ident, _name(self.hostname), ips(self.addresses))


async def read(request: web.Request, kind: type[Body]) -> Body:
    """The body of a request. Raises UserError when it is not what ``kind`` says."""
    try:
        return msgspec.json.decode(await request.read() or b"{}", type=kind)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise UserError(f"the body of the request is not as expected: {error}") from None


def specs(words: list[str]) -> tuple[AddressSpec, ...]:
    """Words of the address grammar, repetitions left out. Raises UserError."""
    _not_too_many(words)
    return tuple(dict.fromkeys(parse_spec(word) for word in words))


def ips(words: list[str]) -> tuple[IPv4Address, ...]:
    """Bare addresses, repetitions left out. Raises UserError."""
    _not_too_many(words)
    return tuple(dict.fromkeys(parse_ip(word) for word in words))


def parse_extra_host(entry: str) -> tuple[str, IPv4Address]:
    """``NAME:IP``, a line for the hosts file of a container. Raises UserError."""
    name, colon, address = entry.rpartition(":")
    if not colon or not name:
        raise UserError(f"{entry!r} is not of the form NAME:IP; write it like db:10.1.0.7")
    return check_name(name), parse_ip(address)


def _name(name: str | None) -> str | None:
    return None if name is None else check_name(name)


def _not_too_many(words: list[str]) -> None:
    if len(words) > MOST_ADDRESSES:
        raise UserError(f"{len(words)} addresses in one request; {MOST_ADDRESSES} are the most")
