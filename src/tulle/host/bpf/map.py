"""A kernel map seen as a typed table."""

import ctypes
import errno
import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from tulle.host.bpf.libbpf import libbpf

K = TypeVar("K")
V = TypeVar("V")

_BATCH = 4096
_PER_CPU_ALIGNMENT = 8
_RETRIES = 100


@dataclass(frozen=True)
class Layout(Generic[K, V]):
    """How keys and values of the map ``name`` are written as bytes."""

    name: str
    key: struct.Struct
    pack_key: Callable[[K], bytes]
    unpack_key: Callable[[bytes], K]
    value: struct.Struct
    pack_value: Callable[[V], bytes]
    unpack_value: Callable[[bytes], V]


class RawMap:
    """A map as the kernel has it: keys and values are bytes."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._lib = libbpf()

    def set_raw(self, key: bytes, value: bytes) -> None:
        """Write one value.

        Maps that allocate on demand say ENOMEM for a moment after many quick writes; then the kernel is
        already fetching more, so it is tried again.
        """
        for attempt in range(_RETRIES):
            try:
                self._lib.call("bpf_map_update_elem", self.fd, key, value, 0)
            except OSError as error:
                if error.errno != errno.ENOMEM or attempt == _RETRIES - 1:
                    raise
                os.sched_yield()
            else:
                return

    def get_raw(self, key: bytes, value_size: int) -> bytes | None:
        """The value, or None if there is none. ``value_size`` is what the kernel will write."""
        buffer = ctypes.create_string_buffer(value_size)
        try:
            self._lib.call("bpf_map_lookup_elem", self.fd, key, buffer)
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise
            return None
        return buffer.raw

    def raw_items(self, key_size: int, value_size: int) -> Iterator[tuple[bytes, bytes]]:
        """All entries, some thousands per system call. Not a snapshot: the kernel writes meanwhile."""
        keys = ctypes.create_string_buffer(key_size * _BATCH)
        values = ctypes.create_string_buffer(value_size * _BATCH)
        cursor = ctypes.create_string_buffer(max(key_size, 8))
        start: ctypes.Array[ctypes.c_char] | None = None
        last = False
        while not last:
            count = ctypes.c_uint32(_BATCH)
            arguments = (start, cursor, keys, values, ctypes.byref(count), None)
            try:
                self._lib.call("bpf_map_lookup_batch", self.fd, *arguments)
            except OSError as error:
                if error.errno != errno.ENOENT:
                    raise
                last = True
            start = cursor
            all_keys, all_values = keys.raw, values.raw
            for index in range(count.value):
                key_at, value_at = index * key_size, index * value_size
                yield all_keys[key_at : key_at + key_size], all_values[value_at : value_at + value_size]


class Map(RawMap, Generic[K, V]):
    """An open map with typed keys and values. Owns its file descriptor."""

    def __init__(self, fd: int, layout: Layout[K, V]) -> None:
        super().__init__(fd)
        self.layout = layout

    def close(self) -> None:
        """Let go of the map; the kernel keeps it as long as a program uses it."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def get(self, key: K) -> V | None:
        """The value, or None if there is none."""
        raw = self.get_raw(self.layout.pack_key(key), self.layout.value.size)
        return None if raw is None else self.layout.unpack_value(raw)

    def set(self, key: K, value: V) -> None:
        """Write one value. The kernel replaces a hash map's value as a whole, an array's in place."""
        self.set_raw(self.layout.pack_key(key), self.layout.pack_value(value))

    def delete(self, key: K) -> bool:
        """Take an entry away; False if it was not there."""
        try:
            self._lib.call("bpf_map_delete_elem", self.fd, self.layout.pack_key(key))
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise
            return False
        return True

    def items(self) -> Iterator[tuple[K, V]]:
        """All entries; see ``raw_items``."""
        for key, value in self.raw_items(self.layout.key.size, self.layout.value.size):
            yield self.layout.unpack_key(key), self.layout.unpack_value(value)


class PerCpuMap(Map[K, V]):
    """A map in which each processor has a value of its own: read it with ``per_cpu``."""

    def per_cpu(self, key: K) -> list[V]:
        """One value per possible processor."""
        size = self.layout.value.size
        stride = -(-size // _PER_CPU_ALIGNMENT) * _PER_CPU_ALIGNMENT
        processors = self._lib.call("libbpf_num_possible_cpus")
        raw = self.get_raw(self.layout.pack_key(key), stride * processors) or b""
        return [self.layout.unpack_value(raw[at : at + size]) for at in range(0, len(raw), stride)]
