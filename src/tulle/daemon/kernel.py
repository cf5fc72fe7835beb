"""All of this machine that a daemon uses, opened, driven and left or removed together."""

import asyncio
import errno
import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from tulle.api.listen import TcpAddress
from tulle.daemon.identity import bridge_mac
from tulle.daemon.options import LaunchOptions
from tulle.datapath.groups.pruning import GroupTables
from tulle.datapath.sleeve.orders import Arrival, Count, PathId, Refused, SleeveOrder
from tulle.datapath.tables import CarrierKind, ShortId, Tables
from tulle.errors import UserError
from tulle.host import endpoints, sysctl
from tulle.host.attachments import Attachment
from tulle.host.bpf.libbpf import BpfUnavailable
from tulle.host.bridge import (
    DEFAULT_RESOLVER,
    Bridge,
    BridgeConfig,
    ensure_bridge,
    interface_is,
    remove_bridge,
)
from tulle.host.expose import Exposure
from tulle.host.firewall import Firewall
from tulle.host.groups_watch import GroupWatch, Joined
from tulle.host.netlink import KernelRefused
from tulle.host.pm_qos import PmQos
from tulle.host.ports import Ports
from tulle.host.routed import Gateway, Routed
from tulle.host.rules import FirewallConfig
from tulle.host.sleeve.sleeve import Sleeve
from tulle.host.sleeve.weave import WeaveFormat
from tulle.host.veth import SLIGHTER, WHOLE, Wiring
from tulle.host.vxlan import KernelPath, remove_device
from tulle.mesh.config import is_within
from tulle.mesh.peername import PeerName

log = logging.getLogger(__name__)

LOOK_INTERVAL = 2.0
"""Seconds between two looks whether our interfaces are still there; a look costs three system calls."""

LINGER = 30.0
"""Seconds for which an address that left the tables may still send: its kernel goes on by older tables than
ours until the news of a change has reached it."""


class Kernel:
    """Bridge, data path, firewall, containers' ports and the exposed host, of one daemon."""

    def __init__(
        self,
        plan: "Plan",
        bridge: Bridge,
        path: KernelPath,
        firewall: Firewall,
        ports: Ports,
        exposure: Exposure,
        sleeve: Sleeve,
    ) -> None:
        self.bridge = bridge
        self.path = path
        self.ports = ports
        self.exposure = exposure
        self.sleeve = sleeve
        self.ephemeral = not bridge.adopted
        """Whether ``end`` removes all of it: at first, unless there was something before us."""
        self._plan = plan
        self._firewall = firewall
        self._take: Callable[[bytes], None] | None = None
        self._watch: GroupWatch | None = None
        self._complaint = ""
        self._by_sleeve = False
        self._senders: dict[str, float] = {}
        self._wanted_peers: frozenset[str] | None = None
        self._peers_changed = asyncio.Event()
        self._tasks = [asyncio.create_task(self._keep_peers()), asyncio.create_task(self._keep_interfaces())]

    @classmethod
    async def open(
        cls, options: LaunchOptions, name: PeerName, on_gone: Callable[[Attachment], None]
    ) -> "Kernel":
        """Make, or take over, what the daemon needs of this machine. Raises UserError.

        The firewall comes before the data path, so that nothing is ever open that should be closed.
        """
        plan = Plan.of(options, name)
        async with AsyncExitStack() as undo:
            bridge = await ensure_bridge(plan.bridge)
            if not bridge.adopted:
                undo.push_async_callback(remove_bridge, bridge.name)
                undo.push_async_callback(remove_device, bridge.name)
            firewall = Firewall(plan.firewall)
            undo.push_async_callback(firewall.stop if bridge.adopted else firewall.remove)
            await firewall.start()
            path = await _open_path(plan)
            undo.callback(path.close)
            exposure = Exposure(bridge, firewall)
            await exposure.start()
            pm_qos = None if options.no_pm_qos else PmQos()
            sleeve = Sleeve(options.port, options.host or "", pm_qos=pm_qos)
            sleeve.use_format(WeaveFormat())
            undo.pop_all()
        return cls(plan, bridge, path, firewall, Ports(plan.wiring, on_gone), exposure, sleeve)

    def on_frame(self, take: Callable[[bytes], None]) -> None:
        """Call ``take`` from now on for each frame for the daemon itself."""
        self._take = take
        self.path.tap.on_frame(take)

    def send_frame(self, frame: bytes) -> None:
        """Send a frame of the daemon's own; what the kernel does not take is lost, as on any wire."""
        self.path.tap.write(frame)

    def drain_frames(self, take: Callable[[bytes], None]) -> None:
        """Hand over the frames for the daemon that wait, and what waits of the sleeve."""
        self.path.tap.drain(take)
        self.sleeve.receive()

    def start_sleeve(self, report: Callable[[Arrival | Refused], None]) -> None:
        """Carry frames by the sleeve from now on, and give its reports to ``report``."""
        self.sleeve.start(self.path.tap, report)

    def sleeve_do(self, order: SleeveOrder) -> None:
        """Carry out what the node wants of the sleeve."""
        self.sleeve.do(order)

    def sleeve_counts(self) -> Mapping[PathId, Count]:
        """What the paths have carried that carried something since this was asked last."""
        return self.sleeve.changed_counts()

    def sleeve_relayed(self) -> Set[tuple[ShortId, ShortId]]:
        """From whom and to whom the sleeve sent frames over a third since this was asked last."""
        return self.sleeve.relayed()

    def use_groups(self, tables: GroupTables) -> None:
        """Copy multicast by these tables."""
        self.path.groups.apply(tables)

    def forget_path_mtus(self) -> None:
        """Have the kernel find out again how big packets may be, to wherever."""
        try:
            sysctl.trigger("ipv4/route/flush")
        except UserError as error:
            log.warning("%s; tunnels over paths that have become wider will wait for ten minutes", error)

    async def route(self, routed: Routed) -> None:
        """Be the gateway of exactly these networks. Raises UserError."""
        await self._firewall.set_routed(routed)

    def watch_groups(self, take: Callable[[Joined], None]) -> None:
        """Call ``take`` from now on with the multicast groups that have listeners here."""
        self._watch = GroupWatch(self.bridge.name, self.path.names.vxlan, take)
        self._watch.start()

    def use_tables(self, tables: Tables) -> None:
        """Carry frames by these tables, and take tunnelled ones from their addresses only."""
        change = self.path.apply(tables)
        if change.drop_routes:
            self.path.forget_peers(change.drop_routes)
        hops = [hop for hops in (tables.direct, tables.routes) for hop in hops.values()]
        self._by_sleeve = any(hop.carrier is CarrierKind.SLEEVE for hop in hops)
        self._allow(frozenset(hop.remote_ip for hop in hops if hop.carrier is CarrierKind.VXLAN))

    def _allow(self, addresses: Set[str]) -> None:
        """Take frames from these addresses, and for a while still from those that were allowed before."""
        leaving_at = asyncio.get_running_loop().time() + LINGER
        self._senders = {
            address: min(until, leaving_at) for address, until in self._senders.items()
        } | dict.fromkeys(addresses, math.inf)
        self._forbid_the_late()

    def _forbid_the_late(self) -> None:
        now = asyncio.get_running_loop().time()
        self._senders = {address: until for address, until in self._senders.items() if until > now}
        if self._senders.keys() != self._wanted_peers:
            self._wanted_peers = frozenset(self._senders)
            self._peers_changed.set()

    def missing(self) -> list[str]:
        """Interfaces of ours that somebody else has removed."""
        there = interface_is(self.bridge.name, self.bridge.index)
        return [*([] if there else [self.bridge.name]), *self.path.missing()]

    async def mend(self) -> None:
        """Make again what is missing, and join everything to it. Raises UserError."""
        bridge = await ensure_bridge(self._plan.bridge)
        with _explained(self._plan.tunnel_port):
            self.path = await self.path.made_again(self._plan.tunnel_port, self._plan.bridge.mtu)
        self.path.set_resolver(self._plan.bridge.resolver)
        self.sleeve.use_tap(self.path.tap)
        if self._take is not None:
            self.path.tap.on_frame(self._take)
        if not bridge.adopted:
            await self.exposure.restore(bridge)
        self.bridge = bridge
        await self.join_again()

    async def join_again(self) -> None:
        """Have the containers know the bridge as it is now."""
        refused = [*await self.ports.join_again(), *await endpoints.join_all_again(self.bridge.name)]
        for error in refused:
            log.warning("a container could not be joined to the bridge again: %s", error)

    async def end(self) -> None:
        """Leave it to the next daemon, or take it down if it is ``ephemeral``."""
        await (self.remove() if self.ephemeral else self.close())

    async def close(self) -> None:
        """Leave: containers go on talking."""
        await self._stop_tasks()
        self.ports.stop()
        self.exposure.stop()
        self.sleeve.close()
        await self._firewall.stop()
        self.path.close()

    async def remove(self) -> None:
        """Take everything down."""
        await self._stop_tasks()
        await self.ports.remove_all()
        self.ports.stop()
        self.exposure.stop()
        self.sleeve.close()
        await self.path.remove()
        await remove_bridge(self.bridge.name)
        await self._firewall.remove()

    async def _keep_peers(self) -> None:
        """One change of the firewall at a time, and only to the newest state."""
        while True:
            await self._peers_changed.wait()
            self._peers_changed.clear()
            try:
                await self._firewall.set_peers(self._wanted_peers or ())
            except UserError as error:
                log.error("%s", error)

    async def _keep_interfaces(self) -> None:
        """Notice soon when somebody removes an interface of ours, and who exchanges much with us, and how."""
        refused = ""
        while True:
            await asyncio.sleep(LOOK_INTERVAL)
            try:
                self.path.look()
            except OSError as error:
                if str(error) != refused:
                    log.error("the kernel refuses a change to the data path: %s", error)
                refused = str(error)
            else:
                refused = ""
            self._forbid_the_late()
            await self.ports.use_superframes(SLIGHTER if self._by_sleeve else WHOLE)
            missing = self.missing()
            if missing:
                await self._mend_and_say(missing)

    async def _mend_and_say(self, missing: Sequence[str]) -> None:
        what = " and ".join(missing)
        try:
            await self.mend()
        except (UserError, OSError) as error:
            complaint = f"{what} was removed by somebody and cannot be made again: {error}"
            if complaint != self._complaint:
                log.error("%s", complaint)
            self._complaint = complaint
        else:
            self._complaint = ""
            log.warning("%s was removed by somebody; made it again and joined the containers to it", what)

    @property
    def complaint(self) -> str:
        """What is wrong with our interfaces and could not be mended; "" when nothing is."""
        return self._complaint

    async def _stop_tasks(self) -> None:
        if self._watch is not None:
            await self._watch.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@dataclass(frozen=True, slots=True)
class Plan:
    """How this machine shall look with a daemon of these options."""

    bridge: BridgeConfig
    firewall: FirewallConfig
    wiring: Wiring
    tunnel_port: int
    may_tunnel: Callable[[str], bool]
    """Whether frames may go in the clear to this address."""
    bypass: bool
    """Whether frames go past the bridge."""

    def lawful(self, found: Tables) -> Tables:
        """What may stay of the tables that an earlier daemon left, which perhaps had no password."""
        return found.without_tunnels(self.may_tunnel)

    @classmethod
    def of(cls, options: LaunchOptions, name: PeerName) -> "Plan":
        """The plan that options and peer name make."""
        resolver = own_resolver(options)
        mac = bridge_mac(name)
        open_subnets = options.trusted_subnets if options.password else (IPv4Network("0.0.0.0/0"),)
        return cls(
            BridgeConfig(options.bridge, mac, options.mtu, resolver),
            FirewallConfig(
                options.bridge,
                options.port,
                closed_ports(options),
                resolver,
                gateway=None
                if resolver is None
                else Gateway(options.bridge, mac, resolver, options.ipalloc_range),
            ),
            Wiring(
                bridge=options.bridge,
                interface=options.interface,
                mtu=options.mtu,
                resolver=resolver,
                resolver_mac=mac if resolver is not None else None,
            ),
            options.port + 1,
            lambda address: is_within(address, open_subnets),
            not options.no_bypass,
        )


async def _open_path(plan: Plan) -> KernelPath:
    with _explained(plan.tunnel_port):
        path = await KernelPath.ensure(
            plan.bridge.name, plan.tunnel_port, plan.bridge.mtu, plan.lawful, bypass=plan.bypass
        )
    path.set_resolver(plan.bridge.resolver)
    return path


@contextmanager
def _explained(port: int) -> Iterator[None]:
    """Say plainly what keeps the kernel from opening a data path on this UDP port."""
    try:
        yield
    except BpfUnavailable as error:
        raise UserError(f"this kernel cannot run the data path: {error}", 503) from error
    except KernelRefused as error:
        if error.errno == errno.EADDRINUSE:
            text = f"UDP port {port} is in use; stop what uses it, or choose another with --port (one less)"
            raise UserError(text, 409) from error
        raise UserError(f"the kernel refuses the data path: {error.strerror}", 503) from error


def own_resolver(options: LaunchOptions) -> IPv4Address | None:
    """The address on the bridge at which containers find the resolver; None if it is elsewhere or off."""
    return None if options.no_dns or options.dns_listen_address is not None else DEFAULT_RESOLVER


def closed_ports(options: LaunchOptions) -> tuple[int, ...]:
    """TCP ports of ours that containers must not reach."""
    addresses = (options.http_addr, options.status_addr, options.metrics_addr)
    return tuple(sorted({address.port for address in addresses if isinstance(address, TcpAddress)}))
