import socket
import struct

from tulle.host.bypass import joined_links

NEWLINK, DELLINK = 16, 17
NAME, MASTER = 3, 10
BRIDGE = 7


def attribute(kind: int, content: bytes) -> bytes:
    padding = bytes(-len(content) % 4)
    return struct.pack("=HH", 4 + len(content), kind) + content + padding


def message(
    index: int, name: str, master: int | None = BRIDGE, kind: int = NEWLINK, family: int = socket.AF_UNSPEC
) -> bytes:
    body = struct.pack("=BxHiII", family, 1, index, 0, 0) + attribute(NAME, name.encode() + b"\0")
    if master is not None:
        body += attribute(MASTER, struct.pack("=I", master))
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body


def test_containers_ports_that_joined() -> None:
    data = message(3, "tl0123456789ab") + message(4, "teffffffffffff")
    assert list(joined_links(data, BRIDGE)) == [3, 4]


def test_what_is_no_port_of_a_container_here() -> None:
    others = [
        message(3, "tl0123456789ab", master=8),
        message(4, "tl0123456789ab", master=None),
        message(5, "tulle-vx"),
        message(6, "tl0123456789"),
        message(8, "tl0123456789ab", kind=DELLINK),
        message(9, "tl0123456789ab", family=socket.AF_BRIDGE),
    ]
    assert list(joined_links(b"".join(others), BRIDGE)) == []


def test_damaged_messages_end_it() -> None:
    assert list(joined_links(bytes(64), BRIDGE)) == []
    assert list(joined_links(message(3, "tl0123456789ab")[:24], BRIDGE)) == []
