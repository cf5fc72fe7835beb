"""resolv.conf: which DNS servers the host uses, and the file that makes a container use ours.

``ip netns exec NAME`` and its like put ``/etc/netns/NAME/resolv.conf`` over ``/etc/resolv.conf``; that is
where a container which is only a network namespace gets its resolver from.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tulle.errors import UserError

NETNS_DIRECTORY = Path("/etc/netns")
_MARK = "# Written by tulle, and removed by it when this namespace is detached.\n"


@dataclass(frozen=True, slots=True)
class ResolvConf:
    """What such a file says: DNS servers (addresses as text), domains to search, options of the C library."""

    servers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


def parse(text: str) -> ResolvConf:
    """The meaning of a file's text. What is not understood is passed over, as the C library does."""
    servers: list[str] = []
    search: tuple[str, ...] = ()
    options: list[str] = []
    for line in text.splitlines():
        match line.split():
            case ["nameserver", address, *_]:
                servers.append(address)
            case ["search", *domains]:
                search = tuple(domains)
            case ["domain", domain, *_]:
                search = (domain,)
            case ["options", *some]:
                options += some
    return ResolvConf(tuple(dict.fromkeys(servers)), search, tuple(options))


def read(path: Path) -> ResolvConf:
    """The file at ``path``; an absent one says nothing. Raises OSError if it cannot be read."""
    try:
        return parse(path.read_text(errors="replace"))
    except FileNotFoundError:
        return ResolvConf()


class ResolvConfFile:
    """A file that is read again when it changed: DHCP and VPN clients rewrite or replace it at any time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, ...] | None = None
        self._content = ResolvConf()

    def current(self) -> ResolvConf:
        """What the file says now. While it cannot be read, what it said before."""
        with contextlib.suppress(OSError):
            stamp = self._look()
            if stamp != self._stamp:
                self._content = read(self._path)
                self._stamp = stamp
        return self._content

    def _look(self) -> tuple[int, ...]:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return ()
        return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size


def for_container(server: str, domain: str, host: ResolvConf) -> str:
    """The text of a container's file: our server, our domain before those that the host searches."""
    domains = dict.fromkeys(name.rstrip(".") for name in (domain, *host.search))
    lines = [f"nameserver {server}", " ".join(["search", *filter(None, domains)])]
    if host.options:
        lines.append(" ".join(["options", *host.options]))
    return _MARK + "\n".join(lines) + "\n"


def write_for_namespace(name: str, text: str, directory: Path = NETNS_DIRECTORY) -> bool:
    """Give the network namespace ``name`` this resolv.conf, whole or not at all.

    False if there is one that is not ours: somebody decided otherwise, and it stays. Raises UserError for
    a name that cannot be that of a namespace, OSError if the file cannot be written.
    """
    path = _path(name, directory)
    if not _absent_or_ours(path):
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".resolv.conf-")
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            os.fchmod(descriptor, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    return True


def is_ours(name: str, directory: Path = NETNS_DIRECTORY) -> bool:
    """Whether a network namespace has a resolv.conf that was written here."""
    try:
        path = _path(name, directory)
        return path.exists() and _absent_or_ours(path)
    except (OSError, UserError):
        return False


def remove_for_namespace(name: str, directory: Path = NETNS_DIRECTORY) -> bool:
    """Take our resolv.conf away from a network namespace; False if there is none of ours."""
    path = _path(name, directory)
    if not path.exists() or not _absent_or_ours(path):
        return False
    path.unlink(missing_ok=True)
    if not any(_entries(path.parent)):
        path.parent.rmdir()
    return True


def _path(name: str, directory: Path) -> Path:
    if "/" in name or "\0" in name or name in ("", ".", ".."):
        raise UserError(f"{name!r} cannot be the name of a network namespace")
    return directory / name / "resolv.conf"


def _absent_or_ours(path: Path) -> bool:
    try:
        return path.read_text(errors="replace").startswith(_MARK)
    except FileNotFoundError:
        return not path.is_symlink()


def _entries(directory: Path) -> Iterable[Path]:
    return directory.iterdir()
