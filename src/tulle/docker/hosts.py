"""The hosts file of a Docker container: its own name leads to its address on this network, not on Docker's.

Docker writes the file anew whenever the container starts, and mounts it as a file, so it is changed in place.
"""

import logging
from collections.abc import Sequence
from ipaddress import IPv4Interface
from pathlib import Path

from tulle.api.daemon import AttachRequest
from tulle.docker.engine import Inspected

log = logging.getLogger(__name__)


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


def tell_hosts(found: Inspected, request: AttachRequest, addresses: Sequence[IPv4Interface]) -> None:
    """Write what an attach asked for into a container's hosts file. If that fails, the log says so."""
    entries = [([name], [IPv4Interface(address)]) for name, address in request.extra_hosts]
    own = list(filter(None, [request.hostname or request.container.hostname, found.config.hostname]))
    if request.rewrite_hosts and own:
        entries.insert(0, ([name.rstrip(".") for name in own], list(addresses)))
    try:
        for names, meant in entries:
            rewrite_hosts(Path(found.hosts_path), names, meant)
    except OSError as error:
        log.warning("%s: its hosts file could not be rewritten: %s", found.id[:12], error)


def _says_who(line: str, names: Sequence[str]) -> bool:
    """Whether a line gives an IPv4 address to one of the names; loopback lines are everybody's."""
    address, *given = line.partition("#")[0].split() or [""]
    return "." in address and not address.startswith("127.") and not set(given).isdisjoint(names)
