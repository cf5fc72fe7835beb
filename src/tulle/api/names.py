"""Host names, peers to dial and container idents, as users write them."""

import re
from ipaddress import IPv4Address

from tulle.errors import UserError

_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)\Z")
LONGEST_IDENT = 255


def is_host_name(name: str) -> bool:
    """Whether a text is a single label or a full name, with or without its final dot."""
    return len(name) <= 253 and all(_LABEL.match(label) for label in name.removesuffix(".").split("."))


def check_name(name: str) -> str:
    """The name, if it can stand in DNS. Raises UserError."""
    if not is_host_name(name):
        raise UserError(
            f"{name[:80]!r} is not a host name; use letters, digits and -, at most 63 between two dots"
        )
    return name


def in_domain(name: str, domain: str) -> bool:
    """Whether a full name lies in the domain, whatever its case and final dot."""
    full = name.lower().rstrip(".") + "."
    return full == domain.lower() or full.endswith("." + domain.lower())


def check_target(text: str) -> str:
    """A peer to dial: ``host[:port]``, the host an IPv4 address or a name. Raises UserError."""
    host, colon, port = text.rpartition(":")
    if not colon:
        host, port = text, "1"
    port_fits = port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536
    if not (port_fits and _is_host(host)):
        raise UserError(
            f"{text[:80]!r} is not a peer; write its address or name, like 10.0.0.7 or host2:6783"
        )
    return text


def _is_host(host: str) -> bool:
    if not re.match(r"[0-9.]+\Z", host):
        return is_host_name(host)
    try:
        return not IPv4Address(host).is_unspecified
    except ValueError:
        return False


def check_ident(ident: str) -> str:
    """The name under which a container's addresses are kept: any printable text. Raises UserError."""
    if not ident or len(ident) > LONGEST_IDENT or not ident.isprintable():
        raise UserError(
            f"{ident[:40]!r} cannot name a container; use 1 to {LONGEST_IDENT} printable characters"
        )
    return ident
