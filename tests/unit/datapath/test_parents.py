"""No broadcast is taken twice while a tree changes."""

from tulle.datapath.parents import HOLD, Parents
from tulle.datapath.tables import Hop, ShortId, Tables, Tree, sleeve_hop

ME, SOURCE, OTHER = ShortId(1), ShortId(2), ShortId(3)
CHILDREN = ((ShortId(4), Hop("10.0.0.4", "10.0.0.1")), (ShortId(5), sleeve_hop(ShortId(5))))


def tables(parent: str | ShortId | None, *more: ShortId) -> Tables:
    trees = {ME: Tree(None, CHILDREN), SOURCE: Tree(parent, CHILDREN)}
    return Tables(ME, trees=trees | {source: Tree("10.0.0.9") for source in more})


def test_between_two_parents_nothing_is_taken_for_a_moment() -> None:
    parents = Parents(tables("10.0.0.2"))
    after = tables(ShortId(2), OTHER)
    parents.changed(after, 10.0)
    assert parents.held(after).trees == {**after.trees, SOURCE: Tree(None, CHILDREN)}
    assert parents.next_expiry() == 10.0 + HOLD
    assert not parents.expire(10.0)
    assert parents.expire(10.0 + HOLD)
    assert parents.held(after) == after
    assert parents.next_expiry() == float("inf")


def test_the_first_parent_is_believed_at_once_and_so_is_the_same_again() -> None:
    parents = Parents(Tables())
    for _ in range(2):
        parents.changed(tables("10.0.0.2"), 10.0)
        assert parents.held(tables("10.0.0.2")) == tables("10.0.0.2")


def test_a_tree_that_was_gone_for_a_moment_has_not_forgotten_its_parent() -> None:
    parents = Parents(tables("10.0.0.2"))
    parents.changed(Tables(ME), 10.0)
    parents.changed(tables("10.0.0.3"), 10.1)
    assert parents.next_expiry() == 10.1 + HOLD


def test_another_change_meanwhile_begins_the_moment_anew() -> None:
    parents = Parents(tables("10.0.0.2"))
    parents.changed(tables("10.0.0.3"), 10.0)
    parents.changed(tables("10.0.0.4"), 10.2)
    assert not parents.expire(10.0 + HOLD)
    assert parents.expire(10.2 + HOLD)
