"""Meshes on a network in memory: each behaves like a daemon whose carriers work as a test wants."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from random import Random
from typing import TypeVar

from tulle.mesh.channel import Channel
from tulle.mesh.dialect import Features, Message
from tulle.mesh.dialect.weave.session import WeaveSession
from tulle.mesh.events import (
    CloseLink,
    Dial,
    LinkDown,
    LinkId,
    LinkUp,
    Log,
    MeshEvent,
    PeersGone,
    Resolve,
    Writable,
)
from tulle.mesh.keeper import SessionFactory
from tulle.mesh.mesh import Mesh, MeshConfig
from tulle.mesh.peername import PeerName
from tulle.mesh.views import LinkState
from tulle.sim.ends import Address
from tulle.sim.network import Network
from tulle.sim.paths import Quality
from tulle.sim.settings import ip_of

Result = TypeVar("Result")
Establish = Callable[[PeerName], float | None]
PORT = 6783


def at_once(peer: PeerName) -> float | None:
    return 0.0


class MeshHost:
    """One mesh and what a daemon does for it.

    ``establish`` says after how many seconds frames pass on a new link to a peer; None is never.
    """

    def __init__(
        self,
        network: Network,
        ip: str,
        mesh: Mesh,
        establish: Establish = at_once,
    ) -> None:
        self.ip = ip
        self.port = mesh.config.port
        self.mesh = mesh
        self.network = network
        self.events: list[MeshEvent] = []
        self.gone: list[PeerName] = []
        self._establish = establish
        self._up: dict[PeerName, LinkId] = {}
        self._planned = float("inf")
        self._resolve: Callable[[str], Sequence[str]] = lambda host: ()
        network.add(self)
        self.run(lambda: None)

    @property
    def name(self) -> PeerName:
        return self.mesh.self_name

    @property
    def neighbours(self) -> set[PeerName]:
        """The peers with a link that is up."""
        return set(self._up)

    @property
    def established(self) -> set[PeerName]:
        """The peers with a link on which frames pass."""
        return {view.peer for view in self.mesh.links() if view.state is LinkState.ESTABLISHED and view.peer}

    def connect(self, *targets: str, replace: bool = False) -> None:
        self.run(lambda: self.mesh.connect(targets, replace, self.network.clock.now))

    def resolve_with(self, resolve: Callable[[str], Sequence[str]]) -> None:
        """Answer look-ups like this."""
        self._resolve = resolve

    # -- what the network tells --------------------------------------------------------------------------

    def accept(self, connection: int, remote: Address) -> bool:
        here = (self.ip, self.port)
        return self.run(lambda: self.mesh.accepted(LinkId(connection), remote, here, self.network.clock.now))

    def dialled(self, connection: int, target: Address, local: Address) -> None:
        self.run(lambda: self.mesh.dialled(LinkId(connection), target, local, self.network.clock.now))

    def dial_failed(self, target: Address, reason: str) -> None:
        self.run(lambda: self.mesh.dial_failed(target, reason, self.network.clock.now))

    def received(self, connection: int, data: bytes) -> None:
        self.run(lambda: self.mesh.received(LinkId(connection), data, self.network.clock.now))

    def writable(self, connection: int) -> None:
        link, now = LinkId(connection), self.network.clock.now
        while self.network.room(connection) and (data := self.mesh.pull(link, now)):
            self.network.send(connection, data)

    def closed(self, connection: int, reason: str) -> None:
        self.run(lambda: self.mesh.closed(LinkId(connection), reason, self.network.clock.now))

    # -- what the mesh wants -----------------------------------------------------------------------------

    def run(self, call: Callable[[], Result]) -> Result:
        """Call the mesh and do what it then asks for."""
        result = call()
        while events := self.mesh.collect():
            for event in events:
                self._obey(event)
        self._plan()
        return result

    def _obey(self, event: MeshEvent) -> None:
        now = self.network.clock.now
        if not isinstance(event, Writable | Log):
            self.events.append(event)
        match event:
            case Dial(target):
                self.network.dial(self, target)
            case CloseLink(link, _, last_words):
                if last_words:
                    self.network.send(link, last_words)
                self.network.close(link)
            case Writable(link):
                self.writable(link)
            case LinkUp(link, peer):
                assert peer not in self._up, "two links to one peer"
                self._up[peer] = link
                self._establish_later(link, peer)
            case LinkDown(link, peer):
                assert self._up.pop(peer) == link
            case PeersGone(names):
                self.gone.extend(names)
            case Resolve(host):
                self.mesh.resolved(host, self._resolve(host), now)

    def _establish_later(self, link: LinkId, peer: PeerName) -> None:
        delay = self._establish(peer)
        if delay is None:
            return
        clock = self.network.clock

        def establish() -> None:
            self.run(lambda: self.mesh.set_established(link, True, clock.now))

        if delay:
            clock.call_at(clock.mono + delay, establish)
        else:
            self.mesh.set_established(link, True, clock.now)

    def _plan(self) -> None:
        due = max(self.mesh.next_deadline(), self.network.clock.mono)
        if due < self._planned:
            self._planned = due
            self.network.clock.call_at(due, self._tick)

    def _tick(self) -> None:
        if self.network.clock.mono < self._planned:
            return
        self._planned = float("inf")
        self.run(lambda: self.mesh.tick(self.network.clock.now))


class ForeignSession(WeaveSession):
    """The wire of a peer that knows nothing of our own additions to the protocol."""

    def __init__(
        self, outbound: bool, features: Mapping[str, str], password: bytes | None, private_key: bytes
    ) -> None:
        super().__init__(outbound, _common(features), password, private_key)

    def receive(self, data: bytes) -> list[Features | Message]:
        items = super().receive(data)
        return [Features(_common(item.values)) if isinstance(item, Features) else item for item in items]


def _common(features: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in features.items() if key != "TopologyPush"}


class Cluster:
    """Several hosts named 1, 2, 3 ... at 10.0.x.y."""

    def __init__(self, seed: int = 0, latency: float = 0.001) -> None:
        self.network = Network(Quality(latency))
        self.hosts: dict[int, MeshHost] = {}
        self._rng = Random(seed)

    def start(
        self,
        number: int,
        *targets: int | str,
        channels: Iterable[Channel] = (),
        session: SessionFactory = WeaveSession,
        establish: Establish = at_once,
        **config: object,
    ) -> MeshHost:
        """Start (or start anew) a host that connects to ``targets``: other hosts' numbers, or text."""
        rng = Random(self._rng.getrandbits(64))
        settings = {"name": PeerName(number), "nickname": f"h{number}", "uid": rng.getrandbits(64), **config}
        mesh = Mesh(MeshConfig(**settings), rng, session)  # type: ignore[arg-type]
        for channel in channels:
            mesh.add_channel(channel)
        host = self.hosts[number] = MeshHost(self.network, ip_of(number), mesh, establish)
        host.connect(*(ip_of(target) if isinstance(target, int) else target for target in targets))
        return host

    def stop(self, number: int, silently: bool = False) -> None:
        """The host's daemon ends, or with ``silently`` its machine loses power."""
        self.network.remove(ip_of(number), silently)
        del self.hosts[number]

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self.network.clock.run_until(self.network.clock.mono + seconds)

    def run_until(self, condition: Callable[[], bool], limit: float, step: float = 0.05) -> float:
        """Let time pass until ``condition`` holds; how long that took. Fails after ``limit`` seconds."""
        start = self.network.clock.mono
        while not condition():
            passed = self.network.clock.mono - start
            assert passed < limit, f"not so after {limit} s"
            self.run(step)
        return self.network.clock.mono - start

    def cut(self, one: Iterable[int], other: Iterable[int], reset: bool = False) -> None:
        self.network.cut([ip_of(n) for n in one], [ip_of(n) for n in other], reset)

    def is_full_mesh(self) -> bool:
        """Whether everybody has a link to everybody on which frames pass."""
        names = {host.name for host in self.hosts.values()}
        return all(host.established == names - {host.name} for host in self.hosts.values())

    def agrees(self) -> bool:
        """Whether everybody knows the same of everybody (other than those nobody has described)."""
        views = [dict(host.mesh.peers()) for host in self.hosts.values()]
        return all(view == views[0] for view in views)

    def sees_all(self) -> bool:
        """Whether frames find a way from everybody to everybody."""
        names = {host.name for host in self.hosts.values()}
        return all(set(host.mesh.routes.unicast) == names - {host.name} for host in self.hosts.values())
