"""How users name containers: ``netns:NAME``, a path to a network namespace, or ``pid:N``."""

import posixpath
import re
from dataclasses import dataclass

from tulle.errors import UserError

_NAMED = re.compile(r"(?:/var)?/run/netns/([^/]+)\Z")
_FORMS = "write netns:NAME (a name in /run/netns), the path of a network namespace, or pid:N"
EXPOSED_HOST = "weave:expose"
EXTERNAL = "weave:extern"


@dataclass(frozen=True, slots=True)
class ContainerRef:
    """A container as a user named it.

    ``ident`` is what its addresses and names are kept under, the same for every way to write it;
    ``netns_path`` is where its network namespace can be opened; ``hostname`` is what it is called when the
    user gives no name (None: there is nothing to derive one from).
    """

    ident: str
    netns_path: str
    hostname: str | None


def parse_container(text: str) -> ContainerRef:
    """A container in one of the three forms; does not look whether it exists. Raises UserError."""
    if "\0" in text or any(ord(char) < 32 for char in text):
        raise UserError(f"{text!r} holds control characters; {_FORMS}")
    kind, separator, rest = text.partition(":")
    if kind == "pid" and separator:
        return _by_pid(text, rest)
    path = rest if kind == "netns" and separator else text
    if path.startswith("/"):
        return _by_path(path)
    if kind == "netns" and separator:
        return _by_name(text, rest)
    raise UserError(f"{text!r} is not a container that can be found here; {_FORMS}")


def _by_name(text: str, name: str) -> ContainerRef:
    if not name or name in (".", "..") or "/" in name or len(name) > 255:
        raise UserError(f"{text!r} does not name a network namespace; {_FORMS}")
    return ContainerRef(f"netns:{name}", f"/run/netns/{name}", name)


def _by_path(path: str) -> ContainerRef:
    clean = posixpath.normpath(path)
    named = _NAMED.match(clean)
    if named:
        return _by_name(path, named[1])
    if clean in ("/", "//"):
        raise UserError(f"{path!r} is not the path of a network namespace; {_FORMS}")
    return ContainerRef(f"netns:{clean}", clean, None)


def _by_pid(text: str, digits: str) -> ContainerRef:
    if not (digits.isascii() and digits.isdigit() and 0 < int(digits[:12]) < 2**22 + 1):
        raise UserError(f"{text!r} does not name a process; write pid:1234")
    return ContainerRef(f"pid:{int(digits)}", f"/proc/{int(digits)}/ns/net", None)
