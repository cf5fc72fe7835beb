"""The kernel carrier: finding out, per link, whether VXLAN frames get through, and saying so.

Weave Net's peers are judged by its heartbeats. Our own are judged by echoes that their kernels answer, which
notices a dead path within two seconds and does not depend on the other daemon; heartbeats then only help to
say what is wrong. The frames themselves never come here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tulle.datapath import heartbeat
from tulle.datapath.carrier import (
    EARLY,
    Answered,
    CarrierEvent,
    CarrierState,
    CarrierStatus,
    Established,
    Lost,
    Neighbour,
    SendControl,
    SendFrame,
    Silent,
)
from tulle.datapath.echo import SMALL, Echo, EchoJudge, decode_answer
from tulle.datapath.heartbeat import Heartbeats
from tulle.datapath.tables import CarrierKind, ShortId
from tulle.datapath.tapframe import (
    ECHO_ETHERTYPE,
    ETHERNET_HEADER,
    HEARTBEAT_ETHERTYPE,
    ControlFrame,
    Way,
    decode,
)
from tulle.errors import BadMessage
from tulle.instant import Instant
from tulle.mesh.events import LinkId

ACKNOWLEDGE = 0
"""The control message "your heartbeats arrive"."""

OVERHEAD = 50
"""Bytes that a tunnel adds to a packet: headers of IP, UDP, VXLAN and the inner Ethernet."""

WATCH_INTERVAL = 2.0


@dataclass(slots=True)
class _Path:
    neighbour: Neighbour
    heartbeats: Heartbeats
    judge: EchoJudge
    established: bool = False
    ever: bool = False
    silent: bool = False

    @property
    def link(self) -> LinkId:
        return self.neighbour.link

    def healthy(self, now: float) -> bool:
        return self.judge.healthy if self.neighbour.native else self.heartbeats.healthy(now)

    def due(self) -> float:
        """When something is to be sent or judged."""
        if self.neighbour.native:
            return min(self.heartbeats.next_send, self.judge.next_turn)
        if self.established:
            return min(self.heartbeats.next_send, self.heartbeats.silent_at())
        return self.heartbeats.next_send


@dataclass(slots=True)
class _Watch:
    """Peers without a link whose kernels are asked whether they live: short id, and whether over relays."""

    targets: Mapping[ShortId, bool] = field(default_factory=dict)
    next_turn: float = float("inf")
    sequence: int = 0


class VxlanCarrier:
    """See ``carrier.Carrier``. ``mtu`` is the overlay's, ``port`` the UDP port of the tunnels (for texts).

    ``watch_uid`` is a random number that tells our answers from those to an earlier life of ours.
    """

    name = "fastdp"
    kind = CarrierKind.VXLAN

    def __init__(self, self_id: ShortId | None, mtu: int, port: int, watch_uid: int) -> None:
        self._self_id = self_id
        self._mtu = mtu
        self._port = port
        self._paths: dict[LinkId, _Path] = {}
        self._by_id: dict[ShortId, LinkId] = {}
        self._watch = _Watch()
        self._watch_uid = watch_uid
        self._events: list[CarrierEvent] = []

    # What the node tells

    def link_up(self, neighbour: Neighbour, now: Instant) -> None:
        """A link is up: begin to probe."""
        path = _Path(neighbour, Heartbeats(now.mono), EchoJudge(now.mono, len(self._paths)))
        self._paths[neighbour.link] = path
        if neighbour.short_id is not None:
            self._by_id[neighbour.short_id] = neighbour.link
        self._turn(path, now.mono)

    def link_down(self, link: LinkId, now: Instant) -> None:
        """A link is gone, and with it all that was known of its path."""
        path = self._paths.pop(link, None)
        if path is not None:
            self._forget_id(path)

    def short_id_changed(self, link: LinkId, short_id: ShortId | None, now: Instant) -> None:
        """The same path under another number: what was found out about it stays true."""
        path = self._paths.get(link)
        if path is None or path.neighbour.short_id == short_id:
            return
        self._forget_id(path)
        path.neighbour = replace(path.neighbour, short_id=short_id)
        if short_id is not None:
            self._by_id[short_id] = link
        path.heartbeats.next_send = min(path.heartbeats.next_send, now.mono + heartbeat.FAST)
        path.judge.next_turn = min(path.judge.next_turn, now.mono + heartbeat.FAST)
        self._review(path, now.mono)

    def own_short_id(self, short_id: ShortId, now: Instant) -> None:
        """We have another number ourselves."""
        self._self_id = short_id

    def watch(self, targets: Mapping[ShortId, bool], now: Instant) -> None:
        """Ask these peers' kernels from time to time whether they live; ``Answered`` says that they do.

        The value tells whether to ask over relays (True) or straight.
        """
        self._watch.targets = dict(targets)
        if not targets:
            self._watch.next_turn = float("inf")
        elif self._watch.next_turn == float("inf"):
            self._watch.next_turn = now.mono

    def control(self, link: LinkId, tag: int, payload: bytes, now: Instant) -> None:
        """The other end has heard our heartbeats."""
        path = self._paths.get(link)
        if path is not None and tag == ACKNOWLEDGE:
            path.heartbeats.acknowledge(now.mono)
            self._review(path, now.mono)

    def lacks(self, link: LinkId) -> int | None:
        """See ``Carrier``."""
        path = self._paths.get(link)
        if path is None or path.established or not path.judge.small_passes:
            return None
        return self._mtu + OVERHEAD

    def doubt(self, link: LinkId, now: Instant) -> None:
        """See ``Carrier``."""
        path = self._paths.get(link)
        if path is not None and path.neighbour.native:
            path.judge.doubt(now.mono)

    def frame(self, data: bytes, now: Instant) -> None:
        """A heartbeat, or an answer to an echo."""
        try:
            frame = decode(data)
        except BadMessage:
            return
        if frame.dst != self._self_id:
            return
        if frame.ethertype == HEARTBEAT_ETHERTYPE:
            self._heartbeat(frame, now.mono)
        elif frame.ethertype == ECHO_ETHERTYPE:
            self._answer(frame, now.mono)

    def tick(self, now: Instant) -> None:
        """Send what is due, and judge who has not answered."""
        for path in list(self._paths.values()):
            if path.due() <= now.mono + EARLY:
                self._turn(path, now.mono)
        if self._watch.next_turn <= now.mono + EARLY:
            self._ask_watched(now.mono)

    def next_deadline(self) -> float:
        """The earliest time at which something is due."""
        return min([self._watch.next_turn, *(path.due() for path in self._paths.values())])

    def status(self, link: LinkId) -> CarrierStatus:
        """How it stands with a link; LinkDown has no status (KeyError)."""
        path = self._paths[link]
        obstacle = self._obstacle(path.neighbour)
        if obstacle:
            return CarrierStatus(CarrierState.UNUSABLE, None, None, False, obstacle)
        if path.established:
            rtt, loss = path.judge.rtt, path.judge.loss
            return CarrierStatus(CarrierState.ESTABLISHED, self._mtu, rtt, False, "", loss=loss)
        state = CarrierState.LOST if path.ever else CarrierState.TRYING
        if path.neighbour.translated and not path.ever:
            state = CarrierState.UNUSABLE
        return CarrierStatus(state, None, path.judge.rtt, False, self._reason(path))

    def collect(self) -> list[CarrierEvent]:
        """See ``Carrier.collect``."""
        events, self._events = self._events, []
        return events

    # Frames in

    def _heartbeat(self, frame: ControlFrame, now: float) -> None:
        path = self._path_of(frame.src)
        if path is None or not heartbeat.is_valid(frame.payload, path.neighbour.conn_uid):
            return
        if path.heartbeats.hear(now):
            self._events.append(SendControl(path.link, ACKNOWLEDGE, b""))
        self._review(path, now)

    def _answer(self, frame: ControlFrame, now: float) -> None:
        try:
            echo = decode_answer(frame.payload)
        except BadMessage:
            return
        if echo.uid == self._watch_uid:
            if frame.src in self._watch.targets:
                self._events.append(Answered(frame.src))
            return
        path = self._path_of(frame.src)
        if path is None or echo.uid != path.neighbour.conn_uid:
            return
        if frame.remote_ip == path.neighbour.remote_ip:  # not over a relay or another carrier
            path.judge.answered(echo.sequence, now)
            self._review(path, now)

    # Frames out

    def _turn(self, path: _Path, now: float) -> None:
        if not self._obstacle(path.neighbour):
            if path.heartbeats.send(now):
                size = self._full_size
                self._send(path, HEARTBEAT_ETHERTYPE, heartbeat.encode(path.neighbour.conn_uid, size))
            if path.neighbour.native:
                self._ask(path, now)
        else:
            path.heartbeats.next_send = path.judge.next_turn = now + heartbeat.SLOW
        self._review(path, now)

    def _ask(self, path: _Path, now: float) -> None:
        for sequence, full in path.judge.turn(now):
            size = self._full_size if full else SMALL
            self._send(path, ECHO_ETHERTYPE, Echo(path.neighbour.conn_uid, sequence, size).encode())

    def _ask_watched(self, now: float) -> None:
        watch = self._watch
        watch.next_turn = now + WATCH_INTERVAL if watch.targets else float("inf")
        watch.sequence += 1
        if self._self_id is None:
            return
        payload = Echo(self._watch_uid, watch.sequence, SMALL).encode()
        for short_id, routed in watch.targets.items():
            way = Way.ROUTED if routed else Way.DIRECT
            frame = ControlFrame(short_id, self._self_id, ECHO_ETHERTYPE, payload, way=way)
            self._events.append(SendFrame(frame.encode()))

    def _send(self, path: _Path, ethertype: int, payload: bytes) -> None:
        short_id = path.neighbour.short_id
        if short_id is not None and self._self_id is not None:
            frame = ControlFrame(short_id, self._self_id, ethertype, payload)
            self._events.append(SendFrame(frame.encode()))

    @property
    def _full_size(self) -> int:
        return self._mtu + ETHERNET_HEADER

    # Judging

    def _review(self, path: _Path, now: float) -> None:
        """Say it if a path has begun or ceased to work, or may have."""
        silent = path.established and path.judge.shaky
        if silent and not path.silent:
            self._events.append(Silent(path.link))
        path.silent = silent
        healthy = path.healthy(now) and not self._obstacle(path.neighbour)
        if healthy == path.established:
            return
        path.established = healthy
        if healthy:
            path.ever = True
            self._events.append(Established(path.link, self._mtu))
        else:
            self._events.append(Lost(path.link, self._obstacle(path.neighbour) or self._reason(path)))

    def _obstacle(self, neighbour: Neighbour) -> str:
        """Why this carrier cannot be used with a neighbour at all; empty if it can."""
        if neighbour.secret:
            return "frames to this peer must be encrypted, and the kernel path cannot (see --trusted-subnets)"
        if ":" in neighbour.remote_ip:
            return "the connection runs over IPv6, and the kernel path over IPv4 only"
        if neighbour.short_id is None or self._self_id is None:
            return "the peer has no short id" if neighbour.short_id is None else "we have no short id yet"
        return ""

    def _reason(self, path: _Path) -> str:
        if path.neighbour.translated and not path.ever:
            return f"a router between translates addresses (NAT) and does not pass UDP port {self._port}"
        heard = path.heartbeats.heard is not None
        if path.neighbour.native and path.judge.small_passes:
            return (
                f"packets of full size ({self._mtu} bytes) do not pass, small ones do: the MTU of the network"
                " between is too small (see --mtu)"
            )
        if heard and not path.ever:
            return (
                f"frames from the peer arrive, ours do not: UDP port {self._port} is blocked on the way there"
            )
        if path.heartbeats.acknowledged and not path.neighbour.native:
            return f"no heartbeat from the peer on UDP port {self._port}"
        return f"no answer from the peer on UDP port {self._port}; a firewall between may block it"

    def _path_of(self, short_id: ShortId) -> _Path | None:
        link = self._by_id.get(short_id)
        return None if link is None else self._paths.get(link)

    def _forget_id(self, path: _Path) -> None:
        short_id = path.neighbour.short_id
        if short_id is not None and self._by_id.get(short_id) == path.link:
            del self._by_id[short_id]
