"""Joining containers to the bridge: one veth pair each, made and kept by container identity.

The host end carries, in its alias, which container it belongs to. So a daemon that starts finds every
attachment and its owner in the kernel, and keeps no second list that could disagree. The kernel removes the
pair when the container's namespace dies.
"""

import errno
import hashlib
import secrets
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from tulle.errors import UserError
from tulle.host import container, namespace, netlink, sysctl
from tulle.host.attachments import Attachment, to_alias
from tulle.host.bridge import bridge_index
from tulle.host.container import Container
from tulle.host.netlink import KernelRefused, Request, Rtnl

MULTICAST = IPv4Network("224.0.0.0/4")

WHOLE = 65_536
"""Bytes of the biggest packets that the kernel makes in a container, to be cut at the last moment."""

SLIGHTER = 64_500
"""A little less: with our headers, and sealed, one still goes out in one call of UDP_SEGMENT (65,507 bytes,
64 datagrams) where the path's MTU is 1,130 or more."""


@dataclass(frozen=True, slots=True)
class Wiring:
    """How containers are joined to the bridge.

    ``resolver_mac`` is the bridge's: containers get it as a fixed neighbour, because every host has the
    resolver's address and a question for it must not be answered by another host.
    """

    bridge: str
    interface: str = "tulle0"
    mtu: int = 1376
    resolver: IPv4Address | None = None
    resolver_mac: str | None = None
    multicast_route: bool = True
    superframe: int = WHOLE


async def attach(target: Container, addresses: Sequence[IPv4Interface], wiring: Wiring) -> Attachment:
    """Join ``target`` to the bridge and give it ``addresses``, besides those that it has already.

    May be repeated, to add addresses or to repair. Raises UserError: 404 if the container is gone, 409 if it
    has an interface of that name that is not ours. After an error no new interface is left behind. Calls for
    one container must not overlap.
    """
    return await namespace.in_new_thread(lambda: _attach(target, addresses, wiring))


async def detach(
    target: Container, addresses: Sequence[IPv4Interface] | None, wiring: Wiring
) -> tuple[IPv4Interface, ...]:
    """Take ``addresses`` (None: all) from ``target``, and with the last of them the interface.

    Answers what was taken away: nothing where the container was not attached or is gone.
    """
    return await namespace.in_new_thread(lambda: _detach(target, addresses, wiring))


def host_name(target: Container, interface: str) -> str:
    """The name of the host end, always the same for one interface of one container."""
    digest = hashlib.sha256(f"{target.namespace} {interface}".encode()).hexdigest()
    return f"tl{digest[:12]}"


def _attach(target: Container, addresses: Sequence[IPv4Interface], wiring: Wiring) -> Attachment:
    alias = to_alias(target, wiring.interface)
    with Rtnl() as host:
        name = host_name(target, wiring.interface)
        pair = _Pair(host, name, alias, wiring, bridge_index(wiring.bridge))
        try:
            mac, held = container.work_inside(target, lambda there: pair.make_inside(there, addresses))
            pair.finish()
        except BaseException as error:
            pair.undo()
            if isinstance(error, OSError):
                raise _refused(target, error) from error
            raise
        index = socket.if_nametoindex(pair.name)
    return Attachment(target, index, pair.name, wiring.interface, mac, held)


@dataclass(slots=True)
class _Pair:
    """A pair being made or repaired. ``made`` tells whether it is new, and has to go after an error."""

    host: Rtnl
    name: str
    alias: str
    wiring: Wiring
    bridge: int
    made: bool = False

    def make_inside(
        self, there: int, addresses: Sequence[IPv4Interface]
    ) -> tuple[str, tuple[IPv4Interface, ...]]:
        """Make or find the pair and set up the container's end; the calling thread is in the container.

        ``there`` is a descriptor of its namespace. Answers the hardware address and all IPv4 addresses. The
        host's end says from the first whose it is, so that a daemon which finds it half made can go on.
        """
        interface = self.wiring.interface
        mac = _random_mac()
        try:
            label = netlink.set_named_link(self.name, [("IFLA_IFALIAS", self.alias)])
            self.host.send([self._creation(there, mac), label])
            self.made = True
        except KernelRefused as error:
            if error.errno != errno.EEXIST:
                raise
            self._check_ours()
        with Rtnl() as inside:
            index = _index_inside(interface)
            sysctl.write(_settings(interface))
            inside.send(_inner_requests(index, addresses, self.wiring))
            if self.made:
                return mac, tuple(dict.fromkeys(addresses))
            return _describe(inside, interface, index)

    def finish(self) -> None:
        """Bring the host's end up as a port of the bridge, without an IPv6 life of its own."""
        sysctl.write({f"ipv6/conf/{self.name}/{key}": value for key, value in _PORT_IPV6})
        hooks = [netlink.early_filter_hooks(socket.if_nametoindex(self.name))] if self.made else []
        port = [("IFLA_MTU", self.wiring.mtu), ("IFLA_MASTER", self.bridge)]
        self.host.send([*hooks, netlink.set_named_link(self.name, port, up=True)])

    def undo(self) -> None:
        """Remove the pair if this call has made it."""
        if self.made:
            self.host.send([netlink.delete_named_link(self.name)])

    def _creation(self, there: int, mac: str) -> Request:
        peer = [
            ("IFLA_IFNAME", self.wiring.interface),
            ("IFLA_ADDRESS", mac),
            ("IFLA_MTU", self.wiring.mtu),
            ("IFLA_NET_NS_FD", there),
        ]
        data = {"attrs": [("VETH_INFO_PEER", {"attrs": peer})]}
        info = {"attrs": [("IFLA_INFO_KIND", "veth"), ("IFLA_INFO_DATA", data)]}
        return netlink.new_link(
            [("IFLA_IFNAME", self.name), ("IFLA_MTU", self.wiring.mtu), ("IFLA_LINKINFO", info)]
        )

    def _check_ours(self) -> None:
        """One of the two names was taken: by our own earlier attach, or by something else?"""
        if self.host.get(netlink.get_link(self.name)) is None:
            interface = self.wiring.interface
            raise UserError(
                f"the container has an interface {interface} that was not made here; remove or rename it, or"
                " attach under another name",
                409,
            )


def _detach(
    target: Container, addresses: Sequence[IPv4Interface] | None, wiring: Wiring
) -> tuple[IPv4Interface, ...]:
    name = host_name(target, wiring.interface)
    with Rtnl() as host:
        port = host.get(netlink.get_link(name))
        if port is None:
            return ()
        there, index = port.get_attr("IFLA_LINK_NETNSID"), port.get_attr("IFLA_LINK")
        try:
            held = [netlink.address_of(answer) for answer in host.dump(netlink.list_addresses(index, there))]
        except KernelRefused:  # its namespace is being taken down, and the pair with it
            return ()
        leaving = [address for address in held if addresses is None or address in addresses]
        if len(leaving) == len(held):
            host.send([netlink.delete_link(port["index"])])
        elif leaving:
            _remove_inside(target, index, leaving)
    return tuple(leaving)


def _remove_inside(target: Container, index: int, leaving: Sequence[IPv4Interface]) -> None:
    def remove(_there: int) -> None:
        with Rtnl() as inside:
            inside.send([netlink.delete_address(index, address) for address in leaving])

    try:
        container.work_inside(target, remove)
    except KernelRefused as error:
        raise _refused(target, error) from error


def _inner_requests(index: int, addresses: Sequence[IPv4Interface], wiring: Wiring) -> list[Request]:
    requests = [netlink.add_address(index, address) for address in addresses]
    limits = [("IFLA_MTU", wiring.mtu), ("IFLA_GSO_MAX_SIZE", wiring.superframe)]
    requests.append(netlink.set_link(index, limits, up=True))
    if wiring.multicast_route:
        requests.append(netlink.on_link_route(index, MULTICAST, yielding=True))
    if wiring.resolver is not None:
        requests.append(netlink.on_link_route(index, IPv4Network(wiring.resolver)))
    if wiring.resolver is not None and wiring.resolver_mac is not None:
        requests.append(netlink.permanent_neighbour(index, wiring.resolver, wiring.resolver_mac))
    return requests


_PORT_IPV6 = (("disable_ipv6", "1"), ("accept_ra", "0"))


def _settings(interface: str) -> dict[str, str]:
    """Believe no router that is advertised on the network; keep addresses when an older one goes.

    Whether there is IPv6 at all is for the container to say. Where it has not turned it off, the interface
    gives itself an address on the link, as any other does.
    """
    return {
        f"ipv6/conf/{interface}/accept_ra": "0",
        f"ipv6/conf/{interface}/accept_redirects": "0",
        f"ipv4/conf/{interface}/accept_redirects": "0",
        f"ipv4/conf/{interface}/promote_secondaries": "1",
    }


def _index_inside(interface: str) -> int:
    try:
        return socket.if_nametoindex(interface)
    except OSError:
        raise UserError(
            f"the container was attached, but its interface {interface} was renamed or moved since; detach it"
            " and attach it again",
            409,
        ) from None


def _describe(inside: Rtnl, interface: str, index: int) -> tuple[str, tuple[IPv4Interface, ...]]:
    link = inside.get(netlink.get_link(interface))
    if link is None:
        raise UserError(f"the interface {interface} went away meanwhile; attach the container again", 409)
    held = inside.dump(netlink.list_addresses(index))
    return link.get_attr("IFLA_ADDRESS"), tuple(netlink.address_of(answer) for answer in held)


def _random_mac() -> str:
    """A locally administered unicast address."""
    first, *rest = secrets.token_bytes(6)
    return bytes([first & 0xFC | 0x02, *rest]).hex(":")


def _refused(target: Container, error: OSError) -> UserError:
    return UserError(
        f"{target.reference} could not be attached or changed: the kernel says {error.strerror}", 500
    )
