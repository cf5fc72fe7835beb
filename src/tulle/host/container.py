"""Naming a container: a network namespace, by the name or the process that a user knows it by."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tulle.errors import UserError
from tulle.host import namespace

Result = TypeVar("Result")

NAMED_NAMESPACES = Path("/run/netns")
_NAME = re.compile(r"[^/\0\s]{1,255}\Z")
_HELP = "write netns:NAME for a name in /run/netns, netns:/PATH for a file, or pid:NUMBER for a process"


@dataclass(frozen=True, slots=True)
class Container:
    """A container that exists, or existed a moment ago.

    ``ident`` is what its addresses and names are kept under: the id that its engine gave it, or, where
    there is no engine, ``namespace``. ``namespace`` tells this namespace from any other, also from one
    that is made later under the same name. ``reference`` is how a person wrote it.
    """

    ident: str
    namespace: str
    reference: str

    @property
    def shown(self) -> str:
        """What a person knows it by."""
        of_engine = self.ident not in (self.namespace, self.reference)
        return self.ident[:12] if of_engine else self.reference

    @property
    def path(self) -> Path:
        """A file that was the namespace when the container was found."""
        return parse_reference(self.reference)


def parse_reference(text: str) -> Path:
    """The file behind ``netns:NAME``, ``netns:/PATH``, ``/PATH`` or ``pid:N``. Raises UserError."""
    kind, colon, rest = text.partition(":")
    if text.startswith("/"):
        return Path(text)
    if kind == "pid" and colon:
        if not rest.isascii() or not rest.isdigit() or int(rest) == 0:
            raise UserError(f"{text!r} does not name a process; {_HELP}")
        return Path(f"/proc/{int(rest)}/ns/net")
    if kind == "netns" and colon:
        if rest.startswith("/"):
            return Path(rest)
        if _NAME.match(rest) and rest not in (".", ".."):
            return NAMED_NAMESPACES / rest
    raise UserError(f"{text!r} does not name a container; {_HELP}")


def is_reference(text: str) -> bool:
    """Whether ``text`` names a namespace by itself, so that no container engine need be asked."""
    return text.startswith(("/", "netns:", "pid:"))


async def find_container(reference: str, ident: str | None = None) -> Container:
    """The container that ``reference`` names now.

    Raises UserError: 400 if it is malformed or is this host's own namespace, 404 if there is none.
    """
    path = parse_reference(reference)
    identity = await namespace.in_new_thread(lambda: _inside(path, reference, _identity))
    return Container(ident or identity, identity, reference)


def _identity(_descriptor: int) -> str:
    return namespace.identity_here()


def work_inside(target: Container, work: Callable[[int], Result]) -> Result:
    """Do ``work``, which gets a descriptor of the namespace, in the namespace of ``target``.

    The calling thread enters the namespace and comes back; it must be one made for this. Raises UserError
    if the container is gone, or goes meanwhile, or if another has taken its name.
    """
    path = target.path

    def checked(descriptor: int) -> Result:
        if namespace.identity_here() != target.namespace:
            raise vanished(target)
        result = work(descriptor)
        try:
            lasts = namespace.same_namespace(os.stat(path), os.fstat(descriptor))
        except OSError:
            lasts = False
        if not lasts:
            raise vanished(target)
        return result

    return _inside(path, target.reference, checked)


async def exists(target: Container) -> bool:
    """Whether the container's file still leads to its namespace."""

    def look() -> bool:
        try:
            return work_inside(target, lambda _descriptor: True)
        except UserError:
            return False

    return await namespace.in_new_thread(look)


def vanished(target: Container) -> UserError:
    """The error for a container that went away, or was made anew, while something was done to it."""
    return UserError(f"{target.shown} is gone, or is another container now; name one that runs", 404)


def _inside(path: Path, reference: str, work: Callable[[int], Result]) -> Result:
    with _opened(path, reference) as there, _opened(Path("/proc/thread-self/ns/net"), "this host") as here:
        if namespace.same_namespace(os.fstat(there), os.fstat(here)):
            raise UserError(f"{reference} is this host's own network; use expose to join the host itself")
        try:
            namespace.enter(there)
        except OSError as error:
            raise UserError(f"{reference} is not a network namespace ({path}: {error.strerror})") from None
        try:
            return work(there)
        finally:
            namespace.enter(here)


@contextmanager
def _opened(path: Path, reference: str) -> Iterator[int]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise UserError(f"{reference} is not there (no {path}); start the container first", 404) from None
    except OSError as error:
        raise UserError(f"{reference} cannot be opened ({path}: {error.strerror})") from None
    try:
        yield descriptor
    finally:
        os.close(descriptor)
