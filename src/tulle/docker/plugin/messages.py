"""What Docker asks a plugin: the bodies of its requests, as values. Field names are Docker's own.

Docker leaves out, or sends null for, what it has not got; a field that is not known here is passed over.
"""

from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any, TypeVar

import msgspec

from tulle.errors import UserError

GENERIC = "com.docker.network.generic"
"""The option under which a network's ``--opt`` values come."""
INTERNAL = "com.docker.network.internal"
GATEWAY = "com.docker.network.gateway"
ADDRESS_KIND = "RequestAddressType"
PORTS = "com.docker.network.portmap"
"""The option under which the published ports of a container come when it joins."""
MAC = "com.docker.network.endpoint.macaddress"

Message = TypeVar("Message", bound=msgspec.Struct)


class Nothing(msgspec.Struct, frozen=True):
    """A request without a body that matters."""


class PoolRequest(msgspec.Struct, frozen=True, rename="pascal"):
    """``network create``: a subnet, and the part of it (``--ip-range``) to take addresses from."""

    pool: str | None = ""
    sub_pool: str | None = ""
    options: dict[str, str] | None = None
    v6: bool = msgspec.field(default=False, name="V6")


class AddressRequest(msgspec.Struct, frozen=True, rename="pascal"):
    """An address out of a pool: that one (``--ip``), or any if it is empty."""

    pool_id: str = msgspec.field(name="PoolID")
    address: str | None = ""
    options: dict[str, str] | None = None


class AddressRelease(msgspec.Struct, frozen=True, rename="pascal"):
    """An address that is not needed any more."""

    pool_id: str = msgspec.field(name="PoolID")
    address: str


class IpamData(msgspec.Struct, frozen=True, rename="pascal"):
    """What a network has of addresses: its subnet, its gateway with prefix length, reserved ones by name."""

    address_space: str | None = ""
    pool: str | None = ""
    gateway: str | None = ""
    aux_addresses: dict[str, Any] | None = None


class NetworkRequest(msgspec.Struct, frozen=True, rename="pascal"):
    """``network create``."""

    network_id: str = msgspec.field(name="NetworkID")
    options: dict[str, Any] | None = None
    ipv4: list[IpamData] | None = msgspec.field(default=None, name="IPv4Data")
    ipv6: list[IpamData] | None = msgspec.field(default=None, name="IPv6Data")


class NetworkRemoval(msgspec.Struct, frozen=True, rename="pascal"):
    """``network rm``."""

    network_id: str = msgspec.field(name="NetworkID")


class Interface(msgspec.Struct, frozen=True, rename="pascal"):
    """Addresses that Docker has for an endpoint."""

    address: str | None = ""
    mac_address: str | None = ""


class EndpointRequest(msgspec.Struct, frozen=True, rename="pascal"):
    """A container's place on a network; which container it is for is not said."""

    network_id: str = msgspec.field(name="NetworkID")
    endpoint_id: str = msgspec.field(name="EndpointID")
    interface: Interface | None = None
    options: dict[str, Any] | None = None


class EndpointNote(msgspec.Struct, frozen=True, rename="pascal"):
    """Anything else about an endpoint: join, leave, delete, look."""

    network_id: str = msgspec.field(name="NetworkID")
    endpoint_id: str = msgspec.field(name="EndpointID")
    sandbox_key: str | None = ""
    options: dict[str, Any] | None = None


def decode(body: bytes, kind: type[Message]) -> Message:
    """The body of a request. Raises UserError if it is not one of this kind."""
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise UserError(f"this is not a request that Docker sends: {error}") from None


def address(text: str) -> IPv4Address:
    """An address of a request. Raises UserError."""
    try:
        return IPv4Address(text)
    except ValueError:
        raise UserError(f"{text[:60]!r} is not an IPv4 address; tulle's networks have no other") from None


def interface(text: str) -> IPv4Interface:
    """An address with its prefix length. Raises UserError."""
    try:
        return IPv4Interface(text)
    except ValueError:
        raise UserError(f"{text[:60]!r} is not an IPv4 address with a prefix length") from None


def subnet(text: str) -> IPv4Network:
    """A subnet. Raises UserError."""
    try:
        return IPv4Network(text)
    except ValueError:
        raise UserError(f"{text[:60]!r} is not an IPv4 subnet; write it like 10.32.4.0/24") from None
