"""The kernel data path of one bridge: its VXLAN device, the programs on it, and their tables.

Everything here but the TAP stays when the daemon goes, and is taken over by the next one: ``ensure`` finds
the device and the maps that are there, and puts its own programs in the place of the running ones without
losing a frame.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

from tulle.datapath.tables import Change, Hop, ShortId, Tables, diff
from tulle.errors import UserError
from tulle.host import lane_device, netlink, sysctl
from tulle.host.bpf import layout
from tulle.host.bpf.filters import Direction, attach, attached, ensure_hooks
from tulle.host.bpf.layout import Config, Counter, Place, Traffic
from tulle.host.bpf.map import Map, PerCpuMap
from tulle.host.bpf_object import BpfObject, maps_of_programs
from tulle.host.bridge import add_port, interface_is
from tulle.host.bypass import Bypass
from tulle.host.groups_maps import BRANCHES, LISTENERS, PRUNED_UNTIL, GroupMaps
from tulle.host.lanes import LaneKeeper, LanePrograms
from tulle.host.netlink import KernelRefused, Request, Rtnl
from tulle.host.tap import Tap

_NAME_LIMIT = 15
_TAP_MTU = 65000
_STEP = 1 << 12


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
    """An open data path. Made by ``ensure``; after that all but ``remove`` is quick and synchronous."""

    def __init__(self, names: Names, tap: Tap, vxlan_index: int) -> None:
        self.names = names
        self.tap = tap
        self.tables = Tables()
        """What the kernel carries frames by, as far as it came from here. At first: what was found."""
        self._wanted = self.tables
        self._vxlan_index = vxlan_index
        self._maps: _Maps
        self.groups: GroupMaps
        self.lanes: LaneKeeper
        self.bypass: Bypass

    @classmethod
    async def ensure(
        cls,
        bridge: str,
        port: int,
        mtu: int,
        keep: Callable[[Tables], Tables] = lambda found: found,
        *,
        bypass: bool = True,
    ) -> "KernelPath":
        """Make the data path of a bridge, or take over the one that is there.

        ``port`` is the UDP port of the tunnels, the next one is that of the lanes; ``mtu`` is the largest
        packet containers may send. ``keep`` says what stays of tables that are found: nothing else carries a
        frame from the first moment on. The bridge must exist. Raises UserError, and BpfUnavailable if this
        kernel cannot do it. Lanes are kept as long as the running event loop runs. ``bypass``: whether
        frames between containers and other hosts go past the bridge.
        """
        names = Names.of(bridge)
        path = await asyncio.to_thread(cls._ensure, names, port, mtu, keep)
        try:
            await add_port(bridge, names.vxlan, carrier=True)
            await asyncio.to_thread(path._open_lanes)
            path.lanes.start()
            path._configure(bypass=int(bypass))
            path.bypass.start()
        except BaseException:
            path.close()
            raise
        return path

    @classmethod
    def _ensure(cls, names: Names, port: int, mtu: int, keep: Callable[[Tables], Tables]) -> "KernelPath":
        _ensure_device(names, port, mtu)
        tap = Tap(names.tap)
        try:
            sysctl.write({f"ipv6/conf/{names.tap}/disable_ipv6": "1"})
            path = cls(names, tap, socket.if_nametoindex(names.vxlan))
            path._load(port + 1, mtu, keep)
            with Rtnl() as rtnl:
                rtnl.send([netlink.set_link(tap.ifindex, [("IFLA_MTU", _TAP_MTU)], up=True)])
        except BaseException:
            tap.close()
            raise
        return path

    # What carries frames

    def apply(self, tables: Tables) -> Change:
        """Make the kernel carry frames by these tables; answers what had to change.

        What the kernel refuses (an OSError, it has no memory) is tried again by ``look``.
        """
        self._wanted = tables
        change = diff(self.tables, tables)
        for peer, hop in change.set_direct.items():
            self._maps.direct.set(peer, hop)
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
        for peer in change.drop_direct:
            self._maps.direct.set(peer, None)
        if change.set_routes or change.drop_routes:
            self._configure()  # processors remember routes for a moment
        self.tables = tables
        return change

    def set_resolver(self, address: IPv4Address | None) -> None:
        """The address that every host's bridge carries: ARP for it does not cross hosts."""
        self._configure(resolver=address.packed if address else bytes(4))

    def forget_peers(self, peers: Iterable[ShortId]) -> int:
        """Forget which MAC addresses live at these peers (they are gone, or the id changed hands)."""
        gone = frozenset(peers)
        return self._forget(lambda place: place.peer in gone)

    def forget_macs(self, macs: Iterable[bytes]) -> int:
        """Forget these MAC addresses, wherever they are (a container is gone); how many were known."""
        found = sum(self._maps.macs.delete(mac) for mac in macs)
        self._configure()
        return found

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

    def look(self) -> None:
        """Consider the traffic of each neighbour, and show that somebody is there; every few seconds."""
        if self.tables is not self._wanted:
            self.apply(self._wanted)
        self.groups.confirm()
        self.lanes.look(self.tables, self.traffic)

    # Its end

    def close(self) -> None:
        """Leave: the TAP goes, everything else goes on carrying frames."""
        with contextlib.suppress(OSError):
            self._configure(tap_if=0)
        self.bypass.close()
        self.lanes.close()
        self.tap.close()
        self.groups.close()
        self._maps.close()

    def missing(self) -> list[str]:
        """The interfaces of this path that somebody else has removed."""
        wanted = {self.names.vxlan: self._vxlan_index, self.names.tap: self.tap.ifindex}
        return [name for name, index in wanted.items() if not interface_is(name, index)]

    async def made_again(self, port: int, mtu: int) -> "KernelPath":
        """A new path in the place of this one, whose interfaces somebody else removed. Raises UserError.

        This one is closed then; it stays fit to be asked if no new one can be made.
        """
        self.tap.close()
        self.bypass.close()
        before = self._maps.config.get(0) or Config()
        path = await KernelPath.ensure(self.names.bridge, port, mtu, bypass=bool(before.bypass))
        path.apply(self.tables)
        path.groups.apply(self.groups.tables)
        self.lanes.close()
        self.groups.close()
        self._maps.close()
        return path

    async def remove(self) -> None:
        """Take the data path down: the device, and with it programs and tables."""
        self.close()
        await remove_device(self.names.bridge)

    def _open_lanes(self) -> None:
        lane_device.isolate(self._vxlan_index)
        self.lanes.adopt(self.tables)

    def _load(self, lane_port: int, mtu: int, keep: Callable[[Tables], Tables]) -> None:
        index = self._vxlan_index
        ensure_hooks(index)
        ensure_hooks(self.tap.ifindex)
        running = [attached(index, direction) for direction in Direction]
        with (
            maps_of_programs([one for one in running if one is not None]) as found,
            BpfObject() as programs,
            contextlib.ExitStack() as undo,
        ):
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
            undo.callback(self._maps.close)
            self.groups = GroupMaps(
                programs.map(BRANCHES), programs.map(LISTENERS), programs.map(PRUNED_UNTIL)
            )
            undo.callback(self.groups.close)
            lanes = LanePrograms(
                os.dup(programs.program("from_bridge")),
                os.dup(programs.program("from_lane")),
                programs.map(layout.LANES),
                programs.map(layout.LANE_PEERS),
                self._configure,
            )
            undo.callback(lanes.close)
            self.lanes = LaneKeeper(self.names.bridge, lane_port, mtu, self.tap, lanes)
            self.bypass = Bypass(self.names.bridge, os.dup(programs.program("from_container")))
            undo.callback(self.bypass.close)
            self._adopt(keep)
            self._configure(vx_if=index, tap_if=self.tap.ifindex)
            attach(index, Direction.EGRESS, programs.program("from_bridge"))
            attach(index, Direction.INGRESS, programs.program("from_wire"))
            attach(self.tap.ifindex, Direction.INGRESS, programs.program("from_tap"))
            self.bypass.put_on_all()
            undo.pop_all()

    def _adopt(self, keep: Callable[[Tables], Tables]) -> None:
        found = self._maps.config.get(0) or Config()
        if not found.vx_if:
            return
        self.tables = Tables(
            ShortId(found.self_id),
            {peer: hop for peer, hop in self._maps.direct.items() if hop is not None},
            {peer: hop for peer, hop in self._maps.routes.items() if hop is not None},
            dict(self._maps.trees.items()),
        )
        self.apply(keep(self.tables))

    def _configure(self, **changes: Any) -> None:
        """Change what the programs know, and make void what processors remember.

        The kernel may count up ``moves`` at the same moment: a big step is ahead of that.
        """
        now = self._maps.config.get(0) or Config()
        self._maps.config.set(0, now._replace(**changes, moves=(now.moves + _STEP) & 0xFFFFFFFF))

    def _forget(self, chosen: Callable[[Place], bool]) -> int:
        return self.forget_macs([mac for mac, place in self._maps.macs.items() if chosen(place)])


async def remove_device(bridge: str) -> None:
    """Remove a bridge's VXLAN device and lanes, whoever made them; nothing happens if there are none."""
    await asyncio.to_thread(_remove_devices, Names.of(bridge))


def _remove_devices(names: Names) -> None:
    with Rtnl() as rtnl:
        rtnl.send([netlink.delete_named_link(names.vxlan)])
        rtnl.send([netlink.delete_link(index) for _, index in list(lane_device.lanes_of(names.bridge))])


def _ensure_device(names: Names, port: int, mtu: int) -> None:
    with Rtnl() as rtnl:
        try:
            link = rtnl.get(netlink.get_link(names.vxlan))
            if link is not None and not _is_ours(link, port):
                rtnl.send([netlink.delete_link(link["index"])])
                link = None
            if link is None:
                rtnl.send([_new_device(names.vxlan, port)])
            rtnl.send([netlink.set_named_link(names.vxlan, [("IFLA_MTU", mtu)])])
        except KernelRefused as error:
            raise UserError(
                f"the VXLAN device {names.vxlan} on UDP port {port} could not be made: {error.strerror}", 503
            ) from error


def _new_device(name: str, port: int) -> Request:
    data = [("IFLA_VXLAN_COLLECT_METADATA", 1), ("IFLA_VXLAN_LEARNING", 0), ("IFLA_VXLAN_PORT", port)]
    info = {"attrs": [("IFLA_INFO_KIND", "vxlan"), ("IFLA_INFO_DATA", {"attrs": data})]}
    return netlink.new_link([("IFLA_IFNAME", name), ("IFLA_LINKINFO", info)])


def _is_ours(link: Any, port: int) -> bool:
    """Whether a link found under our name is the device that we would make."""
    info = link.get_attr("IFLA_LINKINFO")
    if info is None or info.get_attr("IFLA_INFO_KIND") != "vxlan":
        return False
    data = info.get_attr("IFLA_INFO_DATA")
    return bool(data.get_attr("IFLA_VXLAN_COLLECT_METADATA")) and data.get_attr("IFLA_VXLAN_PORT") == port
