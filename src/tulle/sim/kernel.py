"""The data path of one machine: carries the daemon's frames, and answers echoes also without a daemon."""

import struct
from collections.abc import Callable

from tulle.datapath.tables import ShortId, Tables
from tulle.datapath.tapframe import ECHO_ETHERTYPE, ControlFrame, Way, decode
from tulle.errors import BadMessage
from tulle.sim.network import Network

_ECHO_HEAD = struct.Struct(">IB")
_ASK, _ANSWER = 1, 2
HOPS = 16
"""Relays that a frame may take."""


class Kernel:
    """``deliver`` takes frames for the daemon. ``tables`` outlive daemons."""

    def __init__(self, ip: str, network: Network, deliver: Callable[[bytes], None]) -> None:
        self.ip = ip
        self.tables = Tables()
        self.alive = True
        self._network, self._deliver = network, deliver
        network.add_kernel(self)

    def send(self, data: bytes) -> None:
        """The daemon has written this into the TAP."""
        try:
            frame = decode(data)
        except BadMessage:
            return
        self._forward(frame, HOPS)

    def reaches(self, target: str) -> bool:
        """Whether frames to this address pass now."""
        return self._network.tunnels_pass(self.ip, target)

    def arrived(self, frame: ControlFrame, source: str, hops: int) -> None:
        """A frame came over the network."""
        if not self.alive:
            return
        if frame.dst != self.tables.self_id:
            if frame.way is Way.ROUTED and hops:
                self._forward(frame, hops - 1)
        elif frame.ethertype == ECHO_ETHERTYPE and _is_question(frame.payload):
            self._answer(frame, source)
        else:
            arrived = ControlFrame(frame.dst, frame.src, frame.ethertype, frame.payload, source, frame.way)
            self._deliver(arrived.encode())

    def _answer(self, question: ControlFrame, source: str) -> None:
        magic, _ = _ECHO_HEAD.unpack_from(question.payload)
        payload = _ECHO_HEAD.pack(magic, _ANSWER) + question.payload[_ECHO_HEAD.size :]
        src = ShortId(self.tables.self_id or 0)
        answer = ControlFrame(question.src, src, question.ethertype, payload, way=question.way)
        if question.way is Way.ROUTED:
            self._forward(answer, HOPS)
        else:
            self._network.send_frame(self.ip, source, answer, 0)

    def _forward(self, frame: ControlFrame, hops: int) -> None:
        table = self.tables.routes if frame.way is Way.ROUTED else self.tables.direct
        hop = table.get(frame.dst)
        if hop is not None:
            self._network.send_frame(self.ip, hop.remote_ip, frame, hops)


def _is_question(payload: bytes) -> bool:
    return len(payload) >= _ECHO_HEAD.size and _ECHO_HEAD.unpack_from(payload)[1] == _ASK
