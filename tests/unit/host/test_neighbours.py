from ipaddress import IPv4Address

import dpkt

from tulle.host.neighbours import announcement

ADDRESS = IPv4Address("10.32.0.1")
MAC = "02:00:00:00:00:07"


def test_an_announcement_is_a_broadcast_question_for_the_own_address() -> None:
    frame = dpkt.ethernet.Ethernet(announcement(ADDRESS, MAC))
    assert frame.dst == b"\xff" * 6
    assert frame.src == frame.data.sha == bytes.fromhex("020000000007")
    assert frame.type == dpkt.ethernet.ETH_TYPE_ARP
    assert frame.data.op == dpkt.arp.ARP_OP_REQUEST
    assert frame.data.spa == frame.data.tpa == ADDRESS.packed
