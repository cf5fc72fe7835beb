"""Going on where a previous life of this peer ended."""

from tulle.ipam.config import IpamConfig, Seed
from tulle.ipam.journal import Journal
from tulle.ipam.records import RING, RING_KEY, Restored
from tulle.ipam.territory import Territory
from tulle.mesh.peername import format_name


def resume(previous: Restored, config: IpamConfig, territory: Territory, journal: Journal) -> None:
    """Take up the stored ring if it still fits, or begin with the seeds; tell people what does not fit.

    A ring that was there and cannot be read is not made anew: others have parts of it, and a second division
    would never merge with theirs.
    """
    for problem in previous.problems:
        journal.log("error", problem)
    stored = previous.ring
    if previous.ring_unreadable:
        journal.log(
            "error",
            "the stored division of the address range cannot be read: addresses are given out again once a"
            " peer has told us; if this is the only host, run 'tulle reset' and launch it again",
        )
    elif stored is not None and stored.range != territory.universe:
        journal.log(
            "warning",
            f"the address range was {stored.range} before and is {territory.universe} now: the stored"
            " division is dropped; addresses in use stay as they are",
        )
        journal.save(RING, RING_KEY, None)
        stored = None
    if stored is not None:
        territory.adopt(stored, save=False)
        if stored.owners - {config.peer}:
            territory.settling.doubt()
    elif isinstance(config.bootstrap, Seed) and not previous.ring_unreadable:
        territory.divide(config.bootstrap.peers)
    if stored is not None and previous.peer not in (None, config.peer):
        before = format_name(previous.peer)
        journal.log(
            "warning",
            f"this host was {before} before: the ranges of that name are not used until"
            f" 'tulle rmpeer {before}' takes them over",
        )
