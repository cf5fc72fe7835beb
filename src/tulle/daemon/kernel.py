"""All of this machine that a daemon uses, opened, driven and left or removed together."""

import asyncio
import logging
from collections.abc import Callable
from ipaddress import IPv4Address

from tulle.api.listen import TcpAddress
from tulle.daemon.identity import bridge_mac
from tulle.daemon.options import LaunchOptions
from tulle.datapath.tables import Tables
from tulle.errors import UserError
from tulle.host.attachments import Attachment
from tulle.host.bridge import DEFAULT_RESOLVER, Bridge, BridgeConfig, ensure_bridge, remove_bridge
from tulle.host.expose import Exposure
from tulle.host.firewall import Firewall
from tulle.host.ports import Ports
from tulle.host.rules import FirewallConfig
from tulle.host.veth import Wiring
from tulle.host.vxlan import KernelPath
from tulle.mesh.peername import PeerName

log = logging.getLogger(__name__)


class Kernel:
    """Bridge, data path, firewall, containers' ports and the exposed host, of one daemon."""

    def __init__(
        self, bridge: Bridge, path: KernelPath, firewall: Firewall, ports: Ports, exposure: Exposure
    ) -> None:
        self.bridge = bridge
        self.path = path
        self.ports = ports
        self.exposure = exposure
        self._firewall = firewall
        self._wanted_peers: frozenset[str] | None = None
        self._peers_changed = asyncio.Event()
        self._gate = asyncio.create_task(self._keep_peers())

    @classmethod
    async def open(
        cls, options: LaunchOptions, name: PeerName, on_gone: Callable[[Attachment], None]
    ) -> "Kernel":
        """Make, or take over, what the daemon needs of this machine. Raises UserError.

        The firewall comes before the data path, so that nothing is ever open that should be closed.
        """
        resolver = own_resolver(options)
        mac = bridge_mac(name)
        bridge = await ensure_bridge(BridgeConfig(options.bridge, mac, options.mtu, resolver))
        firewall = Firewall(FirewallConfig(options.bridge, options.port, closed_ports(options), resolver))
        await firewall.start()
        path = await KernelPath.ensure(options.bridge, options.port + 1, options.mtu)
        path.set_resolver(resolver)
        wiring = Wiring(
            bridge=options.bridge,
            interface=options.interface,
            mtu=options.mtu,
            resolver=resolver,
            resolver_mac=mac if resolver is not None else None,
        )
        exposure = Exposure(bridge, firewall)
        await exposure.start()
        return cls(bridge, path, firewall, Ports(wiring, on_gone), exposure)

    def send_frame(self, frame: bytes) -> None:
        """Send a frame of the daemon's own; what the kernel does not take is lost, as on any wire."""
        self.path.tap.write(frame)

    def drain_frames(self, take: Callable[[bytes], None]) -> None:
        """Hand over the frames for the daemon that wait."""
        self.path.tap.drain(take)

    def use_tables(self, tables: Tables) -> None:
        """Carry frames by these tables, and take tunnelled ones from their addresses only."""
        change = self.path.apply(tables)
        if change.drop_routes:
            self.path.forget_peers(change.drop_routes)
        addresses = frozenset(
            hop.remote_ip for hops in (tables.direct, tables.routes) for hop in hops.values()
        )
        if addresses != self._wanted_peers:
            self._wanted_peers = addresses
            self._peers_changed.set()

    async def close(self) -> None:
        """Leave: containers go on talking."""
        await self._stop_gate()
        self.ports.stop()
        self.exposure.stop()
        await self._firewall.stop()
        self.path.close()

    async def remove(self) -> None:
        """Take everything down."""
        await self._stop_gate()
        await self.ports.remove_all()
        self.ports.stop()
        self.exposure.stop()
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

    async def _stop_gate(self) -> None:
        self._gate.cancel()
        await asyncio.gather(self._gate, return_exceptions=True)


def own_resolver(options: LaunchOptions) -> IPv4Address | None:
    """The address on the bridge at which containers find the resolver; None if it is elsewhere or off."""
    return None if options.no_dns or options.dns_listen_address is not None else DEFAULT_RESOLVER


def closed_ports(options: LaunchOptions) -> tuple[int, ...]:
    """TCP ports of ours that containers must not reach."""
    addresses = (options.http_addr, options.status_addr, options.metrics_addr)
    return tuple(sorted({address.port for address in addresses if isinstance(address, TcpAddress)}))
