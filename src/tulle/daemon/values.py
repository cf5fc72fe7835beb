"""The values that launch flags take: one function each, which raises UserError with one clear line."""

import re
from ipaddress import IPv4Network

from tulle.api.addresses import parse_subnet
from tulle.api.names import is_host_name
from tulle.errors import UserError
from tulle.mesh.peername import PeerName, parse_name

_DURATION = re.compile(r"(\d{1,6}(?:\.\d{1,6})?)(ms|s|m)?\Z", re.ASCII)
LOG_LEVELS = ("debug", "info", "warning", "error")


def whole_number(text: str, low: int, high: int, what: str) -> int:
    """An integer from ``low`` to ``high``."""
    digits = text.strip()
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 12 and low <= int(digits) <= high):
        raise UserError(f"{text!r} is not {what}; choose a whole number from {low} to {high}")
    return int(digits)


def seconds(text: str, low: float, high: float) -> float:
    """A duration such as ``5``, ``5s``, ``500ms`` or ``1m``."""
    match = _DURATION.match(text.strip())
    value = float(match[1]) * {"ms": 0.001, "m": 60.0}.get(match[2], 1.0) if match else -1.0
    if not low <= value <= high:
        raise UserError(f"{text!r} is not a time from {low:g}s to {high:g}s; write it like 5s or 500ms")
    return value


def boolean(text: str) -> bool:
    """``true`` or ``false``, and the usual other ways to write them."""
    word = text.strip().lower()
    if word in ("1", "true", "yes", "on"):
        return True
    if word in ("0", "false", "no", "off", ""):
        return False
    raise UserError(f"{text!r} is neither true nor false")


def peer_name(text: str) -> PeerName:
    """A peer name in full or short form."""
    try:
        return parse_name(text)
    except ValueError as error:
        raise UserError(str(error)) from None


def nickname(text: str) -> str:
    """A name for people to read, which must fit into tables and messages."""
    if not text.strip() or len(text) > 128 or not text.isprintable():
        raise UserError(f"{text[:40]!r} is not a nickname; use 1 to 128 printable characters")
    return text


def domain(text: str) -> str:
    """A DNS domain, returned in lower case and with its final dot."""
    name = text.strip().strip(".").lower()
    if len(name) > 200 or not is_host_name(name):
        raise UserError(f"{text[:60]!r} is not a domain; write it like tulle.internal")
    return name + "."


def allocation_range(text: str) -> IPv4Network:
    """The range that the whole cluster shares: /8 to /29."""
    network = parse_subnet(text)
    if not 8 <= network.prefixlen <= 29:
        raise UserError(f"{text!r} is too {'large' if network.prefixlen < 8 else 'small'}; use /8 to /29")
    if network.is_multicast or network.is_loopback or network.network_address.is_unspecified:
        raise UserError(f"{text!r} holds addresses that hosts cannot have; use a private range")
    return network


def subnets(text: str) -> tuple[IPv4Network, ...]:
    """Subnets with commas between them."""
    return tuple(parse_subnet(part.strip()) for part in text.split(",") if part.strip())


def docker_socket(text: str) -> str:
    """The path of a unix socket, written as such or as ``unix:///PATH``."""
    path = text.removeprefix("unix://")
    if not path.startswith("/") or "\0" in path:
        raise UserError(f"{text[:80]!r} is not a unix socket; write it like unix:///var/run/docker.sock")
    return path


def log_level(text: str) -> str:
    """One of LOG_LEVELS."""
    word = text.strip().lower()
    if word == "warn":
        return "warning"
    if word not in LOG_LEVELS:
        raise UserError(f"{text!r} is not a log level; choose one of {', '.join(LOG_LEVELS)}")
    return word


def interface_name(text: str) -> str:
    """A name that Linux takes for a network interface, short enough to derive others from."""
    if not re.match(r"[A-Za-z0-9_.-]{1,12}\Z", text) or text in (".", ".."):
        raise UserError(f"{text[:40]!r} is not an interface name; use 1 to 12 letters, digits, _ . or -")
    return text
