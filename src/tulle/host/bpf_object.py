"""The compiled programs: loading them, and taking over the maps of those that already run.

Programs on a device outlive the daemon, and with them their maps. A new daemon finds the maps through the
program, uses those that have the layout it knows, and copies the others into its own: values grow only at
their end (``layout.h``), so what an older version wrote is the beginning of what a newer one reads.
"""

import contextlib
import ctypes
import errno
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from types import TracebackType

from tulle.host.bpf.libbpf import BpfUnavailable, MapInfo, ProgramInfo, libbpf
from tulle.host.bpf.map import K, Layout, Map, PerCpuMap, RawMap, V

_MAX_MAPS = 32
_LAST_LINES = 4
_NOT_COPIED = frozenset({5, 6, 10, 9})
"""Kinds of maps that start empty where they cannot be shared: per-processor counters, and what is learned
from traffic (an LRU hash), which the next frames teach again."""


@dataclass(frozen=True, slots=True)
class MapShape:
    """What must agree before a map can be shared."""

    kind: int
    key_size: int
    value_size: int
    max_entries: int
    flags: int


@dataclass(frozen=True, slots=True)
class FoundMap:
    """A map that a running program uses; the finder owns the descriptor."""

    fd: int
    shape: MapShape


class BpfObject:
    """A compiled object, by default the one that ships, opened; ``load`` puts it into the kernel."""

    def __init__(self, data: bytes | None = None) -> None:
        self._lib = libbpf()
        self.data = data or (files("tulle.host.bpf") / "tulle.bpf.o").read_bytes()
        self._object = self._lib.pointer("bpf_object__open_mem", self.data, len(self.data), None)

    def __enter__(self) -> "BpfObject":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lib.free("bpf_object__close", self._object)

    def load(self, found: Mapping[str, FoundMap]) -> None:
        """Put the programs into the kernel, on the found maps where they agree, with a copy where not.

        Raises BpfUnavailable with the kernel's own words.
        """
        copied = []
        for name, old in found.items():
            with contextlib.suppress(OSError):
                pointer = self._map(name)
                if self._shape(pointer) == old.shape:
                    self._lib.call("bpf_map__reuse_fd", pointer, old.fd)
                else:
                    copied.append(name)
        self._lib.complaints.clear()
        try:
            self._lib.call("bpf_object__load", self._object)
        except OSError as error:
            raise BpfUnavailable(
                f"the kernel ({os.uname().release}) does not take the data path's programs: {error.strerror}:"
                f" {_last_words(self._lib.complaints)}"
            ) from error
        for name in copied:
            _copy(found[name], self._lib.call("bpf_map__fd", self._map(name)), self._shape(self._map(name)))

    def program(self, name: str) -> int:
        """A loaded program's descriptor; it belongs to this object."""
        pointer = self._lib.pointer("bpf_object__find_program_by_name", self._object, name.encode())
        return self._lib.call("bpf_program__fd", pointer)

    def map(self, layout: Layout[K, V]) -> Map[K, V]:
        """A map, opened once more: it stays open when this object is closed."""
        return Map(self._map_descriptor(layout.name), layout)

    def per_cpu_map(self, layout: Layout[K, V]) -> PerCpuMap[K, V]:
        """The same for maps with a value per processor."""
        return PerCpuMap(self._map_descriptor(layout.name), layout)

    def shape(self, name: str) -> MapShape:
        """The shape of a map of this object."""
        return self._shape(self._map(name))

    def _map_descriptor(self, name: str) -> int:
        return os.dup(self._lib.call("bpf_map__fd", self._map(name)))

    def _map(self, name: str) -> int:
        return self._lib.pointer("bpf_object__find_map_by_name", self._object, name.encode())

    def _shape(self, pointer: int) -> MapShape:
        parts = ("type", "key_size", "value_size", "max_entries", "map_flags")
        return MapShape(*(self._lib.value(f"bpf_map__{part}", pointer) for part in parts))


def _last_words(complaints: list[str]) -> str:
    """The end of the verifier's log, where the reason is; all of it can be a hundred kilobytes."""
    lines = [line for text in complaints for line in text.splitlines() if not line.startswith("libbpf:")]
    return " / ".join(lines[-_LAST_LINES:])


@contextlib.contextmanager
def maps_of_programs(programs: Iterable[int]) -> Iterator[dict[str, FoundMap]]:
    """The maps of running programs, by name, given the programs' ids."""
    found: dict[str, FoundMap] = {}
    try:
        for program in programs:
            _find_maps(program, found)
        yield found
    finally:
        for one in found.values():
            os.close(one.fd)


def _find_maps(program: int, found: dict[str, FoundMap]) -> None:
    library = libbpf()
    try:
        fd = library.call("bpf_prog_get_fd_by_id", program)
    except OSError as error:
        if error.errno == errno.ENOENT:
            return
        raise
    try:
        identifiers = (ctypes.c_uint32 * _MAX_MAPS)()
        info = ProgramInfo(nr_map_ids=_MAX_MAPS, map_ids=ctypes.addressof(identifiers))
        _fill(fd, info)
    finally:
        os.close(fd)
    for identifier in identifiers[: info.nr_map_ids]:
        map_fd = library.call("bpf_map_get_fd_by_id", identifier)
        description = MapInfo()
        _fill(map_fd, description)
        name = description.name.decode()
        if name in found:
            os.close(map_fd)
            continue
        found[name] = FoundMap(map_fd, _described(description))


def _described(info: MapInfo) -> MapShape:
    return MapShape(info.type, info.key_size, info.value_size, info.max_entries, info.map_flags)


def _fill(fd: int, info: ctypes.Structure) -> None:
    size = ctypes.c_uint32(ctypes.sizeof(info))
    libbpf().call("bpf_obj_get_info_by_fd", fd, ctypes.byref(info), ctypes.byref(size))


def _copy(old: FoundMap, new_fd: int, new: MapShape) -> None:
    """Copy what fits, unless the map's keys mean something else."""
    if old.shape.key_size != new.key_size or {old.shape.kind, new.kind} & _NOT_COPIED:
        return
    target = RawMap(new_fd)
    for key, value in RawMap(old.fd).raw_items(old.shape.key_size, old.shape.value_size):
        with contextlib.suppress(OSError):
            target.set_raw(key, value[: new.value_size].ljust(new.value_size, b"\0"))
