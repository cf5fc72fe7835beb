"""When a new neighbour is told everything."""

import math

from mesh.builders import at, make_link
from tulle.mesh.introduction import PATIENCE_SECONDS, QUIET_SECONDS, Introductions
from tulle.mesh.links import LinkTable
from tulle.mesh.peername import PeerName


def _introductions(*links: object) -> Introductions:
    table = LinkTable()
    for link in links:
        table.add(link)  # type: ignore[arg-type]
        table.raise_up(link)  # type: ignore[arg-type]
    return Introductions(table)


def test_other_kinds_at_once_and_ours_when_it_is_quiet() -> None:
    foreign, ours = make_link(1, 2, tells_all=False), make_link(2, 3)
    introductions = _introductions(foreign, ours)
    introductions.plan(foreign, at(0))
    assert introductions.due(at(0)) == [foreign]
    introductions.plan(ours, at(0))
    assert introductions.due(at(0)) == []
    assert introductions.next_deadline() == QUIET_SECONDS
    assert introductions.due(at(QUIET_SECONDS)) == [ours]
    assert introductions.next_deadline() == math.inf


def test_a_rush_puts_it_off_but_not_for_ever() -> None:
    links = [make_link(number, number + 1) for number in range(1, 21)]
    introductions = _introductions(*links)
    for number, link in enumerate(links):
        introductions.plan(link, at(number * 0.05))
    assert introductions.next_deadline() == PATIENCE_SECONDS


def test_cancelled() -> None:
    link = make_link(1, 2)
    introductions = _introductions(link)
    introductions.plan(link, at(0))
    introductions.cancel(PeerName(2))
    introductions.cancel(PeerName(3))
    assert introductions.due(at(9)) == []
