import socket
import struct

from tulle.host.monitor import removed_links

NEWLINK, DELLINK = 16, 17


def message(kind: int, index: int, family: int = socket.AF_UNSPEC, attributes: bytes = b"") -> bytes:
    body = struct.pack("=BxHiII", family, 1, index, 0, 0) + attributes
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body


def test_links_that_are_gone() -> None:
    data = message(NEWLINK, 3) + message(DELLINK, 4, attributes=b"x" * 8) + message(DELLINK, 5)
    assert removed_links(data) == [4, 5]


def test_a_port_that_leaves_its_bridge_is_not_gone() -> None:
    assert removed_links(message(DELLINK, 4, family=socket.AF_BRIDGE)) == []


def test_damaged_messages_end_it() -> None:
    assert removed_links(b"") == []
    assert removed_links(bytes(64)) == []
    assert removed_links(message(DELLINK, 4)[:20]) == []
