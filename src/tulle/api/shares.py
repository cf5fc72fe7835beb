"""How the address range is divided among the peers."""

from typing import NamedTuple

from tulle.api.report import Report


class Share(NamedTuple):
    """All that one peer owns."""

    peer: str
    nickname: str
    addresses: int
    reachable: bool


def shares(report: Report) -> list[Share]:
    """One share for each owner: ourselves first, the rest by name. Empty while there is no ring."""
    found: dict[str, Share] = {}
    for entry in report.ipam.entries if report.ipam else ():
        before = found.get(entry.peer)
        size = entry.size + (before.addresses if before else 0)
        found[entry.peer] = Share(entry.peer, entry.nickname, size, entry.is_known_peer)
    return sorted(found.values(), key=lambda share: (share.peer != report.router.name, share.peer))
