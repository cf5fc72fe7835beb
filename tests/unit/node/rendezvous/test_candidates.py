"""Which addresses a host tells of itself, and which of another's it sends anything to."""

from ipaddress import IPv4Interface, IPv4Network

import pytest

from tulle.datapath.sleeve.orders import Endpoint
from tulle.node.rendezvous.candidates import MAX_LOCAL, MAX_SEEN, Whereabouts
from tulle.node.rendezvous.messages import MAX_CANDIDATES, Candidate, Origin

HOME = IPv4Interface("192.168.1.5/24")
SEEN = Endpoint("198.51.100.7", 20000)


@pytest.fixture
def here() -> Whereabouts:
    made = Whereabouts(6783, IPv4Network("10.32.0.0/12"))
    made.set_local([HOME])
    return made


def local(ip: str, port: int = 6783) -> Candidate:
    return Candidate(Origin.LOCAL, Endpoint(ip, port))


def test_a_host_tells_its_interfaces_and_where_others_see_it(here: Whereabouts) -> None:
    here.set_seen([SEEN])
    assert here.candidates() == (local("192.168.1.5"), Candidate(Origin.SEEN, SEEN))


def test_an_address_that_others_see_unchanged_is_told_once(here: Whereabouts) -> None:
    here.set_seen([Endpoint("192.168.1.5", 6783)])
    assert here.candidates() == (local("192.168.1.5"),)


def test_it_tells_no_more_than_a_message_holds(here: Whereabouts) -> None:
    here.set_local(IPv4Interface(f"192.168.{n}.1/24") for n in range(20))
    here.set_seen(Endpoint("198.51.100.7", n) for n in range(1, 20))
    origins = [candidate.origin for candidate in here.candidates()]
    assert origins == [Origin.LOCAL] * MAX_LOCAL + [Origin.SEEN] * MAX_SEEN
    assert len(origins) <= MAX_CANDIDATES


def test_changes_are_told_apart_from_repetitions(here: Whereabouts) -> None:
    assert here.set_seen([SEEN])
    assert not here.set_seen([SEEN, SEEN])
    assert not here.set_local([HOME])
    assert here.set_local([IPv4Interface("192.168.2.5/24")])


def test_the_overlay_and_loopback_are_no_places(here: Whereabouts) -> None:
    assert not here.set_local([HOME, IPv4Interface("10.40.0.1/12"), IPv4Interface("127.0.0.1/8")])


@pytest.mark.parametrize(
    "ip",
    [
        "224.0.0.251",
        "239.1.2.3",
        "255.255.255.255",
        "127.0.0.1",
        "0.0.0.0",
        "0.1.2.3",
        "169.254.169.254",
        "240.0.0.1",
        "10.32.0.1",
        "192.168.1.255",
        "192.168.1.5",
    ],
)
def test_addresses_that_nothing_is_sent_to(here: Whereabouts, ip: str) -> None:
    assert here.believable([local(ip), local("203.0.113.9")]) == (local("203.0.113.9"),)


def test_port_zero_is_no_port(here: Whereabouts) -> None:
    assert here.believable([local("203.0.113.9", 0)]) == ()


def test_an_address_told_twice_is_tried_once(here: Whereabouts) -> None:
    assert here.believable([local("203.0.113.9")] * 3) == (local("203.0.113.9"),)


def test_private_addresses_are_tried(here: Whereabouts) -> None:
    """The peer may be in the same network; if not, a few packets to an address there cost nothing."""
    assert here.believable([local("192.168.1.6"), local("172.16.0.1")]) == (
        local("192.168.1.6"),
        local("172.16.0.1"),
    )
