"""ARP on the bridge: telling everybody who has an address now.

Frames are sent through the bridge in the name of the container, so nothing need be opened inside it. They
reach every port, and so the carriers and the other hosts.
"""

import asyncio
import socket
import struct
from collections.abc import Iterable
from ipaddress import IPv4Address

from tulle.host.bpf.layout import ANNOUNCED

_ARP = 0x0806
_EVERYBODY = b"\xff" * 6
_NOBODY = bytes(6)
_FRAME = struct.Struct("!6s6sHHHBBH6s4s6s4s")
_REQUEST = 1
_AGAIN = 1.2
"""Seconds between the two announcements: a neighbour ignores news for one second after the last."""


class Announcer:
    """Announces addresses on a bridge. Open it in the event loop that it is used in."""

    def __init__(self, bridge: str) -> None:
        self._bridge = bridge
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        self._socket.setblocking(False)
        self._later: set[asyncio.TimerHandle] = set()

    def announce(self, addresses: Iterable[IPv4Address], mac: str, port: int = 0) -> None:
        """Say, now and once more a little later, that ``mac`` has ``addresses``.

        ``port`` is the index of the bridge port behind which ``mac`` lives, 0 for the host itself: else the
        container's own first frames would look like those of a loop. Nobody needs to hear it, so a frame that
        cannot be sent is left out.
        """
        frames = [announcement(address, mac) for address in addresses]
        self._send(frames, port)
        self._later = {handle for handle in self._later if handle.when() > asyncio.get_running_loop().time()}
        self._later.add(asyncio.get_running_loop().call_later(_AGAIN, self._send, frames, port))

    def close(self) -> None:
        """Say nothing more."""
        for handle in self._later:
            handle.cancel()
        self._later.clear()
        self._socket.close()

    def _send(self, frames: Iterable[bytes], port: int) -> None:
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, port)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, ANNOUNCED if port else 0)
        for frame in frames:
            try:
                self._socket.sendto(frame, (self._bridge, _ARP))
            except OSError:
                return


def announcement(address: IPv4Address, mac: str) -> bytes:
    """The broadcast frame (an ARP request for its own address) that says ``mac`` has ``address``."""
    sender = bytes.fromhex(mac.replace(":", ""))
    return _FRAME.pack(
        _EVERYBODY, sender, _ARP, 1, 0x0800, 6, 4, _REQUEST, sender, address.packed, _NOBODY, address.packed
    )
