"""Where the HTTP API listens: ``ip:port``, ``:port`` or the path of a unix socket."""

from dataclasses import dataclass
from ipaddress import IPv4Address

from tulle.errors import UserError

LONGEST_SOCKET_PATH = 107


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """A TCP port of this host; ``host`` 0.0.0.0 means all its addresses."""

    host: IPv4Address
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def local_only(self) -> bool:
        """Whether only this machine can reach it."""
        return self.host.is_loopback


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """The path of a unix socket."""

    path: str

    def __str__(self) -> str:
        return self.path


ListenAddress = TcpAddress | UnixAddress


def parse_listen(text: str) -> ListenAddress:
    """Any of the three forms; ``unix:///path`` and ``tcp://ip:port`` work too. Raises UserError."""
    path = text.removeprefix("unix://")
    if path.startswith("/"):
        return UnixAddress(check_socket_path(path))
    return parse_tcp(text.removeprefix("tcp://"))


def parse_tcp(text: str, default_port: int | None = None) -> TcpAddress:
    """``ip:port`` or ``:port``, and ``ip`` alone where there is a default port. Raises UserError."""
    host, separator, port = text.rpartition(":")
    if not separator and default_port is not None:
        host, port = text, str(default_port)
    elif not separator:
        port = ""
    try:
        if not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
            raise ValueError("port")
        return TcpAddress(IPv4Address(host or "0.0.0.0"), int(port))
    except ValueError:
        raise UserError(f"{text!r} is not an address to listen on; write it like 127.0.0.1:6784") from None


def check_socket_path(path: str) -> str:
    """The path, if the kernel can bind a unix socket to it. Raises UserError."""
    if "\0" in path or not path:
        raise UserError("the path of a socket must not be empty or hold a NUL")
    if len(path.encode(errors="surrogateescape")) > LONGEST_SOCKET_PATH:
        raise UserError(
            f"the socket path {path!r} is too long; the kernel takes at most {LONGEST_SOCKET_PATH} bytes"
        )
    return path
