"""What peers must agree on, seen by one of them."""

import pytest

from mesh.builders import config
from mesh.stage import Stage
from tulle.mesh.dialect import Features
from tulle.mesh.events import CloseLink
from tulle.mesh.greeting import features
from tulle.mesh.terms import Disagreement, Term, as_features, check_terms
from tulle.mesh.troubles import About

COLOUR = Term("Colour", "red", "its colour is {theirs}, ours is red: paint one of the two")


@pytest.mark.parametrize("theirs", [{}, {"Colour": "red"}, {"Shape": "round"}])
def test_who_says_the_same_or_nothing_agrees(theirs: dict[str, str]) -> None:
    check_terms([COLOUR], theirs)
    check_terms([], {"Colour": "blue"})


def test_who_says_something_else_is_refused_with_both_values() -> None:
    with pytest.raises(Disagreement, match=r"its colour is bl\?ue {x}, ours is red") as caught:
        check_terms([COLOUR], {"Colour": "bl\nue {x}"})
    assert not caught.value.for_ever


def test_terms_are_part_of_the_greeting_and_hold_from_the_first_connection_on() -> None:
    stage = Stage()
    stage.mesh.set_terms(lambda: (COLOUR,))
    for _ in range(3):
        link = stage.accept()
        assert link is not None
        assert stage.sessions[link].features["Colour"] == "red"
        stage.give(link, Features(features(config(2), 2, 0, "10.0.0.1") | {"Colour": "blue"}))
        assert [type(event) for event in stage.mesh.collect() if isinstance(event, CloseLink)]
        (text,) = stage.mesh.troubles(About.TERMS, stage.now)
        assert "its colour is blue" in text
        assert "h2" in text
    stage.mesh.set_terms(lambda: ())
    assert stage.accept() is not None
    assert as_features(()) == {}
