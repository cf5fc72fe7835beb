"""A wire that loses: an XDP program that drops a share of what an interface receives, before anything else.

There is no compiler in it: seven instructions are written out here.
"""

import contextlib
import ctypes
import os
import platform
import struct
from collections.abc import Iterator

from pyroute2.iproute import IPRoute

from lab.namespace import Namespace

_SYSCALL = {"x86_64": 321, "aarch64": 280}[platform.machine()]
_PROG_LOAD, _XDP = 5, 6
_CALL, _MODULO, _JUMP_IF_LESS, _MOVE, _EXIT = 0x85, 0x94, 0xA5, 0xB7, 0x95
_RANDOM, _DROP, _PASS = 7, 1, 2
_ATTRIBUTES = struct.Struct("=IIQQIIQ")


@contextlib.contextmanager
def losing(spaces: list[Namespace], per_mille: int, interface: str = "eth0") -> Iterator[None]:
    """Lose that share of all packets that come in by this interface of each of these namespaces."""
    program = _load(per_mille)
    try:
        for space in spaces:
            space.inside(lambda: _attach(interface, program))
        yield
    finally:
        for space in spaces:
            space.inside(lambda: _attach(interface, -1))
        os.close(program)


def _attach(interface: str, program: int) -> None:
    with IPRoute() as route:
        index = route.link_lookup(ifname=interface)[0]
        route.link("set", index=index, xdp_fd=program)


def _load(per_mille: int) -> int:
    code = b"".join(
        struct.pack("=BBhi", *one)
        for one in (
            (_CALL, 0, 0, _RANDOM),
            (_MODULO, 0, 0, 1000),
            (_JUMP_IF_LESS, 0, 2, per_mille),
            (_MOVE, 0, 0, _PASS),
            (_EXIT, 0, 0, 0),
            (_MOVE, 0, 0, _DROP),
            (_EXIT, 0, 0, 0),
        )
    )
    instructions, license = ctypes.create_string_buffer(code), ctypes.create_string_buffer(b"GPL")
    attributes = ctypes.create_string_buffer(
        _ATTRIBUTES.pack(
            _XDP, len(code) // 8, ctypes.addressof(instructions), ctypes.addressof(license), 0, 0, 0
        ).ljust(128, b"\0")
    )
    libc = ctypes.CDLL(None, use_errno=True)
    program = libc.syscall(_SYSCALL, _PROG_LOAD, attributes, len(attributes.raw))
    if program < 0:
        raise OSError(ctypes.get_errno(), "the kernel does not take the program that loses packets")
    return int(program)
