"""Everything that ``launch`` can be told, parsed and checked before a daemon starts.

Flags arrive as raw text (from the command line, the environment, or the process that starts a daemon in the
background) and leave as one frozen value; the flag table here is also what the command line and its
documentation are made from. Nothing here touches the system.
"""

import os
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from ipaddress import IPv4Network
from typing import Any

from tulle.api.addresses import parse_ip, parse_subnet
from tulle.api.listen import (
    ListenAddress,
    TcpAddress,
    UnixAddress,
    check_socket_path,
    parse_listen,
    parse_tcp,
)
from tulle.api.names import check_target
from tulle.daemon import values
from tulle.daemon.bootstrap import Bootstrap, Consensus, parse_bootstrap
from tulle.docker.proxy.options import SWITCHES as PROXY_SWITCHES
from tulle.docker.proxy.options import ProxyOptions, hostname_match
from tulle.errors import UserError
from tulle.mesh.peername import PeerName

DEFAULT_RANGE = IPv4Network("10.32.0.0/12")
DEFAULT_BOOTSTRAP = Consensus()
Raw = Mapping[str, str | bool | Sequence[str] | None]


@dataclass(frozen=True, slots=True)
class LaunchOptions(ProxyOptions):
    """How a daemon runs. ``conn_limit`` 0 means no limit; ``ipalloc_range`` None turns allocation off.

    ``name`` None: the one in the state directory, made at first start. ``dns_listen`` None: the bridge's own
    choice. ``host`` None: mesh connections are accepted on every address. ``docker_api`` is the socket of
    Docker; None: the default one, or with ``resume`` that of the last run; "": none, leave Docker alone.
    The password is not in the repr.
    """

    peers: tuple[str, ...] = ()
    resume: bool = False
    password: str | None = field(default=None, repr=False)
    name: PeerName | None = None
    nickname: str = field(default_factory=lambda: socket.gethostname() or "localhost")
    host: str | None = None
    port: int = 6783
    conn_limit: int = 200
    no_discovery: bool = False
    trusted_subnets: tuple[IPv4Network, ...] = ()
    no_fastdp: bool = False
    no_bypass: bool = False
    no_pm_qos: bool = False
    mtu: int = 1376
    bridge: str = "tulle"
    interface: str = "tulle0"
    ipalloc_init: Bootstrap = DEFAULT_BOOTSTRAP
    ipalloc_range: IPv4Network | None = DEFAULT_RANGE
    ipalloc_default_subnet: IPv4Network | None = None
    no_dns: bool = False
    dns_domain: str = "tulle.internal."
    dns_listen_address: TcpAddress | None = None
    dns_ttl: int = 1
    dns_fallback_timeout: float = 5.0
    resolv_conf: str = "/etc/resolv.conf"
    http_addr: ListenAddress | None = None
    status_addr: ListenAddress | None = None
    metrics_addr: ListenAddress | None = None
    docker_api: str | None = None
    no_plugin: bool = False
    plugin_name: str = "tulle"
    plugin_v2: bool = False
    log_level: str = "info"
    state_dir: str = "/var/lib/tulle"
    socket: str = "/run/tulle/tulle.sock"

    @property
    def default_subnet(self) -> IPv4Network | None:
        """Where addresses come from when no subnet is named; None with allocation off."""
        return self.ipalloc_default_subnet or self.ipalloc_range

    @property
    def proxy_addresses(self) -> tuple[ListenAddress, ...]:
        """Where the Docker API proxy listens: by default beside the control socket."""
        return self.proxy_listen or (UnixAddress(os.path.join(os.path.dirname(self.socket), "proxy.sock")),)

    @property
    def wait_directory(self) -> str:
        """What containers made through the proxy have mounted; it has to outlast a reboot, as they do."""
        return os.path.join(self.state_dir, "wait")

    @property
    def log_path(self) -> str:
        """The log of a daemon in the background; in the foreground it goes to stderr alone."""
        return os.path.join(self.state_dir, "tulle.log")


class FlagError(UserError):
    """A flag whose value cannot be used; ``flag`` is its field name, ``text`` the rest of the line."""

    def __init__(self, flag: str, text: str) -> None:
        super().__init__(f"--{flag.replace('_', '-')}: {text}")
        self.flag = flag
        self.text = text


def _path(text: str) -> str:
    if not text or "\0" in text:
        raise UserError("a path must not be empty or hold a NUL")
    return os.path.abspath(text)


def _password(text: str) -> str:
    if not text:
        raise UserError("the password is empty; leave the flag out to run without encryption")
    return text


def _number(low: int, high: int, what: str) -> Callable[[str], int]:
    return lambda text: values.whole_number(text, low, high, what)


def _optional(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    return lambda text: parse(text) if text else None


PARSERS: Mapping[str, Callable[[str], Any]] = {
    "password": _password,
    "name": values.peer_name,
    "nickname": values.nickname,
    "host": lambda text: str(parse_ip(text)),
    "port": _number(1, 65534, "a port (the next one, for UDP, is needed too)"),
    "conn_limit": _number(0, 10_000, "a number of connections (0: no limit)"),
    "trusted_subnets": values.subnets,
    "mtu": _number(576, 65_485, "an MTU in bytes"),
    "bridge": values.interface_name,
    "interface": values.interface_name,
    "plugin_name": values.interface_name,
    "ipalloc_init": parse_bootstrap,
    "ipalloc_range": _optional(values.allocation_range),
    "ipalloc_default_subnet": parse_subnet,
    "dns_domain": values.domain,
    "dns_listen_address": lambda text: parse_tcp(text, default_port=53),
    "dns_ttl": _number(0, 86_400, "a time to live in seconds"),
    "dns_fallback_timeout": lambda text: values.seconds(text, 0.1, 60.0),
    "resolv_conf": _path,
    "http_addr": _optional(parse_listen),
    "status_addr": _optional(parse_listen),
    "metrics_addr": _optional(parse_listen),
    "docker_api": lambda text: values.docker_socket(text) if text else "",
    "hostname_from_label": str,
    "hostname_match": hostname_match,
    "hostname_replacement": str,
    "tlscacert": _path,
    "tlscert": _path,
    "tlskey": _path,
    "log_level": values.log_level,
    "state_dir": _path,
    "socket": lambda text: check_socket_path(_path(text)),
}
"""Flags with a value. The others are switches or lists."""

LISTS: Mapping[str, Callable[[str], Any]] = {
    "peers": check_target,
    "proxy_listen": lambda text: parse_listen(text.removeprefix("=")),  # people write -H=ADDR, as for Docker
}
SWITCHES = (
    "resume", "no_discovery", "no_fastdp", "no_bypass", "no_pm_qos", "no_dns", "no_plugin", "plugin_v2",
    *PROXY_SWITCHES,
)  # fmt: skip


def parse_options(raw: Raw) -> LaunchOptions:
    """The options that these flags mean; a missing flag or None is its default. Raises FlagError."""
    given = {flag: value for flag, value in raw.items() if value is not None}
    unknown = given.keys() - {known.name for known in fields(LaunchOptions)}
    if unknown:
        raise FlagError(min(unknown), "there is no such flag")
    options = LaunchOptions(**{flag: _parse(flag, value) for flag, value in given.items()})
    _check_together(options, given)
    return options


def _parse(flag: str, value: str | bool | Sequence[str]) -> Any:
    try:
        if flag in LISTS:
            assert not isinstance(value, (str, bool))
            return tuple(dict.fromkeys(map(LISTS[flag], value)))
        if flag in SWITCHES:
            return value if isinstance(value, bool) else values.boolean(str(value))
        return PARSERS[flag](str(value))
    except UserError as error:
        raise FlagError(flag, str(error)) from None


def _check_together(options: LaunchOptions, given: Raw) -> None:
    """Refuse flags that contradict each other."""
    if options.resume and options.peers:
        raise FlagError("resume", "it takes the peers of the last run; leave it or the peers out")
    if options.ipalloc_range is None:
        for flag in ("ipalloc_init", "ipalloc_default_subnet"):
            if flag in given:
                raise FlagError(flag, "an empty --ipalloc-range turned address allocation off")
    else:
        _check_default_subnet(options.ipalloc_default_subnet, options.ipalloc_range)
    if options.no_dns and options.dns_listen_address is not None:
        raise FlagError("dns_listen_address", "--no-dns turned the DNS server off")
    _check_listeners(options)


def _check_default_subnet(subnet: IPv4Network | None, whole: IPv4Network) -> None:
    if subnet is None:
        return
    if not subnet.subnet_of(whole):
        raise FlagError("ipalloc_default_subnet", f"{subnet} is not inside the range {whole}")
    if subnet.prefixlen > 30:
        raise FlagError("ipalloc_default_subnet", f"{subnet} has no room for containers; use /30 or larger")


def _check_listeners(options: LaunchOptions) -> None:
    mesh_port = TcpAddress(parse_ip(options.host or "0.0.0.0"), options.port)
    taken: list[tuple[str, ListenAddress | str]] = [("port", mesh_port), ("socket", options.socket)]
    for flag in ("http_addr", "status_addr", "metrics_addr"):
        address = getattr(options, flag)
        if address is None:
            continue
        for other, theirs in taken:
            if _clash(address, theirs):
                raise FlagError(flag, f"{address} is taken by --{other.replace('_', '-')}")
        taken.append((flag, address))


def _clash(one: ListenAddress, other: ListenAddress | str) -> bool:
    if isinstance(one, TcpAddress) and isinstance(other, TcpAddress):
        everywhere = one.host.is_unspecified or other.host.is_unspecified
        return one.port == other.port and (everywhere or one.host == other.host)
    return str(one) == str(other)
