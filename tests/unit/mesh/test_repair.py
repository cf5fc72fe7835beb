"""Asking for what is missing, and contradicting with patience."""

import math
from itertools import pairwise
from random import Random

from mesh.builders import edge, make_link, names, summary
from tulle.mesh.links import LinkTable
from tulle.mesh.peername import PeerName
from tulle.mesh.repair import LONGEST_ASK_SECONDS, LONGEST_REBUTTAL_SECONDS, MAX_ASKED, Enquiry, Rebuttal
from tulle.mesh.routes import Routes
from tulle.mesh.topology import Topology


class _Fixture:
    def __init__(self, *kinds: bool) -> None:
        self.asked: list[tuple[int, int]] = []
        self.topology = Topology(summary(1, version=0))
        links = LinkTable()
        for peer, kind in enumerate(kinds, 2):
            link = make_link(peer, peer, tells_all=kind)
            links.add(link)
            links.raise_up(link)
            self.topology.connect(edge(peer))
            self.topology.introduce(summary(peer, version=0))
        routes = Routes(self.topology.graph, PeerName(1))
        self.enquiry = Enquiry(
            self.topology, routes, links, Random(0), lambda whom, name: self.asked.append((whom, name))
        )


def test_the_neighbour_on_the_way_is_asked() -> None:
    fixture = _Fixture(True, True)
    fixture.topology.merge([summary(3, 1, 9)])
    fixture.enquiry.consider(10.0)
    assert fixture.enquiry.due == 11.0
    fixture.enquiry.tick(10.9)
    assert not fixture.asked
    fixture.enquiry.tick(11.0)
    assert fixture.asked == [(3, 9)]


def test_another_is_asked_if_that_one_would_not_answer() -> None:
    fixture = _Fixture(True, False)
    fixture.topology.merge([summary(3, 1, 9)])
    fixture.enquiry.consider(0.0)
    fixture.enquiry.tick(1.0)
    assert fixture.asked == [(2, 9)]


def test_nobody_to_ask() -> None:
    fixture = _Fixture(False)
    fixture.topology.merge([summary(2, 1, 9)])
    fixture.enquiry.consider(0.0)
    fixture.enquiry.tick(1.0)
    assert not fixture.asked
    assert fixture.enquiry.due == 3.0


def test_asking_slows_down_and_ends() -> None:
    fixture = _Fixture(True)
    fixture.topology.merge([summary(2, 1, 9)])
    fixture.enquiry.consider(0.0)
    gaps = []
    for _ in range(8):
        before = fixture.enquiry.due
        fixture.enquiry.tick(before)
        gaps.append(fixture.enquiry.due - before)
    assert gaps == [2, 4, 8, 16, *[LONGEST_ASK_SECONDS] * 4]
    fixture.topology.merge([summary(9)])
    fixture.enquiry.tick(fixture.enquiry.due)
    assert fixture.enquiry.due == math.inf
    fixture.enquiry.consider(1000.0)
    assert fixture.enquiry.due == math.inf


def test_not_all_is_asked_at_once() -> None:
    fixture = _Fixture(True)
    fixture.topology.merge([summary(2, *names(range(100, 400)))])
    fixture.enquiry.consider(0.0)
    fixture.enquiry.tick(1.0)
    assert len(fixture.asked) == MAX_ASKED


def test_first_rebuttal_is_at_once_and_later_ones_are_patient() -> None:
    rebuttal = Rebuttal()
    moments = []
    mono = 100.0
    while len(moments) < 8:
        rebuttal.provoked(mono)
        mono = max(mono, rebuttal.due)
        assert rebuttal.tick(mono)
        moments.append(mono)
    assert moments[0] == 100.0
    gaps = [later - earlier for earlier, later in pairwise(moments)]
    assert gaps == [1, 2, 4, 8, 16, LONGEST_REBUTTAL_SECONDS, LONGEST_REBUTTAL_SECONDS]
    assert not rebuttal.tick(mono)
    rebuttal.provoked(mono + 1000)
    assert rebuttal.due == mono + 1000
