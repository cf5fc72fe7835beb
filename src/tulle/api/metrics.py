"""The report as Prometheus metrics: Weave Net's under their names, and ours as ``tulle_*``."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from tulle.api.report import (
    CONNECTION_STATES,
    SHORTCUT_STATES,
    ConnectionReport,
    DnsReport,
    IpamReport,
    Report,
    ShortcutReport,
    Traffic,
)
from tulle.api.shares import shares

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_FASTDP = "fastdp"


class _Snapshot(Collector):
    """Hands over metrics that are already made; they are made anew for every scrape."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = list(metrics)

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def exposition(report: Report) -> bytes:
    """The metrics page for one scrape."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Snapshot(metrics(report)))
    ProcessCollector(registry=registry)
    return generate_latest(registry)


def metrics(report: Report) -> Iterator[Metric]:
    """Every metric of the report."""
    yield from _mesh(report)
    yield from _connections(report)
    yield from _shortcuts(report.router.shortcuts)
    if report.ipam is not None:
        yield from _ipam(report, report.ipam)
    if report.dns is not None:
        yield from _dns(report, report.dns)
    yield _gauge("tulle_containers", "Containers attached on this host.", len(report.containers))
    yield _gauge("tulle_warnings", "Problems that the daemon itself knows of.", len(report.warnings))


def _mesh(report: Report) -> Iterator[Metric]:
    router = report.router
    yield InfoMetricFamily(
        "tulle",
        "Who this daemon is.",
        value={"version": report.version, "name": router.name, "nickname": router.nick_name},
    )
    yield _gauge("tulle_ready", "1 when the daemon serves requests.", int(report.ready))
    yield _gauge("tulle_peers", "Peers known, this one included.", len(router.peers))
    groups = {group for interest in router.multicast_interests for group in interest.groups}
    yield _gauge("tulle_multicast_groups", "Multicast groups that have listeners at any peer.", len(groups))
    yield _gauge("tulle_targets", "Peers that this host was told to connect to.", len(router.targets))
    links = Counter(link.established for peer in router.peers for link in peer.connections)
    family = GaugeMetricFamily(
        "tulle_topology_connections", "Connections in the whole network, by direction.", labels=["state"]
    )
    family.add_metric(["established"], links[True])
    family.add_metric(["pending"], links[False])
    yield family
    yield _counter(
        "weave_connection_terminations",
        "Number of peer-to-peer connections terminated.",
        router.termination_count,
    )
    flows = router.overlay_diagnostics.get(_FASTDP)
    known = flows.get("Flows") if isinstance(flows, dict) else None
    if known is not None:
        count = known if isinstance(known, int) else len(known)
        yield _gauge("weave_flows", "Number of FastDP flows.", count)
    changes = CounterMetricFamily(
        "tulle_carrier_changes", "Times that frames to a peer went over to this carrier.", labels=["carrier"]
    )
    for carrier, value in sorted(router.carrier_changes.items()):
        changes.add_metric([carrier], value)
    yield changes
    for key, value in sorted(router.counters.items()):
        yield _counter(f"tulle_{key}", f"Counter {key} of the router.", value)


def _connections(report: Report) -> Iterator[Metric]:
    found = report.router.connections
    family = GaugeMetricFamily(
        "weave_connections", "Number of peer-to-peer connections.", labels=["state", "type", "encryption"]
    )
    kinds = Counter((link.state, link.attrs.name or "unknown", link.attrs.encrypted) for link in found)
    carriers = {_FASTDP, *(carrier for _, carrier, _ in kinds)}
    for state in dict.fromkeys([*CONNECTION_STATES, *(state for state, _, _ in kinds)]):
        for carrier in sorted(carriers):
            family.add_metric([state, carrier, "yes"], kinds[state, carrier, True])
            family.add_metric([state, carrier, ""], kinds[state, carrier, False])
    yield family
    yield from _each_connection(report, [link for link in found if link.peer])


def _each_connection(report: Report, links: list[ConnectionReport]) -> Iterator[Metric]:
    nicknames = {peer.name: peer.nick_name for peer in report.router.peers}
    labels = ["peer", "nickname", "carrier"]

    def family(name: str, text: str, values: Iterable[float | None]) -> Metric:
        gauge = GaugeMetricFamily(name, text, labels=labels)
        for link, value in zip(links, values, strict=True):
            if value is not None:
                gauge.add_metric([link.peer, nicknames.get(link.peer, ""), link.attrs.name], value)
        return gauge

    yield family(
        "tulle_connection_established",
        "1 when frames reach the peer over this connection.",
        [int(link.state == "established") for link in links],
    )
    yield family(
        "tulle_connection_degraded",
        "1 when a better carrier should be in use and is not.",
        [int(link.attrs.degraded) for link in links],
    )
    yield family(
        "tulle_connection_mtu_bytes", "Overlay MTU towards the peer.", [link.attrs.mtu for link in links]
    )
    yield family(
        "tulle_connection_path_mtu_bytes",
        "MTU found of the network beneath the carrier in use.",
        [link.attrs.path_mtu for link in links],
    )
    yield family(
        "tulle_connection_loss_ratio",
        "Share of packets to the peer that the network loses.",
        [link.attrs.loss for link in links],
    )
    yield family(
        "tulle_connection_rtt_seconds",
        "Round-trip time over the carrier in use.",
        [None if link.attrs.rtt is None else link.attrs.rtt / 1000 for link in links],
    )
    ways: list[ConnectionReport | ShortcutReport] = [*links, *report.router.shortcuts]
    yield from _traffic([(way.peer, way.traffic) for way in ways if way.traffic is not None], nicknames)


def _shortcuts(shortcuts: Sequence[ShortcutReport]) -> Iterator[Metric]:
    states = Counter(shortcut.state for shortcut in shortcuts)
    counted = GaugeMetricFamily(
        "tulle_shortcuts", "Peers without a connection, by how they are reached.", labels=["state"]
    )
    for state in SHORTCUT_STATES:
        counted.add_metric([state], states[state])
    yield counted
    labels = ["peer", "nickname"]
    direct = GaugeMetricFamily(
        "tulle_shortcut_direct", "1 when frames go straight to a peer without a connection.", labels=labels
    )
    times = GaugeMetricFamily("tulle_shortcut_rtt_seconds", "Round-trip time straight to it.", labels=labels)
    for shortcut in shortcuts:
        who = [shortcut.peer, shortcut.nick_name]
        direct.add_metric(who, int(shortcut.state == "direct"))
        if shortcut.attrs.rtt is not None:
            times.add_metric(who, shortcut.attrs.rtt / 1000)
    yield direct
    yield times


def _traffic(counted: list[tuple[str, Traffic]], nicknames: dict[str, str]) -> Iterator[Metric]:
    for unit in ("packets", "bytes"):
        for direction in ("sent", "received"):
            family = CounterMetricFamily(
                f"tulle_connection_{direction}_{unit}",
                f"Overlay {unit} {direction} over the connection.",
                labels=["peer", "nickname"],
            )
            for peer, traffic in counted:
                family.add_metric([peer, nicknames.get(peer, "")], getattr(traffic, f"{direction}_{unit}"))
            yield family


def _ipam(report: Report, ipam: IpamReport) -> Iterator[Metric]:
    used = GaugeMetricFamily("weave_ips", "Number of IP addresses.", labels=["state"])
    used.add_metric(["local-used"], ipam.active_ips)
    yield used
    yield _gauge("weave_max_ips", "Size of IP address space used by allocator.", ipam.range_num_ips)
    owners = shares(report)
    lost = [share for share in owners if not share.reachable]
    percent = sum(share.addresses for share in lost) * 100 / max(ipam.range_num_ips, 1)
    yield _gauge("weave_ipam_unreachable_count", "Number of unreachable peers.", len(lost))
    yield _gauge(
        "weave_ipam_unreachable_percentage", "Percentage of IP addresses owned by unreachable peers.", percent
    )
    yield _gauge("weave_ipam_pending_allocates", "Number of pending allocates.", len(ipam.pending_allocates))
    yield _gauge("weave_ipam_pending_claims", "Number of pending claims.", len(ipam.pending_claims))
    yield _gauge("tulle_ipam_ready", "1 when the range is divided among the peers.", int(bool(ipam.entries)))
    own = sum(share.addresses for share in owners if share.peer == report.router.name)
    yield _gauge("tulle_ipam_owned_ips", "Addresses that this peer owns.", own)
    yield _gauge(
        "tulle_ipam_conflicts", "Addresses in use here that belong to another peer.", len(ipam.conflicts)
    )


def _dns(report: Report, dns: DnsReport) -> Iterator[Metric]:
    live = [entry for entry in dns.entries if not entry.tombstone]
    own = sum(1 for entry in live if entry.origin == report.router.name)
    yield _gauge("weave_dns_entries", "Number of DNS entries.", own)
    yield _gauge("tulle_dns_entries", "Live DNS entries of all peers.", len(live))


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(name, text, value=value)
