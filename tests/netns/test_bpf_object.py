"""The shipped object: the kernel takes it, its maps have the sizes Python writes and keep what they get."""

from collections.abc import Iterator

import pytest

from tulle.datapath.tables import Hop, ShortId, Tree
from tulle.host.bpf import layout
from tulle.host.bpf.layout import Counter, Place
from tulle.host.bpf.libbpf import BpfUnavailable
from tulle.host.bpf_object import BpfObject


@pytest.fixture
def programs() -> Iterator[BpfObject]:
    with BpfObject() as opened:
        opened.load({})
        yield opened


@pytest.mark.parametrize(
    "one",
    [layout.CONFIG, layout.MACS, layout.ROUTES, layout.DIRECT, layout.TREES, layout.TRAFFIC, layout.COUNTERS],
    ids=lambda one: one.name,
)
def test_sizes_agree(programs: BpfObject, one: layout.Layout) -> None:  # type: ignore[type-arg]
    shape = programs.shape(one.name)
    assert (shape.key_size, shape.value_size) == (one.key.size, one.value.size)


def test_there_is_a_place_for_every_counter(programs: BpfObject) -> None:
    assert programs.shape("counters").max_entries == len(Counter)


def test_a_map_keeps_and_forgets(programs: BpfObject) -> None:
    macs = programs.map(layout.MACS)
    one, other = b"\2\0\0\0\0\1", b"\2\0\0\0\0\2"
    assert macs.get(one) is None
    macs.set(one, Place(1, 2, 3, 4))
    macs.set(other, Place(4, 5, 6, 7))
    assert macs.get(one) == Place(1, 2, 3, 4)
    assert dict(macs.items()) == {one: Place(1, 2, 3, 4), other: Place(4, 5, 6, 7)}
    assert macs.delete(one)
    assert not macs.delete(one)
    macs.close()


def test_a_batch_reads_everything(programs: BpfObject) -> None:
    routes = programs.map(layout.ROUTES)
    hop = Hop("10.0.0.1", "10.0.0.2")
    routes.set(ShortId(4095), hop)
    found = dict(routes.items())
    assert len(found) == 4096
    assert {peer for peer, one in found.items() if one is not None} == {4095}
    macs = programs.map(layout.MACS)
    for number in range(10_000):
        macs.set(number.to_bytes(6, "big"), Place(number, 0, 0, 0))
    assert len(dict(macs.items())) == 10_000


def test_all_trees_fit(programs: BpfObject) -> None:
    """Faster than the kernel's reserve of memory grows: see Map.set_raw."""
    trees = programs.map(layout.TREES)
    tree = Tree("10.0.0.9", tuple((ShortId(one), Hop("10.0.0.1", "10.0.0.2")) for one in range(256)))
    for source in range(4096):
        trees.set(ShortId(source), tree)
    assert len(list(trees.items())) == 4096


def test_counters_have_a_value_per_processor(programs: BpfObject) -> None:
    counters = programs.per_cpu_map(layout.COUNTERS)
    assert set(counters.per_cpu(Counter.LEARNED)) == {0}


def test_an_object_the_kernel_refuses_is_explained() -> None:
    with BpfObject() as opened:
        data = opened.data
    broken = data.replace(b"\x85\x00\x00\x00\x15\x00\x00\x00", b"\x85\x00\x00\x00\xff\x7f\x00\x00")
    assert broken != data
    with BpfObject(broken) as opened, pytest.raises(BpfUnavailable, match="does not take"):
        opened.load({})
