"""Host names as people write them, and the form in which DNS messages carry them."""

import re
from ipaddress import IPv4Address

from tulle.errors import UserError

MAX_LENGTH = 253
"""Characters of a name without its final dot; what DNS can carry."""

_LABEL = re.compile(r"[A-Za-z0-9_-]{1,63}\Z")
_REVERSE = b"\x07in-addr\x04arpa\0"


def parse_domain(text: str) -> str:
    """A domain in lower case with its final dot. Raises UserError."""
    return _checked(text, "domain").lower() + "."


def complete(name: str, domain: str) -> str:
    """The complete name, with a final dot: a single label is put under ``domain``.

    Upper and lower case stay as written. Raises UserError for what cannot be a host name.
    """
    plain = _checked(name, "host name")
    if "." not in plain and not name.endswith("."):
        plain = _checked(f"{plain}.{domain.rstrip('.')}", "host name")
    return plain + "."


def complete_inside(name: str, domain: str) -> str:
    """Like ``complete``, but the result must be under ``domain``. Raises UserError if it is not."""
    full = complete(name, domain)
    if not full.lower().endswith("." + domain):
        shown = domain.rstrip(".")
        raise UserError(
            f"{name!r} is not under the domain {shown}, and only names there are served; "
            f"give a name like web.{shown}, or just web"
        )
    return full


def is_hostname(full: str) -> bool:
    """Whether a complete name from the network is one that could be registered here."""
    plain = full[:-1]
    return full.endswith(".") and len(plain) <= MAX_LENGTH and all(map(_LABEL.match, plain.split(".")))


def wire_form(full: str) -> bytes:
    """A complete, valid name in lower case as DNS messages carry it: labels with their lengths, then a zero.

    This is what names are looked up by: a name in a query can be compared without taking it apart.
    """
    return b"".join(bytes((len(label),)) + label.encode() for label in full.lower().split("."))


def parents(wire: bytes, domain: bytes) -> list[bytes]:
    """The names between ``wire`` and the ``domain`` it is in, nearest first; all in wire form."""
    found = []
    at = 1 + wire[0]
    while len(wire) - at > len(domain):
        found.append(wire[at:])
        at += 1 + wire[at]
    return found


def is_inside(name: bytes, domain: bytes) -> bool:
    """Whether ``name`` is ``domain`` or below it; both in wire form and of well-formed labels."""
    if not name.endswith(domain):
        return False
    start = len(name) - len(domain)
    at = 0
    while at < start:
        at += 1 + name[at]
    return at == start


def reverse_address(name: bytes) -> IPv4Address | None:
    """The address that a name like 4.3.2.1.in-addr.arpa asks for (in wire form and lower case)."""
    if not name.endswith(_REVERSE):
        return None
    labels = []
    at = 0
    while at < len(name) - len(_REVERSE):
        labels.append(name[at + 1 : at + 1 + name[at]])
        at += 1 + name[at]
    try:
        return IPv4Address(b".".join(reversed(labels)).decode("ascii"))
    except ValueError:
        return None


def _checked(text: str, what: str) -> str:
    plain = text[:-1] if text.endswith(".") else text
    if not plain:
        raise UserError(f"{text!r} is not a {what}: it is empty")
    if len(plain) > MAX_LENGTH:
        raise UserError(f"{what} {plain[:20]}... has {len(plain)} characters; the most is {MAX_LENGTH}")
    for label in plain.split("."):
        if not _LABEL.match(label):
            raise UserError(
                f"{text!r} is not a {what}: each part between dots is 1 to 63 letters, digits, "
                f"hyphens and underscores; {label!r} is not"
            )
    return plain
