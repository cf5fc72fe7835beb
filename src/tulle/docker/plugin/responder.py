"""Answers for the plugin while no daemon runs, so that Docker never waits for one that is away.

Docker looks for the driver of each of its networks, at boot and whenever a container on one starts or
stops, and tries for 15 seconds each time. This little process holds the socket, and lends it to the daemon
(``lease``). When that ends, however it ends, it answers itself: yes to everything that is given back, which
the next daemon finds out about, and no, with the reason, to everything new.

Started by its path, with Python's standard library alone: RESPONDER.py SOCKET LEASE
"""

import contextlib
import http.server
import json
import os
import selectors
import socket
import sys
import threading

Answer = dict[str, object]

GIVEN_BACK = (
    "NetworkDriver.DeleteNetwork",
    "NetworkDriver.FreeNetwork",
    "NetworkDriver.DeleteEndpoint",
    "NetworkDriver.Leave",
    "NetworkDriver.DiscoverNew",
    "NetworkDriver.DiscoverDelete",
    "NetworkDriver.RevokeExternalConnectivity",
    "IpamDriver.ReleasePool",
    "IpamDriver.ReleaseAddress",
)
FIXED: dict[str, Answer] = {
    "Plugin.Activate": {"Implements": ["NetworkDriver", "IpamDriver"]},
    "NetworkDriver.GetCapabilities": {"Scope": "local", "ConnectivityScope": "global"},
    "IpamDriver.GetCapabilities": {"RequiresMACAddress": False, "RequiresRequestReplay": False},
    "IpamDriver.GetDefaultAddressSpaces": {
        "LocalDefaultAddressSpace": "TulleLocal",
        "GlobalDefaultAddressSpace": "TulleLocal",
    },
}
"""What the daemon answers too, whatever happens."""

REFUSAL: Answer = {"Err": "tulle is not running on this host; start it with `tulle launch`"}
END = b"end"
"""What a daemon says when nothing is left to answer for."""

_PATIENCE = 10.0
_LARGEST = 1 << 20


def answer(call: str) -> tuple[int, Answer]:
    """Status and body for a call while no daemon runs."""
    if call in GIVEN_BACK:
        return 200, {}
    if call in FIXED:
        return 200, FIXED[call]
    return 503, REFUSAL


class _Handler(http.server.BaseHTTPRequestHandler):
    """One request to a connection: the next one may be for a daemon."""

    timeout = _PATIENCE

    def do_POST(self) -> None:
        """Read the body, answer, close."""
        self.rfile.read(min(int(self.headers.get("Content-Length") or 0), _LARGEST))
        status, said = answer(self.path.lstrip("/"))
        body = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/vnd.docker.plugins.v1.1+json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class Responder:
    """The socket, and at most one daemon that has it on loan."""

    def __init__(self, path: str, lease: str) -> None:
        self._path = path
        self._selector = selectors.DefaultSelector()
        self._offers = _bound(lease)
        self._lease_path = lease
        self._borrower: socket.socket | None = None
        self._listener = _bound(path)
        self._selector.register(self._offers, selectors.EVENT_READ)
        self._selector.register(self._listener, selectors.EVENT_READ)

    def serve(self) -> None:
        """Until a daemon says that it is enough."""
        while True:
            key, _ = self._selector.select()[0]  # one at a time: it may change what the others mean
            if key.fileobj is self._offers:
                self._lend()
            elif key.fileobj is self._listener:
                self._respond()
            elif self._ends():
                return

    def _lend(self) -> None:
        try:
            borrower, _ = self._offers.accept()
        except OSError:  # whoever knocked has gone already
            return
        if self._borrower is not None and _has_gone(self._borrower):
            self._take_back(self._borrower)
        if self._borrower is not None:
            borrower.close()
            return
        self._selector.unregister(self._listener)
        if not os.path.exists(self._path):
            self._listener.close()
            self._listener = _bound(self._path)
        self._borrower = borrower
        self._selector.register(borrower, selectors.EVENT_READ)
        with contextlib.suppress(OSError):
            socket.send_fds(borrower, [b"yours"], [self._listener.fileno()])

    def _ends(self) -> bool:
        """Whether the daemon wants it all to end; if it has gone itself, the socket is ours again."""
        borrower = self._borrower
        assert borrower is not None
        try:
            said = borrower.recv(16)
        except OSError:
            said = b""
        if said == END:
            for path in (self._path, self._lease_path):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)
            return True
        self._take_back(borrower)
        return False

    def _take_back(self, borrower: socket.socket) -> None:
        self._selector.unregister(borrower)
        borrower.close()
        self._borrower = None
        self._selector.register(self._listener, selectors.EVENT_READ)

    def _respond(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        threading.Thread(target=_serve, args=(connection,), daemon=True).start()


def _has_gone(borrower: socket.socket) -> bool:
    """Whether a daemon has ended, which has not been attended to yet."""
    try:
        return borrower.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def _serve(connection: socket.socket) -> None:
    with connection, contextlib.suppress(OSError, ValueError):
        _Handler(connection, ("", 0), None)  # type: ignore[arg-type]


def _bound(path: str) -> socket.socket:
    """A socket for root alone, in place of whatever a dead process left there."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    before = os.umask(0o177)
    try:
        listener.bind(path)
    finally:
        os.umask(before)
    listener.listen(128)
    listener.setblocking(False)
    return listener


def _is_served(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except OSError:
            return False
        return True


def main() -> None:
    """Go into the background as soon as the sockets are there, unless another responder has them already."""
    path, lease = sys.argv[1:3]
    if _is_served(lease):
        return
    responder = Responder(path, lease)
    if os.fork() == 0:
        os.setsid()
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nowhere, stream)
        responder.serve()


if __name__ == "__main__":
    main()
