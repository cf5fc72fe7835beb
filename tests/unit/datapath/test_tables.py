"""Differences of tables: the smallest change, and that it leads where it should."""

from hypothesis import given
from hypothesis import strategies as st

from tulle.datapath.tables import NO_CHANGE, Change, Hop, ShortId, Tables, Tree, diff, sleeve_hop

ids = st.integers(0, 7).map(ShortId)
hops = st.sampled_from([Hop("10.0.0.1", "10.0.0.9"), Hop("10.0.0.2", "10.0.0.9"), sleeve_hop(ShortId(3))])
trees = st.builds(
    Tree,
    st.sampled_from([None, "10.0.0.1", ShortId(3)]),
    st.lists(st.tuples(ids, hops), max_size=2).map(tuple),
)
tables = st.builds(
    Tables,
    st.one_of(st.none(), ids),
    st.dictionaries(ids, hops),
    st.dictionaries(ids, hops),
    st.dictionaries(ids, trees),
)


def applied(old: Tables, change: Change) -> Tables:
    """What the kernel holds after a change, done as the docstring of Change says."""
    direct = {**old.direct, **change.set_direct}
    routes = {**old.routes, **change.set_routes}
    trees = {**old.trees, **change.set_trees}
    for key in change.drop_trees:
        del trees[key]
    for key in change.drop_routes:
        del routes[key]
    for key in change.drop_direct:
        del direct[key]
    return Tables(old.self_id if change.self_id is None else change.self_id, direct, routes, trees)


@given(tables, tables)
def test_a_change_leads_from_one_state_to_the_other(old: Tables, new: Tables) -> None:
    after = applied(old, diff(old, new))
    assert (after.direct, after.routes, after.trees) == (new.direct, new.routes, new.trees)
    assert after.self_id == (old.self_id if new.self_id is None else new.self_id)


@given(tables)
def test_what_goes_in_the_clear_can_be_taken_out(state: Tables) -> None:
    kept = state.without_tunnels(lambda address: address == "10.0.0.1")
    children = [hop for tree in kept.trees.values() for _, hop in tree.children]
    for hop in (*kept.direct.values(), *kept.routes.values(), *children):
        assert hop.id in ("10.0.0.1", 3)
    assert "10.0.0.2" not in {tree.parent for tree in kept.trees.values()}
    assert state.without_tunnels(lambda address: True) == state
    assert kept.self_id == state.self_id


@given(tables)
def test_equal_states_need_no_change(state: Tables) -> None:
    assert diff(state, state) == NO_CHANGE
    assert not diff(state, state)


def test_only_what_differs_is_written() -> None:
    one, two = ShortId(1), ShortId(2)
    hop, other = Hop("10.0.0.1", "10.0.0.9"), Hop("10.0.0.2", "10.0.0.9")
    change = diff(Tables(routes={one: hop, two: hop}), Tables(routes={one: hop, two: other}))
    assert change == Change(set_routes={two: other})
    assert change
