"""The shape of the report: everything a daemon knows about itself, as one JSON document.

Keys and meaning are those of Weave Net's report, so tools written for it go on working; keys of our own
stand beside them (each is marked "ours"). Every text view, the metrics and the template language read this
one value and nothing else, so whatever a user can see anywhere is also in the report.
"""

from itertools import takewhile
from typing import Any

import msgspec
from msgspec import field


class _Shape(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """JSON objects with keys like ``NickName``; a list that is empty is ``[]``, never null."""


class VersionCheck(_Shape, frozen=True, kw_only=True):
    """Weave Net asks its maker for newer versions; we never call home, and this says so."""

    enabled: bool = False


class PeerConnection(_Shape, frozen=True, kw_only=True):
    """One connection of some peer, as that peer gossips it."""

    name: str
    nick_name: str
    address: str
    outbound: bool
    established: bool


class PeerReport(_Shape, frozen=True, kw_only=True):
    """One peer of the topology. ``short_id`` is None while the peer has none (that is so with old peers)."""

    name: str
    nick_name: str
    uid: int = field(name="UID")
    short_id: int | None = field(name="ShortID", default=None)
    version: int
    connections: list[PeerConnection]


class UnicastRoute(_Shape, frozen=True, kw_only=True):
    """The next hop towards ``dest``; ``via`` is all zeros for ourselves."""

    dest: str
    via: str


class BroadcastRoute(_Shape, frozen=True, kw_only=True):
    """Where frames that started at ``source`` go on from here."""

    source: str
    via: list[str] = field(default_factory=list)


class CarrierAttempt(msgspec.Struct, frozen=True, kw_only=True):
    """Ours: one carrier that a connection could use, in order of preference, and how it is doing.

    ``state`` is "in use", "standby", "probing", "failed", or "unusable" when it cannot serve this connection
    at all; ``reason`` says why it is not in use.
    """

    name: str
    state: str
    reason: str = ""


class ConnectionAttrs(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Facts about an established connection. ``name`` is the carrier in use, under its name on the wire.

    ``name``, ``mtu`` (payload bytes) and ``encrypted`` are Weave Net's. Ours: ``path_mtu`` (of the network
    beneath, where it was measured), ``rtt`` in milliseconds, ``loss`` (the share of packets, 0 to 1),
    ``reason`` (one clause: why a better carrier is not in use) and ``carriers``.
    """

    name: str = ""
    mtu: int | None = None
    encrypted: bool = False
    path_mtu: int | None = None
    rtt: float | None = None
    loss: float | None = None
    reason: str = ""
    carriers: list[CarrierAttempt] = field(default_factory=list)

    @property
    def degraded(self) -> bool:
        """Whether a better carrier should be in use; one that cannot be used at all should not."""
        better = list(takewhile(lambda one: one.state != "in use", self.carriers))
        in_use = len(better) < len(self.carriers)
        return bool(self.reason) and not (in_use and all(one.state == "unusable" for one in better))


class Traffic(_Shape, frozen=True, kw_only=True):
    """Ours: what went over the data path, as the kernel counted it."""

    sent_packets: int = 0
    sent_bytes: int = 0
    received_packets: int = 0
    received_bytes: int = 0


class ConnectionReport(_Shape, frozen=True, kw_only=True):
    """One of our connections, or a target that has none.

    ``state`` is one of CONNECTION_STATES. ``info`` is what a person reads after it: carrier and peer for a
    connection (see ``established_info``), the reason and the time of the next attempt for a target.
    ``peer`` (ours) is the name of the peer at the other end, "" for a target.
    """

    address: str
    outbound: bool
    state: str
    info: str
    peer: str = ""
    attrs: ConnectionAttrs = field(default_factory=ConnectionAttrs)
    traffic: Traffic | None = None


CONNECTION_STATES = ("established", "pending", "retrying", "failed", "connecting")


class ShortcutReport(_Shape, frozen=True, kw_only=True):
    """Ours: a peer to which there is no connection, and how it is reached all the same.

    ``state`` is one of SHORTCUT_STATES. If it is "direct", frames go straight to ``address`` (UDP) by the
    sleeve, and ``attrs`` and ``traffic`` are as for a connection; otherwise over the neighbour ``via``, and
    ``reason`` says why not directly, and ``sealed`` whether only the peer can open what goes to it.
    ``retry_in`` are seconds, None if the other end decides when.
    """

    peer: str
    nick_name: str
    state: str
    address: str = ""
    via: str = ""
    sealed: bool = False
    reason: str = ""
    tries: int = 0
    retry_in: float | None = None
    attrs: ConnectionAttrs = field(default_factory=ConnectionAttrs)
    traffic: Traffic | None = None


SHORTCUT_STATES = ("direct", "trying", "lost", "relayed")


class MacReport(_Shape, frozen=True, kw_only=True):
    """Which peer a MAC address was learned to live behind. ``last_seen`` is RFC 3339, or "" if not known."""

    mac: str
    name: str
    nick_name: str
    last_seen: str = ""


class MulticastInterest(_Shape, frozen=True, kw_only=True):
    """Ours: the multicast groups that have listeners at a peer; with ``everything`` all groups go there.

    So they do to peers without such an entry. Groups of one link are not listed: they go everywhere.
    """

    peer: str
    groups: list[str] = field(default_factory=list)
    everything: bool = False


class RouterReport(_Shape, frozen=True, kw_only=True):
    """The mesh and the data path. ``counters`` (ours) become metrics ``tulle_<key>_total``.

    ``carrier_changes`` (ours): how often frames to a peer went over to a carrier from another.
    """

    protocol: str = "weave"
    protocol_min_version: int = 2
    protocol_max_version: int = 2
    encryption: bool
    peer_discovery: bool
    name: str
    nick_name: str
    port: int
    peers: list[PeerReport]
    unicast_routes: list[UnicastRoute] = field(default_factory=list)
    broadcast_routes: list[BroadcastRoute] = field(default_factory=list)
    connections: list[ConnectionReport] = field(default_factory=list)
    shortcuts: list[ShortcutReport] = field(default_factory=list)
    termination_count: int = 0
    targets: list[str] = field(default_factory=list)
    overlay_diagnostics: dict[str, Any] = field(default_factory=dict)
    trusted_subnets: list[str] = field(default_factory=list)
    interface: str = ""
    macs: list[MacReport] = field(name="MACs", default_factory=list)
    carrier_changes: dict[str, int] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=dict)
    multicast_interests: list[MulticastInterest] = field(default_factory=list)


class PaxosReport(_Shape, frozen=True, kw_only=True):
    """The election that is going on; None in the report once there is a ring, or before anyone asked."""

    elector: bool
    known_nodes: int
    quorum: int


class IpamEntry(_Shape, frozen=True, kw_only=True):
    """One range of the ring: ``size`` addresses from ``token`` on. ``free`` (ours) is as last gossiped."""

    token: str
    size: int
    peer: str
    nickname: str
    is_known_peer: bool
    version: int
    free: int | None = None


class PendingClaim(_Shape, frozen=True, kw_only=True):
    """An address that a container wants and that nobody can grant yet."""

    ident: str
    cidr: str = field(name="CIDR")


class AddressConflict(_Shape, frozen=True, kw_only=True):
    """Ours: an address in use here whose range now belongs to another peer."""

    address: str
    container: str
    owner: str
    owner_nickname: str = ""


class IpamReport(_Shape, frozen=True, kw_only=True):
    """Addresses. ``active_ips`` counts those in use on this host.

    ``incompatible`` (ours): hosts that were refused lately because their addresses and ours cannot go
    together, a line for each that says what to do.
    """

    paxos: PaxosReport | None = None
    range: str
    range_num_ips: int = field(name="RangeNumIPs")
    active_ips: int = field(name="ActiveIPs", default=0)
    default_subnet: str
    entries: list[IpamEntry] = field(default_factory=list)
    pending_claims: list[PendingClaim] = field(default_factory=list)
    pending_allocates: list[str] = field(default_factory=list)
    conflicts: list[AddressConflict] = field(default_factory=list)
    incompatible: list[str] = field(default_factory=list)


class DnsEntry(_Shape, frozen=True, kw_only=True):
    """One record. ``tombstone`` is the Unix time of its removal, 0 while it lives."""

    hostname: str
    origin: str
    container_id: str = field(name="ContainerID")
    address: str
    version: int = 0
    tombstone: int = 0


class DnsReport(_Shape, frozen=True, kw_only=True):
    """Names. ``domain`` ends with a dot, ``address`` is ``ip:port``, ``ttl`` counts seconds."""

    domain: str
    upstream: list[str] = field(default_factory=list)
    address: str
    ttl: int = field(name="TTL")
    entries: list[DnsEntry] = field(default_factory=list)


class ContainerReport(_Shape, frozen=True, kw_only=True):
    """Ours: a container that is attached here. The host itself is the container ``weave:expose``."""

    container: str
    mac: str = field(name="MAC", default="")
    interface: str = ""
    addresses: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)


class Report(_Shape, frozen=True, kw_only=True):
    """The whole document. ``ipam`` and ``dns`` are None when turned off.

    Ours: ``containers``; ``pid``; ``started`` (RFC 3339); ``warnings``: each one line, for as long as it is
    true: what is wrong, what it means, what to do.
    """

    ready: bool
    version: str
    version_check: VersionCheck = field(default_factory=VersionCheck)
    router: RouterReport
    ipam: IpamReport | None = field(name="IPAM", default=None)
    dns: DnsReport | None = field(name="DNS", default=None)
    containers: list[ContainerReport] = field(default_factory=list)
    pid: int = 0
    started: str = ""
    warnings: list[str] = field(default_factory=list)


def label(name: str, nick_name: str) -> str:
    """A peer for people to read: its name, and its nickname if that is known."""
    return f"{name}({nick_name})" if nick_name else name


def established_info(carrier: str, name: str, nick_name: str, encrypted: bool | None) -> str:
    """The ``info`` of a connection: ``encrypted   fastdp 02:00:00:00:00:02(h2)``.

    ``encrypted`` is about frames; None: there is no password, so nobody expects them to be.
    """
    shield = "" if encrypted is None else "encrypted   " if encrypted else "unencrypted "
    return f"{shield}{carrier} {label(name, nick_name)}".strip()


def to_json(report: Report) -> bytes:
    """The document as indented JSON, as ``report`` prints it."""
    return msgspec.json.format(msgspec.json.encode(report), indent=4)
