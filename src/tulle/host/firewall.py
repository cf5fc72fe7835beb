"""Keeping the host's nftables table as it should be, also when somebody else flushes it.

nft is asked to look as often as somebody removes something of ours, changes a hooked chain or puts a rule
into one that forwards, but not more often than a few times a second, and now and then in any case.
"""

import asyncio
import contextlib
import logging
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import ip_address

from tulle.errors import UserError
from tulle.host import foreign, legacy, nft, rules
from tulle.host.admitted import Admitted
from tulle.host.news import NETFILTER, NFTABLES, ROUTES, ROUTING, News, attributes, messages
from tulle.host.nft import Command, NftRefused
from tulle.host.routed import ROUTED, UNROUTED, Routed, parse_members, uplink_bridges
from tulle.host.rules import PEERS_4, PEERS_6, Exposed, FirewallConfig, Wanted

_log = logging.getLogger(__name__)

_GENERIC = 4
"""Bytes before the attributes: the first is the family of addresses."""
_INET = b"\x01"
_REMOVALS = {10 << 8 | kind for kind in (2, 5, 8, 11, 14)}
"""Table, chain, rule, set and element deleted."""
_NEWCHAIN, _NEWRULE = 10 << 8 | 3, 10 << 8 | 6
_TABLE_NAME, _CHAIN_OF_RULE, _HOOK = 1, 2, 4
_FORWARDING = b"FORWARD\0"
_SILENT_INTERVAL = 10.0
"""Seconds between looks at what changes without a word."""

_SETTLE = 0.2
"""Seconds to wait after a change by somebody else, which seldom comes alone, before looking."""


class Firewall:
    """The table of one host. Changes are made one after the other, in the order of the calls."""

    def __init__(self, config: FirewallConfig, interval: float = 60) -> None:
        """Have the table looked at every ``interval`` seconds, besides when the kernel tells of a change."""
        self.config = config
        self.remade = 0
        self._interval = interval
        self._peers: frozenset[str] = frozenset()
        self._wanted = Wanted()
        self._turn = asyncio.Lock()
        self._look = asyncio.Event()
        self._news: News | None = None
        self._routes: News | None = None
        self._rerouted = False
        self._watcher: asyncio.Task[None] | None = None

    async def start(self, exposed: Sequence[Exposed] = ()) -> None:
        """Load the table and begin to watch it. What it says of peers and networks from earlier stays.

        Raises UserError if there is no nft, or it refuses.
        """
        async with self._turn:
            listed = await self._list()
            self._peers = _listed_peers(listed)
            self._wanted = Wanted(tuple(exposed), _listed_routed(listed))
            await self._load()
        self._news = News(NETFILTER, NFTABLES, self._hear, self._look.set)
        self._routes = News(ROUTING, ROUTES, lambda _: self._hear_of_route(), self._hear_of_route)
        self._watcher = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """Stop watching; the table stays."""
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)
            self._watcher = None
        for news in filter(None, (self._news, self._routes)):
            news.close()
        self._news = self._routes = None

    async def remove(self) -> None:
        """Stop watching and remove the table."""
        await self.stop()
        table = {"family": "inet", "name": self.config.table}
        async with self._turn:
            with _explained():
                await nft.apply([{"add": {"table": table}}, {"delete": {"table": table}}])
                await foreign.withdraw(self.config.table)
                await legacy.withdraw()

    async def set_peers(self, addresses: Collection[str]) -> None:
        """Let exactly these IP addresses write to the tunnel port. ValueError if one is none."""
        wanted = frozenset(_plain(address) for address in addresses)
        async with self._turn:
            if wanted == self._peers:
                return
            changes = [
                *self._changes("delete", self._peers - wanted),
                *self._changes("add", wanted - self._peers),
            ]
            self._peers = wanted
            try:
                await nft.apply(changes)
            except NftRefused:
                await self._remake("it was changed by somebody else")

    async def set_exposed(self, exposed: Sequence[Exposed]) -> None:
        """Masquerade for exactly these."""
        async with self._turn:
            self._wanted = replace(self._wanted, exposed=tuple(exposed))
            await self._load()

    async def set_routed(self, routed: Routed) -> None:
        """Have the host be the gateway of exactly these. Raises UserError, and leaves all as it was."""
        async with self._turn:
            before = self._wanted
            if routed == before.routed:
                return
            self._wanted = replace(before, routed=routed)
            try:
                await self._load()
            except UserError:
                self._wanted = before
                raise

    async def check(self) -> bool:
        """Make the table anew if it is not as it should be; True if it was."""
        async with self._turn:
            listed = await self._list()
            if listed is not None and self._is_whole(listed):
                await self._admit()
                return True
            await self._remake("it is gone" if listed is None else "parts of it are gone")
            return False

    def _changes(self, verb: str, peers: Collection[str]) -> list[Command]:
        sets = rules.split_peers(peers)
        return [rules.change_peers(self.config, verb, name, members) for name, members in sets.items()]

    async def _load(self) -> None:
        self._wanted = replace(self._wanted, uplinks=await self._uplinks())
        with _explained():
            await nft.apply(rules.whole_table(self.config, self._peers, self._wanted))
        await self._admit()

    async def _uplinks(self) -> Sequence[str]:
        return await asyncio.to_thread(uplink_bridges) if self._wanted.routed.networks else ()

    async def _admit(self) -> None:
        with _explained():
            await foreign.admit(self._admitted(), self.config.table)
            await legacy.admit(self._admitted())

    def _admitted(self) -> Admitted:
        return Admitted.of(self.config, self._wanted)

    async def _remake(self, why: str) -> None:
        await self._load()
        self.remade += 1
        _log.warning("made the nftables table inet %s anew: %s", self.config.table, why)

    async def _list(self) -> list[Command] | None:
        with _explained():
            return await nft.list_table("inet", self.config.table)

    def _is_whole(self, listed: list[Command]) -> bool:
        there = [(rule["chain"], rule.get("comment")) for rule in _objects(listed, "rule")]
        wanted = [(chain, comment) for chain, comment, _ in rules.all_rules(self.config, self._wanted)]
        return (
            sorted(there, key=str) == sorted(wanted, key=str)
            and _listed_peers(listed) == self._peers
            and _listed_routed(listed) == self._wanted.routed
        )

    def _hear(self, data: bytes) -> None:
        if removes_from(data, self.config.table) or changes_base_chain(data) or adds_to_forwarding(data):
            self._look.set()

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + self._interval
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(self._interval, _SILENT_INTERVAL)):
                    await self._look.wait()
                await asyncio.sleep(_SETTLE)
            look = self._look.is_set() or loop.time() >= due
            self._look.clear()
            try:
                await (self.check() if look else self._look_at_the_silent())
            except UserError as error:
                _log.error("the firewall could not be checked: %s", error)
            if look:
                due = loop.time() + self._interval

    async def _look_at_the_silent(self) -> None:
        """The old iptables tells nobody of its changes, and those of routes may be many."""
        async with self._turn:
            with _explained():
                await legacy.admit(self._admitted())
            rerouted, self._rerouted = self._rerouted, False
            if rerouted and await self._uplinks() != self._wanted.uplinks:
                await self._load()

    def _hear_of_route(self) -> None:
        self._rerouted = True


def removes_from(data: bytes, table: str) -> bool:
    """Whether the messages in a netlink datagram tell of something deleted in our table, or of all of it."""
    name = table.encode() + b"\0"
    return any(
        kind in _REMOVALS and body[:1] == _INET and dict(attributes(body[_GENERIC:])).get(_TABLE_NAME) == name
        for kind, body in messages(data)
    )


def changes_base_chain(data: bytes) -> bool:
    """Whether they tell of a chain that is hooked somewhere: made, or given another policy."""
    return any(
        kind == _NEWCHAIN and _HOOK in dict(attributes(body[_GENERIC:])) for kind, body in messages(data)
    )


def adds_to_forwarding(data: bytes) -> bool:
    """Whether they tell of a rule in a chain called as iptables calls the one for what is passed on."""
    return any(
        kind == _NEWRULE and dict(attributes(body[_GENERIC:])).get(_CHAIN_OF_RULE) == _FORWARDING
        for kind, body in messages(data)
    )


def _plain(address: str) -> str:
    """The address as nft writes it: without a zone, and IPv4 as such also where it came mapped into IPv6."""
    parsed = ip_address(address.partition("%")[0])
    return str((parsed.ipv4_mapped if parsed.version == 6 else None) or parsed)


def _objects(listed: list[Command], kind: str) -> list[Command]:
    return [entry[kind] for entry in listed if kind in entry]


def _listed_routed(listed: list[Command] | None) -> Routed:
    sets = {one["name"]: parse_members(one.get("elem", [])) for one in _objects(listed or [], "set")
            if one["name"] in (ROUTED, UNROUTED)}  # fmt: skip
    return Routed(sets.get(ROUTED, frozenset()), sets.get(UNROUTED, frozenset()))


def _listed_peers(listed: list[Command] | None) -> frozenset[str]:
    sets = [one for one in _objects(listed or [], "set") if one["name"] in (PEERS_4, PEERS_6)]
    return frozenset(member for one in sets for member in one.get("elem", []))


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except NftRefused as error:
        raise UserError(
            f"the firewall could not be set up: {error}; is nf_tables in this kernel?", 500
        ) from error
