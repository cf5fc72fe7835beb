from ipaddress import IPv4Address

import dpkt
import pytest

from tulle.host.neighbours import announcement, owner_in

ADDRESS = IPv4Address("10.32.0.1")
MAC = "02:00:00:00:00:07"


def test_an_announcement_is_a_broadcast_question_for_the_own_address() -> None:
    frame = dpkt.ethernet.Ethernet(announcement(ADDRESS, MAC))
    assert frame.dst == b"\xff" * 6
    assert frame.src == frame.data.sha == bytes.fromhex("020000000007")
    assert frame.type == dpkt.ethernet.ETH_TYPE_ARP
    assert frame.data.op == dpkt.arp.ARP_OP_REQUEST
    assert frame.data.spa == frame.data.tpa == ADDRESS.packed


def test_who_has_an_address_is_read_from_questions_and_answers() -> None:
    asking = announcement(ADDRESS, MAC)
    answering = asking[:20] + b"\0\2" + asking[22:]
    assert owner_in(asking, ADDRESS) == owner_in(answering, ADDRESS) == MAC


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        announcement(ADDRESS, MAC)[:41],
        announcement(IPv4Address("10.32.0.2"), MAC),
        announcement(ADDRESS, MAC)[:12] + b"\x08\x00" + announcement(ADDRESS, MAC)[14:],
        announcement(ADDRESS, MAC)[:20] + b"\0\3" + announcement(ADDRESS, MAC)[22:],
    ],
)
def test_other_frames_say_nothing(frame: bytes) -> None:
    assert owner_in(frame, ADDRESS) is None
