"""Which of several connections to one peer is the link."""

import pytest

from mesh.builders import at, make_link
from tulle.mesh.links import LinkTable, Verdict, contest
from tulle.mesh.peername import PeerName


@pytest.mark.parametrize(
    ("old", "new", "verdict"),
    [(5, 9, Verdict.OLD), (9, 5, Verdict.NEW), (7, 7, Verdict.NEITHER)],
)
def test_the_lower_uid_survives(old: int, new: int, verdict: Verdict) -> None:
    assert contest(make_link(1, conn_uid=old), make_link(2, conn_uid=new)) is verdict


def test_two_processes_under_one_name_are_not_judged_by_numbers() -> None:
    assert contest(make_link(1, uid=1, conn_uid=1), make_link(2, uid=2, conn_uid=9)) is Verdict.DISPUTED
    assert contest(make_link(1, uid=1, conn_uid=9), make_link(2, uid=2, conn_uid=1)) is Verdict.DISPUTED


def test_table() -> None:
    table = LinkTable()
    one, rival, stranger = make_link(1, 2), make_link(2, 2, outbound=False), make_link(3, None)
    for link in (one, rival, stranger):
        table.add(link)
    table.raise_up(one)
    assert dict(table.up) == {2: one}
    assert table.alike() == {2}
    assert table.rivals(PeerName(2)) == []
    rival.stand_by(at(0))
    table.stand_by(rival)
    assert table.rivals(PeerName(2)) == [rival]
    assert table.inbound() == {"10.0.0.9": rival}
    assert not table.remove(rival)
    assert table.remove(one)
    assert not table.remove(stranger)
    assert not table.all
    assert not table.up
    assert table.rivals(PeerName(2)) == []


def test_a_rival_that_rises_is_to_be_heard() -> None:
    table = LinkTable()
    one, rival = make_link(1, 2), make_link(2, 2)
    table.add(one)
    table.add(rival)
    table.raise_up(one)
    table.stand_by(rival)
    table.remove(one)
    assert table.caught_up() == []
    table.raise_up(rival)
    assert table.caught_up() == [rival]
    assert table.caught_up() == []
    assert table.rivals(PeerName(2)) == []
