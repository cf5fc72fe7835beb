"""What this machine can do, found out by trying it in a throw-away network namespace.

Trying is the only honest test: a kernel's version and configuration say little about containers, module
loading and missing capabilities.
"""

import ctypes
import fcntl
import os
import platform
import struct
from collections.abc import Callable
from dataclasses import dataclass

from tulle.errors import UserError
from tulle.host import namespace, netlink, nft
from tulle.host.netlink import Rtnl


@dataclass(frozen=True, slots=True)
class Missing:
    """Something that this machine lacks, and what to do about it.

    ``needed``: the daemon cannot work without; otherwise it has another, slower way.
    """

    name: str
    remedy: str
    needed: bool

    def __str__(self) -> str:
        return f"{self.name} is missing: {self.remedy}"


async def missing() -> list[Missing]:
    """All that is missing here; empty on a machine that can do everything."""
    return await namespace.in_new_thread(_missing)


async def require() -> list[Missing]:
    """Raise UserError if something needed is missing; otherwise answer what is missing but not needed."""
    found = await missing()
    needed = [str(one) for one in found if one.needed]
    if needed:
        raise UserError("this machine cannot run the daemon:\n  " + "\n  ".join(needed), 503)
    return found


def _missing() -> list[Missing]:
    """Spends the calling thread, which moves into a new namespace that goes with it."""
    try:
        namespace.enter_new()
    except OSError:
        return [_ROOT]
    return [lack for lack, attempt in _ATTEMPTS if not _works(attempt)]


def _works(attempt: Callable[[], None]) -> bool:
    try:
        attempt()
    except (OSError, UserError, nft.NftRefused):
        return False
    return True


def _link(kind: str, *data: tuple[str, object]) -> Callable[[], None]:
    def attempt() -> None:
        info = {"attrs": [("IFLA_INFO_KIND", kind), ("IFLA_INFO_DATA", {"attrs": list(data)})]}
        with Rtnl() as rtnl:
            rtnl.send([netlink.new_link([("IFLA_IFNAME", f"probe-{kind}"), ("IFLA_LINKINFO", info)])])

    return attempt


def _tun() -> None:
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("=16sH22x", b"probe-tap", _TAP_NO_HEADER))
    finally:
        os.close(descriptor)


def _nft() -> None:
    nft.apply_here([{"add": {"table": {"family": "inet", "name": "probe"}}}])


def _clsact() -> None:
    with Rtnl() as rtnl:
        rtnl.send([netlink.filter_hooks(_LOOPBACK)])


def _bpf() -> None:
    """Load the shortest program there is: return 0."""
    number = _BPF_SYSCALL.get(platform.machine())
    if number is None:
        raise OSError("unknown architecture")
    program = ctypes.create_string_buffer(_RETURN_ZERO)
    licence = ctypes.create_string_buffer(b"GPL")
    attributes = struct.pack(
        "=IIQQIIQII", _SCHED_CLS, 2, ctypes.addressof(program), ctypes.addressof(licence), 0, 0, 0, 0, 0
    )
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.syscall(number, _PROG_LOAD, attributes, len(attributes))
    if descriptor < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    os.close(descriptor)


def _libbpf() -> None:
    ctypes.CDLL("libbpf.so.1")


_LOOPBACK = 1
_TUNSETIFF = 0x400454CA
_TAP_NO_HEADER = 0x1002
_BPF_SYSCALL = {"x86_64": 321, "aarch64": 280}
_PROG_LOAD, _SCHED_CLS = 5, 3
_RETURN_ZERO = struct.pack("=BBhiBBhi", 0xB7, 0, 0, 0, 0x95, 0, 0, 0)

_SLOWER = "without it frames go through user space, which is slower"
_ROOT = Missing("root", "start as root, or with the capabilities SYS_ADMIN, NET_ADMIN and NET_RAW", True)
_ATTEMPTS: tuple[tuple[Missing, Callable[[], None]], ...] = (
    (Missing("the bridge driver", "load the kernel module bridge", True), _link("bridge")),
    (Missing("the veth driver", "load the kernel module veth", True), _link("veth")),
    (Missing("/dev/net/tun", "load the kernel module tun, or give the container that device", True), _tun),
    (Missing("nft", "install the package nftables; the kernel needs the module nf_tables", True), _nft),
    (
        Missing("the vxlan driver", f"load the kernel module vxlan; {_SLOWER}", False),
        _link("vxlan", ("IFLA_VXLAN_COLLECT_METADATA", 1)),
    ),
    (Missing("eBPF", f"allow the bpf system call (CAP_BPF or CAP_SYS_ADMIN); {_SLOWER}", False), _bpf),
    (Missing("the clsact scheduler", f"load the kernel module sch_ingress; {_SLOWER}", False), _clsact),
    (Missing("libbpf.so.1", f"install the package libbpf1; {_SLOWER}", False), _libbpf),
)
