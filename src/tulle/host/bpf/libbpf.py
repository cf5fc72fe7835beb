"""The few functions of libbpf that are needed, by ctypes.

libbpf is a small system library (package ``libbpf1``) that loads compiled programs into the kernel and
attaches them. It acts in the network namespace of the calling thread.
"""

import ctypes
import ctypes.util
import os
from ctypes import POINTER, c_char_p, c_int, c_size_t, c_uint32, c_uint64, c_void_p
from typing import Any

_WARNING = 0


class BpfUnavailable(Exception):
    """This machine cannot run the kernel data path; the text says why, for ``status`` and for the log."""


class TcHook(ctypes.Structure):
    """Where a filter sits: ``struct bpf_tc_hook``."""

    _fields_ = (
        ("sz", c_size_t),
        ("ifindex", c_int),
        ("attach_point", c_int),
        ("parent", c_uint32),
        ("tail", c_uint32),
    )


class TcOptions(ctypes.Structure):
    """Which filter: ``struct bpf_tc_opts``."""

    _fields_ = (
        ("sz", c_size_t),
        ("prog_fd", c_int),
        ("flags", c_uint32),
        ("prog_id", c_uint32),
        ("handle", c_uint32),
        ("priority", c_uint32),
        ("tail", c_uint32),
    )


class MapInfo(ctypes.Structure):
    """The beginning of ``struct bpf_map_info``; the kernel fills as much as is asked for."""

    _fields_ = (
        ("type", c_uint32),
        ("id", c_uint32),
        ("key_size", c_uint32),
        ("value_size", c_uint32),
        ("max_entries", c_uint32),
        ("map_flags", c_uint32),
        ("name", ctypes.c_char * 16),
    )


class ProgramInfo(ctypes.Structure):
    """The beginning of ``struct bpf_prog_info``."""

    _fields_ = (
        ("type", c_uint32),
        ("id", c_uint32),
        ("tag", ctypes.c_uint8 * 8),
        ("jited_prog_len", c_uint32),
        ("xlated_prog_len", c_uint32),
        ("jited_prog_insns", c_uint64),
        ("xlated_prog_insns", c_uint64),
        ("load_time", c_uint64),
        ("created_by_uid", c_uint32),
        ("nr_map_ids", c_uint32),
        ("map_ids", c_uint64),
        ("name", ctypes.c_char * 16),
    )


_PRINT = ctypes.CFUNCTYPE(c_int, c_int, c_char_p, c_void_p)

_SIGNATURES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "libbpf_set_print": (c_void_p, (_PRINT,)),
    "libbpf_num_possible_cpus": (c_int, ()),
    "bpf_object__open_mem": (c_void_p, (c_char_p, c_size_t, c_void_p)),
    "bpf_object__load": (c_int, (c_void_p,)),
    "bpf_object__close": (None, (c_void_p,)),
    "bpf_object__find_map_by_name": (c_void_p, (c_void_p, c_char_p)),
    "bpf_object__find_program_by_name": (c_void_p, (c_void_p, c_char_p)),
    "bpf_program__fd": (c_int, (c_void_p,)),
    "bpf_map__fd": (c_int, (c_void_p,)),
    "bpf_map__type": (c_int, (c_void_p,)),
    "bpf_map__key_size": (c_uint32, (c_void_p,)),
    "bpf_map__value_size": (c_uint32, (c_void_p,)),
    "bpf_map__max_entries": (c_uint32, (c_void_p,)),
    "bpf_map__map_flags": (c_uint32, (c_void_p,)),
    "bpf_map__reuse_fd": (c_int, (c_void_p, c_int)),
    "bpf_map_lookup_elem": (c_int, (c_int, c_void_p, c_void_p)),
    "bpf_map_update_elem": (c_int, (c_int, c_void_p, c_void_p, c_uint64)),
    "bpf_map_delete_elem": (c_int, (c_int, c_void_p)),
    "bpf_map_lookup_batch": (
        c_int,
        (c_int, c_void_p, c_void_p, c_void_p, c_void_p, POINTER(c_uint32), c_void_p),
    ),
    "bpf_prog_get_fd_by_id": (c_int, (c_uint32,)),
    "bpf_map_get_fd_by_id": (c_int, (c_uint32,)),
    "bpf_obj_get_info_by_fd": (c_int, (c_int, c_void_p, POINTER(c_uint32))),
    "bpf_tc_hook_create": (c_int, (POINTER(TcHook),)),
    "bpf_tc_attach": (c_int, (POINTER(TcHook), POINTER(TcOptions))),
    "bpf_tc_query": (c_int, (POINTER(TcHook), POINTER(TcOptions))),
}


class LibBpf:
    """The loaded library. ``complaints`` are the warnings it printed since they were last cleared."""

    def __init__(self) -> None:
        try:
            self._library = ctypes.CDLL("libbpf.so.1", use_errno=True)
            self._libc = ctypes.CDLL(None)
            for name, (result, arguments) in _SIGNATURES.items():
                function = getattr(self._library, name)
                function.restype, function.argtypes = result, arguments
        except (OSError, AttributeError) as error:
            raise BpfUnavailable(
                f"the library libbpf.so.1 (package libbpf1) cannot be used: {error}"
            ) from error
        self.complaints: list[str] = []
        self._printer = _PRINT(self._print)
        self._library.libbpf_set_print(self._printer)

    def call(self, name: str, *arguments: Any) -> int:
        """Call a function that answers a negative error number. Raises OSError."""
        result: int = getattr(self._library, name)(*arguments)
        if result < 0:
            raise OSError(-result, f"{name}: {os.strerror(-result)}")
        return result

    def pointer(self, name: str, *arguments: Any) -> int:
        """Call a function that answers a pointer. Raises OSError if that is NULL."""
        result: int | None = getattr(self._library, name)(*arguments)
        if not result:
            number = ctypes.get_errno()
            raise OSError(number, f"{name}: {os.strerror(number)}")
        return result

    def value(self, name: str, *arguments: Any) -> int:
        """Call a function whose answer is never an error."""
        result: int = getattr(self._library, name)(*arguments)
        return result

    def free(self, name: str, pointer: int) -> None:
        """Call a function that answers nothing."""
        getattr(self._library, name)(pointer)

    def _print(self, level: int, form: bytes, arguments: int) -> int:
        if level == _WARNING:
            buffer = ctypes.create_string_buffer(1 << 16)
            self._libc.vsnprintf(buffer, c_size_t(len(buffer)), form, c_void_p(arguments))
            self.complaints.append(buffer.value.decode(errors="replace").rstrip())
        return 0


_loaded: LibBpf | None = None


def libbpf() -> LibBpf:
    """The library, loaded at first use. Raises BpfUnavailable."""
    global _loaded
    if _loaded is None:
        _loaded = LibBpf()
    return _loaded
