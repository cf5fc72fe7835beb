"""Addresses of peers, as operators write them and as gossip tells them."""

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv6Address, ip_address

from tulle.errors import UserError
from tulle.mesh.events import Address

_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*\.?\Z")
_PORT = re.compile(r"[0-9]{1,5}\Z")


@dataclass(frozen=True, slots=True)
class Target:
    """A peer to connect to as an operator names it. ``port`` is None when none was given."""

    text: str
    host: str
    port: int | None

    @property
    def is_literal(self) -> bool:
        """Whether the host is an IP address and needs no look-up."""
        return _ip(self.host) is not None


def parse_target(text: str) -> Target:
    """Read ``HOST``, ``HOST:PORT``, ``[IPV6]:PORT`` or a bare IPv6 address. Raises UserError."""
    text = text.strip()
    host, port = _split(text)
    if _ip(host) is None and (not _HOST.match(host) or _looks_numeric(host)):
        raise UserError(
            f"{text!r} is not a peer address; write HOST or HOST:PORT, for example 192.0.2.7:6783"
        )
    if port is not None and not (_PORT.match(port) and 0 < int(port) < 1 << 16):
        raise UserError(f"{text!r} has an impossible port; ports are numbers from 1 to 65535")
    return Target(text, _ip(host) or host, int(port) if port is not None else None)


def parse_address(text: str) -> Address | None:
    """An IP address and port out of gossip; None if it is not one."""
    host, port = _split(text)
    ip = _ip(host)
    if ip is None or port is None or not _PORT.match(port) or not 0 < int(port) < 1 << 16:
        return None
    return ip, int(port)


def format_address(address: Address) -> str:
    """``192.0.2.7:6783`` or ``[2001:db8::7]:6783``."""
    ip, port = address
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


def _split(text: str) -> tuple[str, str | None]:
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            return text, None
        return host, rest[1:] if rest else None
    if text.count(":") > 1:
        return text, None
    host, colon, port = text.partition(":")
    return host, port if colon else None


def _ip(text: str) -> str | None:
    """The address in its one canonical form; IPv4 inside IPv6 counts as IPv4."""
    try:
        address = ip_address(text)
    except (ValueError, AddressValueError):
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


def _looks_numeric(host: str) -> bool:
    return host.replace(".", "").isdigit()
