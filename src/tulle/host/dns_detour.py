"""A detour for the questions that Docker's own resolver passes on: they come to ours.

In a container on a network of its own, Docker answers DNS for the names that its engine knows, and passes
the rest on to the host's DNS servers, out of the container's namespace. On their way through the host those
packets are turned to our resolver, which knows the names of all hosts, and asks the same servers for the
rest. So containers find each other without an option or a file being changed.

The packets come by Docker's gateway bridge; those of networks without a way out come by our own bridge, for
which the container gets a route. The list of servers lapses by itself, and with it the detour, when no daemon
renews it.
"""

import asyncio
from collections.abc import Iterable
from ipaddress import IPv4Address
from pathlib import Path

from tulle.errors import UserError
from tulle.host import marks, netlink, nft, resolv_conf
from tulle.host.expressions import TCP_UDP, connection, field, match, meta, put
from tulle.host.netlink import KernelRefused, Rtnl
from tulle.host.nft import Command, NftRefused

GATEWAY_BRIDGE = "docker_gwbridge"
LAPSE = 90
"""Seconds after which an unrenewed list of servers is empty."""

_FAMILY = "ip"
_SERVERS = "servers"
_PRIORITY = 6782
"""Before the rule by which all that the resolver says goes to our bridge."""

_STUB = "127.0.0.53"
_BEHIND_STUB = Path("/run/systemd/resolve/resolv.conf")
_PUBLIC = ("8.8.8.8", "8.8.4.4")
"""Whom Docker asks where the host names no server."""


class DnsDetour:
    """The detour on this host, which belongs to the daemon of ``bridge``."""

    def __init__(self, bridge: str, resolver: IPv4Address) -> None:
        self._table = f"{bridge}-docker-dns"
        self._bridge = bridge
        self._resolver = resolver

    async def start(self) -> None:
        """Make it, in place of what is there of an earlier life. Raises UserError."""
        await self._apply([*self._removal(), *self._table_with_rules()])
        await asyncio.to_thread(_change_rule, netlink.NEWRULE)

    async def renew(self, servers: Iterable[IPv4Address]) -> None:
        """Turn aside what is for these servers, for the time of LAPSE. Raises UserError."""
        place = {"family": _FAMILY, "table": self._table, "name": _SERVERS}
        elements = [{"elem": {"val": str(server), "timeout": LAPSE}} for server in sorted(set(servers))]
        commands: list[Command] = [{"flush": {"set": place}}]
        if elements:
            commands.append({"add": {"element": place | {"elem": elements}}})
        await self._apply(commands)

    async def remove(self) -> None:
        """Let the questions go where they want to. Raises UserError."""
        await self._apply(self._removal())
        await asyncio.to_thread(_change_rule, netlink.DELRULE)

    def _removal(self) -> list[Command]:
        table = {"family": _FAMILY, "name": self._table}
        return [{"add": {"table": table}}, {"delete": {"table": table}}]

    def _table_with_rules(self) -> list[Command]:
        place = {"family": _FAMILY, "table": self._table}
        addresses = {"name": _SERVERS, "type": "ipv4_addr", "flags": ["timeout"]}
        nat = {"name": "turned", "type": "nat", "hook": "prerouting", "prio": -110, "policy": "accept"}
        route = {"name": "answers", "type": "route", "hook": "output", "prio": -150, "policy": "accept"}
        to_us = {"dnat": {"addr": str(self._resolver)}}
        mark = put(connection("mark"), marks.DETOURED)
        outside = [match(meta("iifname"), GATEWAY_BRIDGE), *_QUESTION, mark, to_us]
        inside = [match(meta("iifname"), self._bridge), *_QUESTION, to_us]
        answers = [
            match(field("ip", "saddr"), str(self._resolver)),
            match(connection("mark"), marks.DETOURED),
            put(meta("mark"), marks.DETOURED),
        ]
        return [
            {"add": {"table": {"family": _FAMILY, "name": self._table}}},
            {"add": {"set": place | addresses}},
            {"add": {"chain": place | nat}},
            {"add": {"chain": place | route}},
            {"add": {"rule": place | {"chain": "turned", "expr": outside}}},
            {"add": {"rule": place | {"chain": "turned", "expr": inside}}},
            {"add": {"rule": place | {"chain": "answers", "expr": answers}}},
        ]

    async def _apply(self, commands: list[Command]) -> None:
        try:
            await nft.apply(commands)
        except NftRefused as error:
            raise UserError(
                f"the names of other hosts are not for Docker's containers: {error}", 500
            ) from error


def servers_of_docker(path: Path) -> list[IPv4Address]:
    """Whom Docker's resolver asks on a host with this resolv.conf, as far as it does so from containers.

    A server on the host's loopback it asks from the host itself, where nothing tells its questions apart.
    """
    found = resolv_conf.read(path).servers
    if found == (_STUB,):
        found = resolv_conf.read(_BEHIND_STUB).servers or found
    usable = []
    for text in found or _PUBLIC:
        try:
            server = IPv4Address(text)
        except ValueError:
            continue
        if not server.is_loopback:
            usable.append(server)
    return usable


def _change_rule(kind: int) -> None:
    """Have what is marked go by the main table, whatever its source."""
    try:
        with Rtnl() as rtnl:
            rtnl.send([marks.rule(kind, marks.DETOURED, netlink.MAIN_TABLE, _PRIORITY)])
    except KernelRefused as error:
        raise UserError(f"no rule for answers to Docker's containers: {error.strerror}", 500) from error


_QUESTION = (
    match(field("ip", "daddr"), f"@{_SERVERS}"),
    TCP_UDP,
    match(field("th", "dport"), 53),
)
