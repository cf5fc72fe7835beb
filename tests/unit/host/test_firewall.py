import struct

import pytest

from tulle.host.firewall import _plain, adds_to_forwarding, changes_base_chain, removes_from

DELTABLE, DELRULE, NEWRULE, NEWCHAIN = 0x0A02, 0x0A08, 0x0A06, 0x0A03
HOOK = 4


def attribute(kind: int, content: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(content), kind) + content + bytes(-len(content) % 4)


def message(kind: int, table: str, family: int = 1, more: bytes = b"") -> bytes:
    body = bytes([family, 0, 0, 1]) + attribute(1, table.encode() + b"\0") + more
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body


@pytest.mark.parametrize("kind", [DELTABLE, DELRULE])
def test_removals_in_our_table_are_seen(kind: int) -> None:
    assert removes_from(message(kind, "tulle"), "tulle")
    assert removes_from(message(NEWRULE, "x") + message(kind, "other") + message(kind, "tulle"), "tulle")


@pytest.mark.parametrize(
    "data",
    [
        message(NEWRULE, "tulle"),
        message(DELRULE, "tulle2"),
        message(DELRULE, "tull"),
        message(DELRULE, "tulle", family=2),
        b"",
        bytes(100),
        message(DELRULE, "tulle")[:20],
    ],
)
def test_everything_else_is_not_ours(data: bytes) -> None:
    assert not removes_from(data, "tulle")


def test_hooked_chains_of_anybody_are_seen() -> None:
    hooked = message(NEWCHAIN, "filter", family=2, more=attribute(HOOK | 0x8000, bytes(8)))
    assert changes_base_chain(message(NEWRULE, "x") + hooked)
    assert not changes_base_chain(message(NEWCHAIN, "filter"))
    assert not changes_base_chain(message(NEWRULE, "x", more=attribute(HOOK, bytes(8))))
    assert not changes_base_chain(bytes(50))


def test_rules_for_what_is_passed_on_are_seen() -> None:
    forward, other = attribute(2, b"FORWARD\0"), attribute(2, b"FORWARDER\0")
    assert adds_to_forwarding(message(NEWRULE, "filter", family=2, more=forward))
    assert not adds_to_forwarding(message(NEWRULE, "filter", family=2, more=other))
    assert not adds_to_forwarding(message(DELRULE, "filter", family=2, more=forward))
    assert not adds_to_forwarding(bytes(50))


@pytest.mark.parametrize(
    ("address", "plain"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("FD00:0::1", "fd00::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
    ],
)
def test_addresses_are_written_as_nft_writes_them(address: str, plain: str) -> None:
    assert _plain(address) == plain


def test_what_is_no_address_is_refused() -> None:
    with pytest.raises(ValueError):
        _plain("peer.example")
