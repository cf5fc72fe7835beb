"""Two hosts with one name: what is remembered of it."""

from tulle.mesh.collisions import MAX_REMEMBERED, MEMORY_SECONDS, RESTART_SECONDS, Collisions
from tulle.mesh.peername import PeerName


def test_a_collision_is_remembered_for_some_minutes_from_when_it_was_last_seen() -> None:
    collisions = Collisions(PeerName(1))
    collisions.note("a and b", 0.0)
    collisions.note("c and d", 1.0)
    collisions.note("a and b", 100.0)
    assert collisions.current(101.0) == ["c and d", "a and b"]
    assert collisions.current(MEMORY_SECONDS + 50) == ["a and b"]
    assert collisions.current(MEMORY_SECONDS + 100) == []


def test_memory_is_bounded() -> None:
    collisions = Collisions(PeerName(1))
    for number in range(1000):
        collisions.note(f"collision {number}", 0.0)
    assert len(collisions.current(0.0)) == MAX_REMEMBERED


def test_an_earlier_run_of_ours_is_no_collision() -> None:
    collisions = Collisions(PeerName(1))
    collisions.spoken_for(10.0)
    collisions.spoken_for(10.0 + RESTART_SECONDS)
    assert collisions.current(50.0) == []


def test_somebody_who_goes_on_speaking_in_our_name_is_another_host() -> None:
    collisions = Collisions(PeerName(1))
    collisions.spoken_for(10.0)
    collisions.spoken_for(10.1 + RESTART_SECONDS)
    (text,) = collisions.current(50.0)
    assert "00:00:00:00:00:01" in text
    assert "--name" in text
