"""Joining the host itself to the network: addresses on the bridge, and standing in for others if wished.

The kernel holds the state: an exposed address is one on the bridge that is not the resolver's, and its label
says where masquerading is off. So a restarted daemon, and ``hide``, need no record of their own.
"""

import asyncio
import errno
from ipaddress import IPv4Interface

from tulle.errors import UserError
from tulle.host import netlink, sysctl
from tulle.host.bridge import Bridge
from tulle.host.firewall import Firewall
from tulle.host.neighbours import Announcer
from tulle.host.netlink import KernelRefused, Rtnl
from tulle.host.rules import Exposed

_UNMASKED = ":nm"
_LONGEST_LABEL = 15


class Exposure:
    """The addresses by which the host is on the network of its bridge."""

    def __init__(self, bridge: Bridge, firewall: Firewall) -> None:
        self._bridge = bridge
        self._firewall = firewall
        self._announcer: Announcer | None = None
        self._known: list[Exposed] = []

    async def start(self) -> list[Exposed]:
        """Adopt what is exposed from an earlier life of the daemon, and answer it. The firewall must run."""
        self._announcer = Announcer(self._bridge.name)
        self._known = await self.exposed()
        if self._known:
            await self._firewall.set_exposed(self._known)
        return self._known

    def stop(self) -> None:
        """Announce nothing more; what is exposed stays so."""
        if self._announcer is not None:
            self._announcer.close()
            self._announcer = None

    async def restore(self, bridge: Bridge) -> None:
        """Go on with a new bridge in the place of one that somebody removed. Raises UserError."""
        self._bridge = bridge
        for one in self._known:
            await asyncio.to_thread(_add, bridge, one)

    async def exposed(self) -> list[Exposed]:
        """What is exposed now, in order; where somebody removed the bridge, what will be when it is back."""
        try:
            return await asyncio.to_thread(_exposed, self._bridge)
        except KernelRefused as error:
            if error.errno != errno.ENODEV:
                raise
            return list(self._known)

    async def expose(self, address: IPv4Interface, masquerade: bool = True) -> None:
        """Give the host an address on the network; once more with another ``masquerade`` changes that.

        The host forwards packets from now on. Raises UserError.
        """
        await asyncio.to_thread(_add, self._bridge, Exposed(address, masquerade))
        await self._tell_firewall()
        if self._announcer is not None:
            self._announcer.announce([address.ip], self._bridge.mac)

    async def hide(self, address: IPv4Interface) -> bool:
        """Take the address away; False if it was not exposed. Raises UserError."""
        there = address in [one.address for one in await self.exposed()]
        if there:
            await asyncio.to_thread(_remove, self._bridge, address)
            await self._tell_firewall()
        return there

    async def _tell_firewall(self) -> None:
        self._known = await self.exposed()
        await self._firewall.set_exposed(self._known)


def _exposed(bridge: Bridge) -> list[Exposed]:
    with Rtnl() as rtnl:
        answers = rtnl.dump(netlink.list_addresses(bridge.index))
    return sorted(
        Exposed(netlink.address_of(answer), answer.get_attr("IFA_LABEL") != _label(bridge, False))
        for answer in answers
        if answer["scope"] == netlink.SCOPE_GLOBAL
    )


def _add(bridge: Bridge, exposed: Exposed) -> None:
    sysctl.write({"ipv4/ip_forward": "1", f"ipv4/conf/{bridge.name}/promote_secondaries": "1"})
    stale = Exposed(exposed.address, not exposed.masquerade)
    label = _label(bridge, exposed.masquerade)
    requests = [netlink.delete_address(bridge.index, stale.address)] if stale in _exposed(bridge) else []
    _send(bridge, [*requests, netlink.add_address(bridge.index, exposed.address, label=label)])


def _remove(bridge: Bridge, address: IPv4Interface) -> None:
    _send(bridge, [netlink.delete_address(bridge.index, address)])


def _send(bridge: Bridge, requests: list[netlink.Request]) -> None:
    with Rtnl() as rtnl:
        try:
            rtnl.send(requests)
        except KernelRefused as error:
            text = f"the addresses of {bridge.name} could not be changed: the kernel says {error.strerror}"
            raise UserError(text, 500) from error


def _label(bridge: Bridge, masquerade: bool) -> str:
    if masquerade:
        return bridge.name
    return bridge.name[: _LONGEST_LABEL - len(_UNMASKED)] + _UNMASKED
