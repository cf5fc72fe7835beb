"""Everything that passes an interface, remembered."""

import socket
import threading
from types import TracebackType

from lab.namespace import Namespace

_ALL_PROTOCOLS = socket.htons(0x0003)
_BUFFER = 8 << 20


class Wiretap:
    """Frames in both directions on one interface of a namespace, for as long as the ``with`` block lasts."""

    def __init__(self, namespace: Namespace, interface: str) -> None:
        self.interface = interface
        self._socket = namespace.socket(socket.AF_PACKET, socket.SOCK_RAW, _ALL_PROTOCOLS)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        self._socket.bind((interface, 0x0003))
        self._socket.settimeout(0.1)
        self._frames: list[bytes] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> "Wiretap":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:  # fmt: skip
        self._over.set()
        self._thread.join()
        self._socket.close()

    @property
    def frames(self) -> list[bytes]:
        """What has passed so far."""
        return list(self._frames)

    def heard(self, text: bytes) -> bool:
        """Whether these bytes were in one of the frames."""
        return any(text in frame for frame in self._frames)

    def _listen(self) -> None:
        while not self._over.is_set():
            try:
                self._frames.append(self._socket.recv(1 << 16))
            except TimeoutError:
                continue
