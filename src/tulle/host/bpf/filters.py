"""Traffic control filters: programs that see every frame on a device's way in or out.

A filter stays in the kernel without its owner. It is found again by its priority and handle, and replaced
in one step.
"""

import ctypes
import errno
from enum import IntEnum

from tulle.host.bpf.libbpf import TcHook, TcOptions, libbpf

PRIORITY = 0x7475
HANDLE = 1
_REPLACE = 1


class Direction(IntEnum):
    """Seen from the device: ingress is what it receives."""

    INGRESS = 1
    EGRESS = 2


def _hook(ifindex: int, point: int) -> TcHook:
    return TcHook(sz=ctypes.sizeof(TcHook), ifindex=ifindex, attach_point=point)


def _options(program: int = 0, flags: int = 0) -> TcOptions:
    size = ctypes.sizeof(TcOptions)
    return TcOptions(sz=size, prog_fd=program, flags=flags, handle=HANDLE, priority=PRIORITY)


def ensure_hooks(ifindex: int) -> None:
    """Make both hooks on a device (a clsact queueing discipline) unless they are there."""
    library = libbpf()
    try:
        library.call("bpf_tc_hook_create", ctypes.byref(_hook(ifindex, Direction.INGRESS | Direction.EGRESS)))
    except OSError as error:
        if error.errno != errno.EEXIST:
            raise


def attach(ifindex: int, direction: Direction, program: int) -> None:
    """Put a program on a hook, in the place of an earlier one of ours; no frame passes without either."""
    options = _options(program, _REPLACE)
    libbpf().call("bpf_tc_attach", ctypes.byref(_hook(ifindex, direction)), ctypes.byref(options))


def attached(ifindex: int, direction: Direction) -> int | None:
    """The kernel's id of our program on a hook; None if there is none."""
    options = _options()
    try:
        libbpf().call("bpf_tc_query", ctypes.byref(_hook(ifindex, direction)), ctypes.byref(options))
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.EINVAL):
            return None
        raise
    return int(options.prog_id)
