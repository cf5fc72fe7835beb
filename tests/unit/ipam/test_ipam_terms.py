"""What hosts must agree on for addresses to stay unique."""

from dataclasses import replace

import pytest

from tulle.ipam.ring import Range, Ring
from tulle.ipam.terms import DIVISION_FEATURE, RANGE_FEATURE, terms, written
from tulle.mesh.peername import PeerName
from tulle.mesh.terms import Disagreement, as_features, check_terms

RING = Ring(0x0A200000, 0x0A300000)
DIVIDED = RING.claim_for_peers((PeerName(1), PeerName(2)))


def test_before_the_division_only_the_range_counts() -> None:
    assert as_features(terms(RING)) == {RANGE_FEATURE: "10.32.0.0/12"}
    check_terms(terms(RING), as_features(terms(DIVIDED)))
    check_terms(terms(DIVIDED), as_features(terms(RING)))


def test_other_ranges_are_refused_whether_divided_or_not() -> None:
    for ours in (RING, DIVIDED):
        with pytest.raises(Disagreement, match=r"10.32.0.0/16 but ours is 10.32.0.0/12.*--ipalloc-range"):
            check_terms(terms(ours), as_features(terms(Ring(0x0A200000, 0x0A210000))))


def test_who_was_divided_otherwise_is_refused() -> None:
    other = replace(DIVIDED, seeds=(PeerName(1),))
    with pytest.raises(Disagreement, match="tulle reset"):
        check_terms(terms(DIVIDED), as_features(terms(other)))
    check_terms(terms(DIVIDED), as_features(terms(replace(DIVIDED, entries=DIVIDED.entries[:1]))))
    assert DIVISION_FEATURE in as_features(terms(DIVIDED))


def test_ranges_are_written_as_operators_do() -> None:
    assert written(Range(0x0A200000, 0x0A200000 + 256)) == "10.32.0.0/24"
    assert written(Range(1, 4)) == "0.0.0.1-0.0.0.3"
