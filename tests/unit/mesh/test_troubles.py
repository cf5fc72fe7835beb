"""Two hosts with one name: what is remembered of it."""

from tulle.mesh.peername import PeerName
from tulle.mesh.troubles import MAX_REMEMBERED, MEMORY_SECONDS, RESTART_SECONDS, About, Troubles


def test_a_collision_is_remembered_for_some_minutes_from_when_it_was_last_seen() -> None:
    troubles = Troubles(PeerName(1))
    troubles.note(About.NAMES, "a and b", 0.0)
    troubles.note(About.NAMES, "c and d", 1.0)
    troubles.note(About.NAMES, "a and b", 100.0)
    assert troubles.current(About.NAMES, 101.0) == ["c and d", "a and b"]
    assert troubles.current(About.NAMES, MEMORY_SECONDS + 50) == ["a and b"]
    assert troubles.current(About.NAMES, MEMORY_SECONDS + 100) == []


def test_memory_is_bounded() -> None:
    troubles = Troubles(PeerName(1))
    for number in range(1000):
        troubles.note(About.TERMS, f"collision {number}", 0.0)
    assert len(troubles.current(About.TERMS, 0.0)) == MAX_REMEMBERED


def test_an_earlier_run_of_ours_is_no_collision() -> None:
    troubles = Troubles(PeerName(1))
    troubles.spoken_for(10.0)
    troubles.spoken_for(10.0 + RESTART_SECONDS)
    assert troubles.current(About.NAMES, 50.0) == []


def test_somebody_who_goes_on_speaking_in_our_name_is_another_host() -> None:
    troubles = Troubles(PeerName(1))
    troubles.spoken_for(10.0)
    troubles.spoken_for(10.1 + RESTART_SECONDS)
    (text,) = troubles.current(About.NAMES, 50.0)
    assert "00:00:00:00:00:01" in text
    assert "--name" in text
