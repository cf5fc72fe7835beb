"""The hosts file of a Docker container: its own name leads to its address on this network, not on Docker's.

Docker writes the file anew whenever the container starts, and mounts it as a file, so it is changed in place.
"""

from collections.abc import Sequence
from ipaddress import IPv4Interface
from pathlib import Path


def rewritten_hosts(text: str, names: Sequence[str], addresses: Sequence[IPv4Interface]) -> str:
    """A hosts file in which ``names`` (of the container, the full one first) mean ``addresses`` alone."""
    kept = [line for line in text.splitlines() if not _says_who(line, names)]
    own = [f"{address.ip}\t{' '.join(names)}" for address in addresses]
    return "\n".join([*kept, *own]) + "\n"


def rewrite_hosts(path: Path, names: Sequence[str], addresses: Sequence[IPv4Interface]) -> None:
    """Change the file at ``path``. Raises OSError."""
    with path.open("r+", encoding="utf-8", errors="surrogateescape") as file:
        text = rewritten_hosts(file.read(), names, addresses)
        file.seek(0)
        file.write(text)
        file.truncate()


def _says_who(line: str, names: Sequence[str]) -> bool:
    """Whether a line gives an IPv4 address to one of the names; loopback lines are everybody's."""
    address, *given = line.partition("#")[0].split() or [""]
    return "." in address and not address.startswith("127.") and not set(given).isdisjoint(names)
