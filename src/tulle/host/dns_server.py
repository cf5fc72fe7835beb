"""The DNS server of this host: names of containers from memory, everything else from the host's own servers.

What to answer is decided in ``tulle.names.resolver``. Here are the sockets: UDP and TCP on one port.
"""

import errno
import socket
from ipaddress import ip_address
from pathlib import Path

from tulle.errors import UserError
from tulle.host.dns_tcp import TcpPort
from tulle.host.dns_udp import Send, UdpPort
from tulle.host.dns_upstream import PORT, Upstream
from tulle.host.tasks import Tasks
from tulle.names.resolver import Resolver

FALLBACK_TIMEOUT = 5.0
_SAME_PORT_TRIES = 10
"""A free port of UDP need not be free for TCP."""


class DnsServer:
    """Serves ``resolver`` on ``listen`` (address and port; port 0 takes a free one).

    ``resolv_conf`` names the servers for everything else; one query there may take ``fallback_timeout``
    seconds.
    """

    def __init__(
        self,
        resolver: Resolver,
        listen: tuple[str, int],
        resolv_conf: Path,
        fallback_timeout: float = FALLBACK_TIMEOUT,
        upstream_port: int = PORT,
    ) -> None:
        self.listen = listen
        self._resolver = resolver
        self._upstream = Upstream(resolv_conf, fallback_timeout, self._is_self, upstream_port)
        self._tasks = Tasks()
        self._udp: UdpPort | None = None
        self._tcp: TcpPort | None = None

    async def start(self) -> None:
        """Take the port and begin to answer. Raises UserError if it cannot be had."""
        udp, tcp = _bind(*self.listen)
        host, port, *_ = udp.getsockname()
        self.listen = (host, port)
        self._udp = UdpPort(udp, self._resolver, self._forward)
        self._tcp = TcpPort(tcp, self._resolver, self._upstream)
        self._udp.start()
        await self._tcp.start()

    async def stop(self) -> None:
        """Give the port back; queries under way get no answer. May be called at any time, and twice."""
        if self._udp is not None:
            self._udp.close()
        if self._tcp is not None:
            await self._tcp.close()
        self._udp = self._tcp = None
        await self._tasks.stop()

    def upstream_servers(self) -> list[str]:
        """The servers that are asked about the rest of the world."""
        return self._upstream.servers()

    def _forward(self, query: bytes, send: Send) -> None:
        self._tasks.spawn(self._forward_over_udp(query, send))

    async def _forward_over_udp(self, query: bytes, send: Send) -> None:
        reply = await self._upstream.forward(query, tcp=False)
        if self._udp is not None:
            send(reply)

    def _is_self(self, address: str) -> bool:
        """Whether a query to ``address`` would come back to this server."""
        host, port = self.listen
        if port != self._upstream.port:
            return False
        return _is_local(address) if ip_address(host).is_unspecified else address == host


def _is_local(address: str) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
        return True


def _bind(host: str, port: int) -> tuple[socket.socket, socket.socket]:
    """A UDP and a TCP socket on the same port. Raises UserError."""
    family = socket.AF_INET6 if ip_address(host).version == 6 else socket.AF_INET
    attempts = _SAME_PORT_TRIES if port == 0 else 1
    while True:
        attempts -= 1
        udp = socket.socket(family, socket.SOCK_DGRAM)
        tcp = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            udp.bind((host, port))
            tcp.bind((host, udp.getsockname()[1]))
            tcp.listen()
        except OSError as problem:
            udp.close()
            tcp.close()
            if attempts == 0:
                raise _explain(host, port, problem) from problem
        else:
            return udp, tcp


def _explain(host: str, port: int, problem: OSError) -> UserError:
    advice = "choose another with --dns-listen-address, or turn the DNS server off with --no-dns"
    match problem.errno:
        case errno.EADDRINUSE:
            text = (
                f"port {port} of {host} is in use by another program (ss -lnup 'sport = {port}' shows which)"
            )
        case errno.EADDRNOTAVAIL:
            text = f"no interface of this host has the address {host}"
        case errno.EACCES:
            text = f"port {port} may only be used by root"
        case _:
            text = f"port {port} of {host} cannot be used: {problem.strerror}"
    return UserError(f"the DNS server cannot start: {text}; {advice}", 409)
