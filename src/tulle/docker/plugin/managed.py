"""The plugin that Docker itself starts (version 2, "managed"): the same driver, for the networks of a swarm.

The swarm deals out addresses and knows the names of its services and tasks. Peers are found by it too: every
node knows its managers, so every daemon dials those.
"""

import os
import socket
from collections.abc import Iterable, Sequence

import msgspec

from tulle.api.daemon import DaemonApi
from tulle.docker.engine import Engine, Event, Summary
from tulle.docker.plugin import entry
from tulle.docker.plugin.driver import Wire
from tulle.docker.plugin.ipam import Ipam
from tulle.docker.plugin.networks import Keeper, Networks
from tulle.docker.plugin.serving import Serving
from tulle.errors import UserError
from tulle.host.store import Record

PEERS_INTERVAL = 30.0
"""Seconds between two looks at who the swarm's managers are."""


class Manager(msgspec.Struct, frozen=True, rename="pascal"):
    """A manager of the swarm, host and port."""

    addr: str = ""


class Swarm(msgspec.Struct, frozen=True, rename="pascal"):
    """The swarm as one node sees it. ``node_addr`` is the node's own address."""

    local_node_state: str = ""
    node_addr: str = ""
    remote_managers: list[Manager] | None = None

    def peers(self) -> list[str]:
        """The addresses of the managers, without this node's own."""
        managers = self.remote_managers or ()
        hosts = (manager.addr.rpartition(":")[0] for manager in managers)
        return [host for host in hosts if host and host != self.node_addr]


class Info(msgspec.Struct, frozen=True, rename="pascal"):
    """As much of the engine's description of itself as matters here."""

    swarm: Swarm = Swarm()


class ManagedPlugin:
    """A service of the daemon, and a listener of the watch."""

    def __init__(
        self,
        engine: Engine,
        daemon: DaemonApi,
        store: Keeper,
        records: Iterable[Record],
        wire: Wire,
    ) -> None:
        self._engine = engine
        self._daemon = daemon
        self._serving = Serving(Networks(store, records, None), Ipam(daemon, None), wire, scope="global")
        self._dialled: set[str] = set()

    async def start(self) -> None:
        """Serve Docker, which waits for it."""
        await self._serving.start()
        if os.environ.get(entry.HANDED_OVER) != "1":
            raise UserError("--plugin-v2 is for plugins that Docker starts: see `make plugin`")
        listener = socket.socket(fileno=entry.FIRST_FILE)
        listener.setblocking(False)
        await self._serving.listen(listener)
        self._serving.keep_up()
        self._serving.background.repeat(PEERS_INTERVAL, self._find_peers)

    async def stop(self) -> None:
        """Serve no more."""
        await self._serving.background.stop()
        await self._serving.close()
        self._serving.stop()

    def happened(self, event: Event) -> None:
        """Names and addresses are the swarm's business."""

    def caught_up(self, containers: Sequence[Summary]) -> None:
        """Docker is there, and can be asked for peers."""
        self._serving.background.spawn(self._find_peers())

    async def _find_peers(self) -> None:
        answer = await self._engine.request("GET", "/info")
        try:
            peers = msgspec.json.decode(answer, type=Info).swarm.peers()
        except msgspec.MsgspecError as error:
            raise UserError(f"Docker's description of itself cannot be understood: {error}") from None
        new = [peer for peer in peers if peer not in self._dialled]
        if new:
            await self._daemon.connect(new, False)
            self._dialled.update(new)
