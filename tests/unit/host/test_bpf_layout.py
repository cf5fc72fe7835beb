"""The kernel's structures and their mirror in Python agree, and values survive the way there and back."""

import re
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tulle.datapath.tables import MAX_CHILDREN, Hop, ShortId, Tree, sleeve_hop
from tulle.datapath.tapframe import ECHO_ETHERTYPE, Way
from tulle.host.bpf import layout
from tulle.host.bpf.layout import Config, Counter, Traffic
from tulle.host.sleeve.parcels import MAC

HEADER = (files("tulle.host.bpf") / "layout.h").read_text()
ipv4 = st.ip_addresses(v=4).map(str)
ids = st.integers(0, 4095).map(ShortId)
hosts = ipv4.filter(lambda text: not text.startswith("0."))
hops = st.one_of(st.builds(Hop, hosts, ipv4), st.builds(sleeve_hop, ids))
trees = st.builds(
    Tree,
    st.one_of(st.none(), hosts, ids),
    st.lists(st.tuples(ids, hops), max_size=5).map(tuple),
)


def defined(name: str) -> int:
    found = re.search(rf"#define {name} (\w+)", HEADER)
    assert found, f"layout.h does not define {name}"
    return int(found[1], 0)


def test_counters_have_the_same_names_and_order() -> None:
    body = re.search(r"enum counter \{(.*?)\};", HEADER, re.DOTALL)
    assert body
    names = re.findall(r"^\t(\w+)", re.sub(r"/\*.*?\*/", "", body[1], flags=re.DOTALL), re.MULTILINE)
    assert names == [*(counter.name for counter in Counter), "COUNTERS"]
    assert [counter.value for counter in Counter] == list(range(len(Counter)))


def test_numbers_are_the_same() -> None:
    assert defined("MAX_CHILDREN") == MAX_CHILDREN
    assert defined("LOCAL_PLACE") == layout.LOCAL_PLACE
    assert defined("SLEEVE_NEIGHBOURS") == layout.SLEEVE_NEIGHBOURS
    assert [defined(f"TAP_{way.name}") for way in Way] == list(Way)
    assert defined("ECHO_ETHERTYPE") == ECHO_ETHERTYPE
    assert defined("ECHO_MAGIC") == int.from_bytes(b"tule", "big")
    assert defined("SEALED_MAC") == int.from_bytes(MAC, "little")


@given(hops)
def test_hops(hop: Hop) -> None:
    assert layout.unpack_hop(layout.pack_hop(hop)) == hop


def test_no_hop() -> None:
    assert layout.unpack_hop(layout.pack_hop(None)) is None


def test_a_hop_of_a_later_version_s_carrier_is_left_out() -> None:
    raw = layout.pack_hop(Hop("10.0.0.1", "10.0.0.2"))
    strange = raw[:8] + (250).to_bytes(4, "little")
    assert layout.unpack_hop(strange) is None


@given(trees)
def test_trees(tree: Tree) -> None:
    raw = layout.pack_tree(tree)
    assert len(raw) == layout.TREES.value.size
    assert layout.unpack_tree(raw) == tree


def test_a_tree_with_a_wrong_count_is_read_as_far_as_it_goes() -> None:
    raw = (0).to_bytes(4, "little") + (9999).to_bytes(4, "little")
    assert layout.unpack_tree(raw.ljust(layout.TREES.value.size, b"\0")) == Tree(None)


@pytest.mark.parametrize(
    ("one", "value"),
    [(layout.CONFIG, Config(1, 2, 3, b"\xa9\xfe\x35\x35")), (layout.TRAFFIC, Traffic(1, 2, 3, 4, 5, 6))],
)
def test_other_values(one: layout.Layout, value: object) -> None:  # type: ignore[type-arg]
    assert one.unpack_value(one.pack_value(value)) == value
    assert len(one.pack_value(value)) == one.value.size
