"""What a person should know when something is wrong: derived from the report, one line for each problem.

A line says what happened, what it means, and what to do next.
"""

from collections.abc import Collection

from tulle.api.report import IpamReport, Report, label
from tulle.api.shares import Share, shares

SELF = "this address is this host itself"
"""A host that is told of all peers is told of itself too: nothing is wrong then."""


def advice(report: Report) -> list[str]:
    """The daemon's own warnings first, then what can be concluded. Empty when all is well."""
    problems = list(report.warnings)
    problems += _about_connections(report)
    if report.ipam is not None:
        problems += _about_addresses(report, report.ipam)
    return problems


def ipam_status(report: Report) -> str:
    """The state of address allocation in one clause; "" when it is turned off."""
    ipam = report.ipam
    if ipam is None:
        return ""
    if ipam.entries:
        if all(not share.reachable for share in shares(report) if share.addresses):
            return "all IP ranges owned by unreachable peers - use 'rmpeer' if they are dead"
        return "waiting for IP range grant from peers" if ipam.pending_allocates else "ready"
    if ipam.paxos is None:
        return "idle"
    if ipam.paxos.elector:
        return f"awaiting consensus (quorum: {ipam.paxos.quorum}, known: {ipam.paxos.known_nodes})"
    return "priming"


def _about_connections(report: Report) -> list[str]:
    found = [one for one in report.router.connections if SELF not in one.info]
    problems = []
    down = [one.info.endswith("retry: never") for one in found if one.state in ("failed", "retrying")]
    for count, outlook in (
        (down.count(False), "down and will be tried again"),
        (down.count(True), "refused and will not be tried again"),
    ):
        if count:
            noun = "connection is" if count == 1 else "connections are"
            problems.append(f"{count} {noun} {outlook}; `status connections` says why")
    mute = [one for one in found if one.state == "pending" and one.attrs.reason]
    if mute:
        noun = "peer is" if len(mute) == 1 else "peers are"
        problems.append(
            f"{len(mute)} {noun} connected, but no frames get through; `status connections` says what is in"
            " the way"
        )
    slow = [one for one in found if one.state == "established" and one.attrs.degraded]
    if slow:
        noun = "connection does" if len(slow) == 1 else "connections do"
        problems.append(
            f"{len(slow)} {noun} not use the fastest carrier; `status connections` says what is in the way"
        )
    return problems


def _about_addresses(report: Report, ipam: IpamReport) -> list[str]:
    nicknames = {peer.nick_name for peer in report.router.peers}
    problems = [_unreachable(share, ipam, nicknames) for share in shares(report) if not share.reachable]
    if not ipam.entries and ipam.paxos is not None:
        problems.append(_no_ring(ipam))
    elif ipam.entries and ipam.pending_allocates:
        waiting = len(ipam.pending_allocates)
        verb = "request waits" if waiting == 1 else "requests wait"
        problems.append(
            f"{waiting} {verb} for an address: our part of the range is used up and no peer that can be "
            "reached has given us more"
        )
    problems += ipam.incompatible
    problems += [
        f"{conflict.address} of {conflict.container} now belongs to another peer; detach and attach that "
        "container to give it a new address"
        for conflict in ipam.conflicts
    ]
    return problems


def _unreachable(share: Share, ipam: IpamReport, taken: Collection[str]) -> str:
    """``taken``: the nicknames of those who are there, perhaps this very one in a new life."""
    percent = share.addresses * 100 / max(ipam.range_num_ips, 1)
    who = share.nickname if share.nickname and share.nickname not in taken else share.peer
    return (
        f"peer {label(share.peer, share.nickname)} cannot be reached and owns {percent:.1f}% of the"
        f" addresses; if it is gone for good, run `rmpeer {who}` on one host"
    )


def _no_ring(ipam: IpamReport) -> str:
    assert ipam.paxos is not None
    if not ipam.paxos.elector:
        return (
            "addresses cannot be given out yet: this host observes and has not met a peer that knows the ring"
        )
    return (
        f"addresses cannot be given out yet: {ipam.paxos.quorum} peers must agree first and "
        f"{ipam.paxos.known_nodes} can be reached; start the others, or `connect` to one of them"
    )
