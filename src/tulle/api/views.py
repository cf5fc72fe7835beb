"""The tables that people read: each a function from the report to text.

Layout follows the tables of ``weave status``, so eyes and scripts that know those find their way here.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from tulle.api.advice import advice, ipam_status
from tulle.api.report import (
    CONNECTION_STATES,
    SHORTCUT_STATES,
    ConnectionAttrs,
    ConnectionReport,
    ContainerReport,
    PeerReport,
    Report,
    ShortcutReport,
    Traffic,
    established_info,
    label,
)
from tulle.api.shares import shares

_LEAST_SHARE = 0.0001
_DOCKER_ID = re.compile(r"[0-9a-f]{64}\Z")


def status(report: Report) -> str:
    """The summary: one section for each service, then what needs attention."""
    sections = [[("Version", report.version)], _router_section(report)]
    if report.ipam is not None:
        sections.append(
            [
                ("Service", "ipam"),
                ("Status", ipam_status(report)),
                ("Range", report.ipam.range),
                ("DefaultSubnet", report.ipam.default_subnet),
            ]
        )
    if report.dns is not None:
        live = sum(1 for entry in report.dns.entries if not entry.tombstone)
        sections.append(
            [
                ("Service", "dns"),
                ("Domain", report.dns.domain),
                ("Upstream", ", ".join(report.dns.upstream) or "none"),
                ("TTL", str(report.dns.ttl)),
                ("Entries", str(live)),
            ]
        )
    text = "\n".join(_section(rows) for rows in sections)
    problems = advice(report)
    return text + ("\nAttention:\n" + _lines(f" * {problem}" for problem in problems) if problems else "")


def _router_section(report: Report) -> list[tuple[str, str]]:
    router = report.router
    versions = sorted({router.protocol_min_version, router.protocol_max_version})
    states = Counter(connection.state for connection in router.connections)
    links = Counter(
        "established" if connection.established else "pending"
        for peer in router.peers
        for connection in peer.connections
    )
    counted = _counts(states, CONNECTION_STATES)
    linked = _counts(links, ("established", "pending"))
    return [
        ("Service", "router"),
        ("Protocol", f"{router.protocol} {'..'.join(map(str, versions))}"),
        ("Name", label(router.name, router.nick_name)),
        ("Encryption", _switch(router.encryption)),
        ("PeerDiscovery", _switch(router.peer_discovery)),
        ("Targets", str(len(router.targets))),
        ("Connections", f"{len(router.connections)}" + (f" ({counted})" if counted else "")),
        ("Peers", f"{len(router.peers)}" + (f" (with {linked} connections)" if linked else "")),
        *_shortcut_rows(router.shortcuts),
        ("TrustedSubnets", ", ".join(router.trusted_subnets) or "none"),
    ]


def _shortcut_rows(shortcuts: Sequence[ShortcutReport]) -> list[tuple[str, str]]:
    states = Counter(shortcut.state for shortcut in shortcuts)
    return [("Shortcuts", f"{len(shortcuts)} ({_counts(states, SHORTCUT_STATES)})")] if shortcuts else []


def targets(report: Report) -> str:
    """The peers that this host was told to connect to, one a line."""
    return _lines(report.router.targets)


SHORTCUT = "~>"
"""Stands where connections have their direction."""


def connections(report: Report) -> str:
    """Our connections and the targets without one: direction, address, state, and what there is to know.

    Then the peers that are reached without a connection.
    """
    router = report.router
    rows = [*map(_connection, router.connections), *(_shortcut(one, report) for one in router.shortcuts)]
    return _lines(rows)


def _connection(connection: ConnectionReport) -> str:
    attrs = connection.attrs
    begin = f"{_arrow(connection.outbound)} {connection.address:<21} {connection.state:<11} {connection.info}"
    words = [begin, *_measures(attrs, connection.traffic)]
    if attrs.reason:
        words.append(f"({attrs.reason})")
    return " ".join(words).rstrip()


def _shortcut(shortcut: ShortcutReport, report: Report) -> str:
    begin = f"{SHORTCUT} {shortcut.address or '-':<21} {shortcut.state:<11}"
    shield = shortcut.attrs.encrypted if report.router.encryption else None
    info = established_info(shortcut.attrs.name, shortcut.peer, shortcut.nick_name, shield)
    if shortcut.state == "direct":
        measures = _measures(shortcut.attrs, shortcut.traffic)
        return " ".join((begin, info, *measures, "(straight to it, without a connection)"))
    over = f"over {shortcut.via}" if shortcut.via else "not reached"
    if shortcut.via and report.router.encryption:
        over += ", sealed end to end" if shortcut.sealed else ", which can read it"
    when = "" if shortcut.retry_in is None else f", next try in {shortcut.retry_in:.0f} s"
    return f"{begin} {info} {over} ({shortcut.reason}{when})"


def _measures(attrs: ConnectionAttrs, traffic: Traffic | None) -> list[str]:
    words = []
    if attrs.mtu is not None:
        words.append(f"mtu={attrs.mtu}")
    if attrs.path_mtu is not None:
        words.append(f"path-mtu={attrs.path_mtu}")
    if attrs.rtt is not None:
        words.append(f"rtt={attrs.rtt:.3g}ms")
    if attrs.loss is not None:
        words.append(f"loss={percentage(attrs.loss)}")
    if traffic is not None and (traffic.sent_bytes or traffic.received_bytes):
        words += _traffic(traffic)
    return words


def _traffic(traffic: Traffic) -> list[str]:
    return [f"sent={size(traffic.sent_bytes)}", f"received={size(traffic.received_bytes)}"]


def percentage(share: float) -> str:
    """With two digits, none of them in vain: ``0%``, ``0.13%``, ``12%``."""
    return f"{share * 100:.2g}%" if share >= _LEAST_SHARE else "0%"


def size(count: int) -> str:
    """Bytes with three digits: ``0B``, ``1.23MB``."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 999.5:
            return f"{value:.3g}{unit}"
        value /= 1000
    return f"{value:.3g}TB" if value < 999.5 else f"{value:.0f}TB"


def peers(report: Report) -> str:
    """Every peer of the network with its connections, ourselves first (and with our shortcuts)."""
    router = report.router
    ordered = sorted(router.peers, key=lambda peer: (peer.name != router.name, peer.name))
    direct = [shortcut for shortcut in router.shortcuts if shortcut.state == "direct"]
    return "".join(_peer(peer, direct if peer.name == router.name else []) for peer in ordered)


def _peer(peer: PeerReport, shortcuts: Sequence[ShortcutReport]) -> str:
    rows = [label(peer.name, peer.nick_name)]
    for link in peer.connections:
        other = label(link.name, link.nick_name)
        state = "established" if link.established else "pending"
        rows.append(f"   {_arrow(link.outbound)} {link.address:<21} {other:<37} {state}")
    for shortcut in shortcuts:
        other = label(shortcut.peer, shortcut.nick_name)
        rows.append(f"   {SHORTCUT} {shortcut.address:<21} {other:<37} {shortcut.state}")
    return _lines(rows)


def dns(report: Report) -> str:
    """The names that are alive: name, address, container, and the peer that registered it."""
    if report.dns is None:
        return "the DNS server is turned off (launched with --no-dns)\n"
    suffix = "." + report.dns.domain
    nicknames = {peer.name: peer.nick_name for peer in report.router.peers}
    rows = [
        (
            entry.hostname.removesuffix(suffix),
            entry.address,
            _short(entry.container_id),
            label(entry.origin, nicknames.get(entry.origin, "")),
        )
        for entry in report.dns.entries
        if not entry.tombstone
    ]
    return _table(sorted(rows), (12, 15, 12))


def ipam(report: Report) -> str:
    """Who owns how much of the range, ourselves first; then what is waiting or in conflict."""
    status_of = report.ipam
    if status_of is None:
        return "address allocation is turned off (launched with an empty --ipalloc-range)\n"
    rows = [_share_line(report, *share) for share in shares(report)] or [ipam_status(report)]
    rows += [f"waiting for an address: {ident}" for ident in status_of.pending_allocates]
    rows += [f"waiting to claim {claim.cidr}: {claim.ident}" for claim in status_of.pending_claims]
    rows += [
        f"conflict: {conflict.address} is used by {conflict.container} here but belongs to "
        f"{label(conflict.owner, conflict.owner_nickname)}"
        for conflict in status_of.conflicts
    ]
    rows += [f"refused: {text}" for text in status_of.incompatible]
    return _lines(rows)


def _share_line(report: Report, peer: str, nickname: str, addresses: int, reachable: bool) -> str:
    assert report.ipam is not None
    percent = addresses * 100 / max(report.ipam.range_num_ips, 1)
    note = f"({report.ipam.active_ips} active)" if peer == report.router.name else ""
    if not reachable:
        note = "- unreachable!"
    owner = label(peer, nickname)
    return f"{owner:<37} {addresses:8d} IPs ({percent:04.1f}% of total) {note}".rstrip()


def groups(report: Report) -> str:
    """Multicast groups with the peers that listen to them, then the peers that are sent all groups."""
    router = report.router
    labels = {peer.name: label(peer.name, peer.nick_name) for peer in router.peers}
    listening: dict[str, list[str]] = {}
    selective = set()
    for interest in router.multicast_interests:
        if not interest.everything:
            selective.add(interest.peer)
        for group in interest.groups:
            listening.setdefault(group, []).append(labels.get(interest.peer, interest.peer))
    rows = [(group, ", ".join(peers)) for group, peers in sorted(listening.items())]
    everything = [shown for name, shown in labels.items() if name not in selective]
    if everything:
        rows.append(("all groups", ", ".join(everything)))
    return _table(rows, (15,))


def ps(containers: Iterable[ContainerReport]) -> str:
    """Attached containers: name, MAC and addresses."""
    rows = [
        " ".join([_short(container.container), container.mac or "-", *container.addresses])
        for container in containers
    ]
    return _lines(rows)


VIEWS = {
    "targets": targets,
    "connections": connections,
    "peers": peers,
    "dns": dns,
    "ipam": ipam,
    "groups": groups,
}
"""The views that ``status NAME`` knows, by name."""


def _section(rows: Sequence[tuple[str, str]]) -> str:
    return _lines(f"{key:>15}: {value}" for key, value in rows)


def _counts(counter: Counter[str], order: Sequence[str]) -> str:
    keys = [*order, *sorted(counter.keys() - set(order))]
    return ", ".join(f"{counter[key]} {key}" for key in keys if counter[key])


def _table(rows: Iterable[tuple[str, ...]], least: Sequence[int]) -> str:
    """Columns as wide as their longest word, at least as wide as ``least``; the last is not padded."""
    known = list(rows)
    widths = [max([low, *(len(row[column]) for row in known)]) for column, low in enumerate(least)]
    return _lines(
        " ".join([*(word.ljust(width) for word, width in zip(row, widths, strict=False)), row[-1]])
        for row in known
    )


def _short(ident: str) -> str:
    """Docker's ids shortened the way Docker shows them; other names whole."""
    return ident[:12] if _DOCKER_ID.match(ident) else ident


def _arrow(outbound: bool) -> str:
    return "->" if outbound else "<-"


def _switch(enabled: bool) -> str:
    return "enabled" if enabled else "disabled"


def _lines(rows: Iterable[str]) -> str:
    return "".join(f"{row}\n" for row in rows)
