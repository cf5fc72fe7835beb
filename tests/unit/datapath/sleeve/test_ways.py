"""Where the other end may be."""

from tulle.datapath.sleeve.orders import Endpoint
from tulle.datapath.sleeve.ways import MOST_HEARD, MOST_TOLD, Ways


def place(number: int) -> Endpoint:
    return Endpoint("10.0.0.1", number)


def test_where_it_is_comes_first_and_nothing_twice() -> None:
    ways = Ways([place(1), place(2)])
    ways.hear(place(3))
    ways.current = place(2)
    assert ways.all() == [place(2), place(3), place(1)]


def test_what_is_known_is_no_news() -> None:
    ways = Ways([place(1)])
    assert not ways.tell([place(1)])
    assert not ways.hear(place(1))
    assert ways.tell([place(1), place(2)])
    assert ways.hear(place(3))
    assert not ways.hear(place(3))


def test_there_is_a_limit_to_what_is_remembered() -> None:
    ways = Ways(map(place, range(1000)))
    for number in range(2000, 3000):
        ways.hear(place(number))
    assert len(ways.all()) == MOST_TOLD + MOST_HEARD
    assert place(2999) in ways.all()
    assert place(2000) not in ways.all()
