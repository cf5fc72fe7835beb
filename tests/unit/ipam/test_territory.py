from ipaddress import IPv4Interface, IPv4Network

import pytest

from ipam.builders import A, B, C
from tulle.ipam import territory as module
from tulle.ipam.holdings import Holdings
from tulle.ipam.journal import Journal
from tulle.ipam.ring import Entry, Range, Ring
from tulle.ipam.territory import Territory
from tulle.mesh.peername import PeerName

UNIVERSE = IPv4Network("10.0.0.0/28")
START = int(UNIVERSE.network_address)


def land(*peers: PeerName) -> Territory:
    made = Territory(A, UNIVERSE, Holdings(), Journal())
    if peers:
        made.divide(peers)
    return made


def at(offset: int) -> IPv4Interface:
    return IPv4Interface((START + offset, 28))


def test_the_winner_of_a_tie_raises_its_entry_so_that_everybody_is_convinced() -> None:
    ours = land(A, B)
    rival = ours.ring.with_entries([Entry(START, B, 0, 8), ours.ring.entries[1]])
    lost, differs = ours.merge(rival)
    assert (lost, differs) == ([], True)
    assert ours.ring.entries[0] == Entry(START, A, 1, 8)
    assert ours.merge(rival) == ([], True)
    assert ours.ring.entries[0].version == 1


def test_addresses_in_use_on_lost_ranges_stay_in_use_as_strays() -> None:
    ours = land(A, B)
    ours.hold("a", at(3))
    lost, _ = ours.merge(ours.ring.transfer(A, B))
    assert lost == [Range(START, START + 8)]
    assert ours.strays == {START + 3}
    assert ours.space.first_free(ours.universe) is None
    ours.adopt(ours.ring.grant(Range(START, START + 4), A))
    assert ours.strays == set()
    assert ours.space.first_free(ours.universe) == START
    assert ours.space.free_in(ours.universe) == 3


def test_addresses_in_use_before_there_is_a_ring_become_strays_where_others_own() -> None:
    ours = land()
    ours.hold("a", at(3))
    ours.hold("b", at(12))
    assert ours.strays == set()
    ours.divide((A, B))
    assert ours.strays == {START + 12}
    ours.release("b", None)
    assert ours.strays == set()


def test_a_donation_never_holds_an_address_in_use() -> None:
    ours = land(A, B)
    for offset in (0, 2, 4, 6):
        ours.hold(f"c{offset}", at(offset))
    assert ours.donate(Range(START, START + 16), C) == (START + 7, START + 8)
    assert ours.ring.entries[0].free == 3
    assert ours.donate(Range(START, START + 1), C) is None


def test_a_ring_in_many_pieces_is_not_split_further(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_OWN_SPLIT", 2)
    assert land(A, B).donate(Range(START, START + 1), C) is None


def test_how_wrong_the_free_counts_are() -> None:
    ours = land(A, B)
    ours.report_free()
    assert ours.misreported() == 0
    ours.hold("a", at(1))
    assert ours.misreported() == 1 / 8
    for offset in (0, 2, 3, 4, 5, 6, 7):
        ours.hold("a", at(offset))
    assert ours.misreported() == 1
    ours.report_free()
    assert ours.misreported() == 0
    assert ours.ring.entries[0] == Entry(START, A, 1, 0)


def test_the_same_ring_again_is_not_written_again() -> None:
    journal = Journal()
    ours = Territory(A, UNIVERSE, Holdings(), journal)
    ours.divide((A,))
    journal.collect()
    ours.merge(Ring(*ours.universe).claim_for_peers([A]))
    assert not journal.dirty
