"""The kernel data path of one bridge: its VXLAN device, the programs on it, and their tables.

Everything here but the TAP stays when the daemon goes, and is taken over by the next one: ``ensure`` finds
the device and the maps that are there, and puts its own programs in the place of the running ones without
losing a frame.
"""

import contextlib
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from pyroute2 import AsyncIPRoute, NetlinkError

from tulle.datapath.tables import Change, Hop, ShortId, Tables, diff
from tulle.errors import UserError
from tulle.host.bpf import layout
from tulle.host.bpf.filters import Direction, attach, attached, ensure_hooks
from tulle.host.bpf.layout import Config, Counter, Place, Traffic
from tulle.host.bpf.map import Map, PerCpuMap
from tulle.host.bpf_object import BpfObject, maps_of_programs
from tulle.host.tap import Tap

_NAME_LIMIT = 15
_TAP_MTU = 65000


@dataclass(frozen=True, slots=True)
class Names:
    """The interfaces that belong to a bridge."""

    bridge: str
    vxlan: str
    tap: str

    @classmethod
    def of(cls, bridge: str) -> "Names":
        """Raises UserError if the kernel's limit leaves no room for our suffixes."""
        names = cls(bridge, f"{bridge}-vx", f"{bridge}-tap")
        if len(names.tap) > _NAME_LIMIT:
            raise UserError(f"the bridge name {bridge!r} is too long: at most {_NAME_LIMIT - 4} characters")
        return names


@dataclass(slots=True)
class _Maps:
    config: Map[int, Config]
    macs: Map[bytes, Place]
    routes: Map[ShortId, Hop | None]
    direct: Map[ShortId, Hop | None]
    trees: Map[ShortId, Any]
    traffic: PerCpuMap[ShortId, Traffic]
    counters: PerCpuMap[Counter, int]

    def close(self) -> None:
        for one in (
            self.config,
            self.macs,
            self.routes,
            self.direct,
            self.trees,
            self.traffic,
            self.counters,
        ):
            one.close()


class KernelPath:
    """An open data path. Made by ``ensure``; after that everything but ``remove`` is quick and synchronous."""

    def __init__(self, names: Names, tap: Tap, vxlan_index: int, adopted: Tables) -> None:
        self.names = names
        self.tap = tap
        self.tables = adopted
        """What the kernel carries frames by, as far as it came from here. At first: what was found."""
        self._vxlan_index = vxlan_index
        self._maps: _Maps
        self._config = Config()

    @classmethod
    async def ensure(cls, ipr: AsyncIPRoute, bridge: str, port: int, mtu: int) -> "KernelPath":
        """Make the data path of a bridge, or take over the one that is there.

        ``port`` is the UDP port of the tunnels, ``mtu`` the largest packet containers may send. The bridge
        must exist. Raises UserError, and BpfUnavailable if this kernel cannot do it.
        """
        names = Names.of(bridge)
        await _ensure_device(ipr, names, port, mtu)
        index = socket.if_nametoindex(names.vxlan)
        tap = Tap(names.tap)
        try:
            await ipr.link("set", index=tap.ifindex, mtu=_TAP_MTU)
            _silence(names.tap)
            path = cls(names, tap, index, Tables())
            path._load()
            await ipr.link("set", index=tap.ifindex, state="up")
            await ipr.link("set", index=index, mtu=mtu, master=socket.if_nametoindex(bridge), state="up")
        except BaseException:
            tap.close()
            raise
        return path

    # What carries frames

    def apply(self, tables: Tables) -> Change:
        """Make the kernel carry frames by these tables; answers what had to change."""
        change = diff(self.tables, tables)
        for peer, hop in change.set_routes.items():
            self._maps.routes.set(peer, hop)
        for source, tree in change.set_trees.items():
            self._maps.trees.set(source, tree)
        if change.self_id is not None:
            self._configure(self_id=change.self_id)
        for source in change.drop_trees:
            self._maps.trees.delete(source)
        for peer in change.drop_routes:
            self._maps.routes.set(peer, None)
        self.tables = tables
        return change

    def set_direct(self, peer: ShortId, hop: Hop | None) -> None:
        """Where a neighbour itself is, for heartbeats and probes; None: it is no neighbour any more."""
        self._maps.direct.set(peer, hop)

    def directs(self) -> dict[ShortId, Hop]:
        """The neighbours as the kernel has them."""
        return {peer: hop for peer, hop in self._maps.direct.items() if hop is not None}

    def set_resolver(self, address: IPv4Address | None) -> None:
        """The address that every host's bridge carries: ARP for it does not cross hosts."""
        self._configure(resolver=address.packed if address else bytes(4))

    def forget_peers(self, peers: Iterable[ShortId]) -> int:
        """Forget which MAC addresses live at these peers (they are gone, or the id changed hands)."""
        gone = frozenset(peers)
        return self._forget(lambda place: place.peer in gone)

    def forget_macs(self, macs: Iterable[bytes]) -> None:
        """Forget these MAC addresses, wherever they are (a container is gone)."""
        for mac in macs:
            self._maps.macs.delete(mac)

    # What it says of itself

    def macs(self) -> dict[bytes, ShortId | None]:
        """Where each known MAC address lives; None is here."""
        return {
            mac: None if place.peer == layout.LOCAL_PLACE else ShortId(place.peer)
            for mac, place in self._maps.macs.items()
        }

    def traffic(self, peer: ShortId) -> Traffic:
        """What went to and came from a peer since the device was made."""
        return Traffic(*map(sum, zip(*self._maps.traffic.per_cpu(peer), strict=True)))

    def counters(self) -> dict[Counter, int]:
        """Events and drops since the device was made."""
        return {counter: sum(self._maps.counters.per_cpu(counter)) for counter in Counter}

    # Its end

    def close(self) -> None:
        """Leave: the TAP goes, everything else goes on carrying frames."""
        with contextlib.suppress(OSError):
            self._configure(tap_if=0)
        self.tap.close()
        self._maps.close()

    async def remove(self, ipr: AsyncIPRoute) -> None:
        """Take the data path down: the device, and with it programs and tables."""
        self.close()
        await remove_device(ipr, self.names.bridge)

    def _load(self) -> None:
        index = self._vxlan_index
        ensure_hooks(index)
        ensure_hooks(self.tap.ifindex)
        running = [attached(index, direction) for direction in Direction]
        with maps_of_programs([one for one in running if one is not None]) as found, BpfObject() as programs:
            programs.load(found)
            self._maps = _Maps(
                programs.map(layout.CONFIG),
                programs.map(layout.MACS),
                programs.map(layout.ROUTES),
                programs.map(layout.DIRECT),
                programs.map(layout.TREES),
                programs.per_cpu_map(layout.TRAFFIC),
                programs.per_cpu_map(layout.COUNTERS),
            )
            self._adopt()
            self._configure(vx_if=index, tap_if=self.tap.ifindex)
            attach(index, Direction.EGRESS, programs.program("from_bridge"))
            attach(index, Direction.INGRESS, programs.program("from_wire"))
            attach(self.tap.ifindex, Direction.INGRESS, programs.program("from_tap"))

    def _adopt(self) -> None:
        self._config = self._maps.config.get(0) or Config()
        if not self._config.vx_if:
            return
        self.tables = Tables(
            ShortId(self._config.self_id),
            {peer: hop for peer, hop in self._maps.routes.items() if hop is not None},
            dict(self._maps.trees.items()),
        )

    def _configure(self, **changes: Any) -> None:
        self._config = self._config._replace(**changes)
        self._maps.config.set(0, self._config)

    def _forget(self, chosen: Callable[[Place], bool]) -> int:
        macs = [mac for mac, place in self._maps.macs.items() if chosen(place)]
        return sum(self._maps.macs.delete(mac) for mac in macs)


async def remove_device(ipr: AsyncIPRoute, bridge: str) -> bool:
    """Remove a bridge's VXLAN device, whoever made it; False if there is none."""
    index = _index(Names.of(bridge).vxlan)
    if index is None:
        return False
    await ipr.link("del", index=index)
    return True


async def _ensure_device(ipr: AsyncIPRoute, names: Names, port: int, mtu: int) -> None:
    index = _index(names.vxlan)
    if index is not None:
        if await _is_ours(ipr, index, port):
            return
        await ipr.link("del", index=index)
    try:
        await ipr.link(
            "add",
            ifname=names.vxlan,
            kind="vxlan",
            vxlan_collect_metadata=True,
            vxlan_learning=False,
            vxlan_port=port,
            mtu=mtu,
        )
    except NetlinkError as error:
        raise UserError(f"cannot make the VXLAN device {names.vxlan}: {error}", 503) from error
    _silence(names.vxlan)


async def _is_ours(ipr: AsyncIPRoute, index: int, port: int) -> bool:
    (link,) = await ipr.link("get", index=index)
    info = link.get("linkinfo")
    data = info.get("data") if info else None
    return bool(
        info
        and info.get("kind") == "vxlan"
        and data
        and data.get("vxlan_collect_metadata")
        and data.get("vxlan_port") == port
    )


def _index(name: str) -> int | None:
    try:
        return socket.if_nametoindex(name)
    except OSError:
        return None


def _silence(name: str) -> None:
    """Keep the kernel from speaking IPv6 of its own accord on this interface."""
    with contextlib.suppress(FileNotFoundError):
        Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6").write_text("1")
