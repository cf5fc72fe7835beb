"""How users name containers: as Docker does, ``netns:NAME``, a path to a network namespace, or ``pid:N``."""

import posixpath
import re
from dataclasses import dataclass

from tulle.errors import UserError

_NAMED = re.compile(r"(?:/var)?/run/netns/([^/]+)\Z")
_DOCKER = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,254}\Z")
_DOCKER_ID = re.compile(r"[0-9a-f]{64}\Z")
_FORMS = (
    "write the name or id of a Docker container, netns:NAME (a name in /run/netns), the path of a network"
    " namespace, or pid:N"
)
EXPOSED_HOST = "weave:expose"
EXTERNAL = "weave:extern"


@dataclass(frozen=True, slots=True)
class ContainerRef:
    """A container as a user named it.

    ``ident`` is what its addresses and names are kept under, the same for every way to write it;
    ``netns_path`` is where its network namespace can be opened; ``hostname`` is what it is called when the
    user gives no name (None: there is nothing to derive one from).

    What only a container engine knows has no ``netns_path``: its ``ident`` is a name, an id or the beginning
    of one, and the engine has to be asked.
    """

    ident: str
    netns_path: str
    hostname: str | None

    @property
    def of_engine(self) -> bool:
        """Whether an engine has to be asked about it."""
        return not self.netns_path

    @property
    def reference(self) -> str:
        """What names its namespace."""
        return self.netns_path if is_engine_id(self.ident) else self.ident


def is_engine_id(ident: str) -> bool:
    """Whether an ident is the full id of a container of an engine."""
    return _DOCKER_ID.match(ident) is not None


def parse_container(text: str) -> ContainerRef:
    """A container in one of the forms; does not look whether it exists. Raises UserError."""
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
    if _DOCKER.match(text):
        return ContainerRef(text, "", None)
    raise UserError(f"{text!r} is not a container; {_FORMS}")


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
