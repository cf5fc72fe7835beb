"""Everything the daemon knows, put into the report's shape. No state of its own."""

from collections.abc import Sequence
from datetime import UTC, datetime
from ipaddress import IPv4Address
from itertools import takewhile

from tulle import __version__
from tulle.api.report import (
    AddressConflict,
    BroadcastRoute,
    CarrierAttempt,
    ConnectionReport,
    DnsEntry,
    DnsReport,
    IpamEntry,
    IpamReport,
    MacReport,
    MulticastInterest,
    PaxosReport,
    PeerConnection,
    PeerReport,
    PendingClaim,
    RouterReport,
    UnicastRoute,
    established_info,
)
from tulle.daemon.measures import attributes, traffic
from tulle.daemon.shortcuts import shortcut_reports
from tulle.datapath.carrier import CarrierState, CarrierStatus
from tulle.datapath.groups.record import address_of
from tulle.host.vxlan import KernelPath
from tulle.ipam.allocator import Allocator
from tulle.mesh.mesh import Mesh
from tulle.mesh.peername import UNKNOWN_PEER, PeerName, format_name
from tulle.mesh.views import LinkState, LinkView, TargetState, TargetView
from tulle.names.nameserver import Nameserver
from tulle.node.node import Node

_ATTEMPT = {
    CarrierState.ESTABLISHED: "standby",
    CarrierState.TRYING: "probing",
    CarrierState.LOST: "failed",
    CarrierState.UNUSABLE: "unusable",
}
"""How a carrier stands that is not the one in use."""


def router_report(
    node: Node, kernel: KernelPath, interface: str, now: float, sleeve: dict[str, int]
) -> RouterReport:
    """Mesh and data path; ``sleeve`` are that carrier's counters."""
    mesh = node.mesh
    config = mesh.config
    return RouterReport(
        encryption=config.password is not None,
        peer_discovery=config.discovery,
        name=format_name(config.name),
        nick_name=config.nickname,
        port=config.port,
        peers=_peers(mesh),
        unicast_routes=_unicast_routes(mesh),
        broadcast_routes=[
            BroadcastRoute(source=format_name(source), via=_names(mesh.routes.broadcast(source)))
            for source in sorted(mesh.peers())
        ],
        connections=[
            *_links(node, kernel, now),
            *_targets(node, now),
        ],
        shortcuts=shortcut_reports(node, kernel, now),
        termination_count=mesh.terminations,
        targets=mesh.targets(),
        trusted_subnets=[str(subnet) for subnet in config.trusted_subnets],
        interface=interface,
        macs=_macs(mesh, kernel),
        carrier_changes=dict(node.carrier_changes),
        counters={counter.name.lower(): count for counter, count in kernel.counters().items()} | sleeve,
        multicast_interests=_interests(node),
    )


def ipam_report(allocator: Allocator, incompatible: Sequence[str] = ()) -> IpamReport:
    """Addresses. ``incompatible``: who was refused because of them."""
    status = allocator.status()
    paxos = status.paxos
    return IpamReport(
        paxos=PaxosReport(elector=paxos.elector, known_nodes=paxos.known, quorum=paxos.quorum)
        if paxos
        else None,
        range=str(status.range),
        range_num_ips=status.range.num_addresses,
        active_ips=status.active,
        default_subnet=str(status.default_subnet),
        entries=[
            IpamEntry(
                token=str(entry.token),
                size=entry.size,
                peer=format_name(entry.peer),
                nickname=entry.nickname,
                is_known_peer=entry.known,
                version=entry.version,
                free=entry.free,
            )
            for entry in status.entries
        ],
        pending_claims=[
            PendingClaim(ident=claim.ident, cidr=str(claim.interface)) for claim in status.pending_claims
        ],
        pending_allocates=[request.ident for request in status.pending_allocates],
        conflicts=[
            AddressConflict(
                address=str(stray.address),
                container=stray.ident,
                owner=format_name(stray.owner),
                owner_nickname=stray.nickname,
            )
            for stray in status.strays
        ],
        incompatible=list(incompatible),
    )


def dns_report(names: Nameserver, address: str, ttl: int, upstream: Sequence[str]) -> DnsReport:
    """Names."""
    return DnsReport(
        domain=names.domain,
        upstream=list(upstream),
        address=address,
        ttl=ttl,
        entries=[
            DnsEntry(
                hostname=entry.key.hostname,
                origin=format_name(entry.key.origin),
                container_id=entry.key.container,
                address=str(IPv4Address(entry.key.address)),
                version=entry.version,
                tombstone=entry.tombstone,
            )
            for entry in names.entries()
        ],
    )


def timestamp(wall: float) -> str:
    """RFC 3339, to the second, in UTC."""
    return datetime.fromtimestamp(wall, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def version() -> str:
    """Ours, as the report says it."""
    return __version__


def _names(names: Sequence[PeerName]) -> list[str]:
    return [format_name(name) for name in names]


def _peers(mesh: Mesh) -> list[PeerReport]:
    return [
        PeerReport(
            name=format_name(peer.name),
            nick_name=peer.nickname,
            uid=peer.uid,
            short_id=peer.short_id,
            version=peer.version,
            connections=[
                PeerConnection(
                    name=format_name(link.name),
                    nick_name=mesh.nickname(link.name),
                    address=link.address,
                    outbound=link.outbound,
                    established=link.established,
                )
                for link in peer.connections
            ],
        )
        for _, peer in sorted(mesh.peers().items())
    ]


def _unicast_routes(mesh: Mesh) -> list[UnicastRoute]:
    ours = UnicastRoute(dest=format_name(mesh.self_name), via=format_name(UNKNOWN_PEER))
    return [
        ours,
        *(
            UnicastRoute(dest=format_name(peer), via=format_name(hop))
            for peer, hop in sorted(mesh.routes.unicast.items())
        ),
    ]


def _interests(node: Node) -> list[MulticastInterest]:
    return [
        MulticastInterest(
            peer=format_name(name),
            groups=[str(address_of(group)) for group in sorted(interest.groups)],
            everything=interest.everything,
        )
        for name, interest in sorted(node.multicast.channel.interests.items())
    ]


def _links(node: Node, kernel: KernelPath, now: float) -> list[ConnectionReport]:
    return [_link(node, kernel, link, now) for link in node.mesh.links()]


def _link(node: Node, kernel: KernelPath, link: LinkView, now: float) -> ConnectionReport:
    address = "{}:{}".format(*link.remote)
    if link.peer is None or link.state in (LinkState.GREETING, LinkState.RIVAL):
        return ConnectionReport(
            address=address, outbound=link.outbound, state="connecting", info="handshake under way"
        )
    peer = node.mesh.peers().get(link.peer)
    statuses = node.carrier_status(link.link, now)
    best = node.carrier(link.link) or ""
    better = takewhile(lambda one: one[0] != best, statuses)
    reason = "; ".join(f"{name}: {status.reason}" for name, status in better)
    secret = link.encrypted and not link.both_trusted
    shield = secret if node.mesh.config.password is not None else None
    return ConnectionReport(
        address=address,
        outbound=link.outbound,
        state="established" if link.state is LinkState.ESTABLISHED else "pending",
        info=established_info(best, format_name(link.peer), link.nickname, shield),
        attrs=attributes(best, dict(statuses).get(best), secret, reason, _attempts(best, statuses)),
        traffic=traffic(kernel, peer.short_id if peer else None),
    )


def _attempts(best: str, statuses: Sequence[tuple[str, CarrierStatus]]) -> list[CarrierAttempt]:
    return [
        CarrierAttempt(
            name=name,
            state="in use" if name == best else _ATTEMPT[status.state],
            reason=status.reason,
        )
        for name, status in statuses
    ]


def _targets(node: Node, now: float) -> list[ConnectionReport]:
    """Targets that have no connection of their own to show, nor a shortcut that says more."""
    shown = {link.remote for link in node.mesh.links()}
    covered = {view.encounter.peer for view in node.shortcuts() if view.encounter.tries}
    waiting = [
        view
        for view in node.mesh.target_views()
        if view.state
        in (TargetState.WAITING, TargetState.CONNECTING, TargetState.RETRYING, TargetState.FAILED)
        and view.address not in shown
        and (view.configured or view.peer not in covered)
    ]
    return [
        ConnectionReport(
            address="{}:{}".format(*view.address) if view.address else view.target,
            outbound=True,
            state=view.state.value if view.state is not TargetState.WAITING else "retrying",
            info=_outlook(view, now),
        )
        for view in waiting
    ]


def _outlook(view: TargetView, now: float) -> str:
    reason = view.reason or ""
    if view.never:
        return f"{reason}, retry: never"
    if view.retry_at is not None:
        return f"{reason}, retry in {max(0, round(view.retry_at - now))} s".lstrip(", ")
    return reason


def _macs(mesh: Mesh, kernel: KernelPath) -> list[MacReport]:
    owners = mesh.short_ids
    rows = []
    for mac, where in sorted(kernel.macs().items()):
        peer = mesh.self_name if where is None else owners.get(where, UNKNOWN_PEER)
        rows.append(MacReport(mac=mac.hex(":"), name=format_name(peer), nick_name=mesh.nickname(peer)))
    return rows
