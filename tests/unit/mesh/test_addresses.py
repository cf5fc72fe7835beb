"""Addresses as people write them and as gossip tells them."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from tulle.errors import UserError
from tulle.mesh.addresses import Target, format_address, parse_address, parse_target


@pytest.mark.parametrize(
    ("text", "host", "port", "literal"),
    [
        ("10.0.0.1", "10.0.0.1", None, True),
        (" 10.0.0.1:99 ", "10.0.0.1", 99, True),
        ("[2001:DB8::1]:99", "2001:db8::1", 99, True),
        ("[::1]", "::1", None, True),
        ("2001:db8::1", "2001:db8::1", None, True),
        ("::ffff:10.0.0.1", "10.0.0.1", None, True),
        ("host-7.example.org:6783", "host-7.example.org", 6783, False),
        ("my_host", "my_host", None, False),
        ("host.", "host.", None, False),
    ],
)
def test_targets(text: str, host: str, port: int | None, literal: bool) -> None:
    target = parse_target(text)
    assert target == Target(text.strip(), host, port)
    assert target.is_literal is literal


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        ":6783",
        "10.0.0.1:",
        "10.0.0.1:0",
        "10.0.0.1:65536",
        "host:port",
        "[::1",
        "[::1]6783",
        "a b",
        "1.2.3.4.5",
        "10.0.0.256",
        "-x",
        "a..b",
        "host:1:2",
        "fe80::g",
        "http://x",
        "host:+5",
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    ],
)
def test_bad_targets_are_refused_in_one_line(text: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_target(text)
    assert repr(text) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("10.0.0.1:6783", ("10.0.0.1", 6783)),
        ("[2001:db8::1]:1", ("2001:db8::1", 1)),
        ("[::ffff:10.0.0.1]:1", ("10.0.0.1", 1)),
        ("10.0.0.1", None),
        ("host:6783", None),
        ("10.0.0.1:0", None),
        ("10.0.0.1:99999", None),
        ("10.0.0.1:x", None),
        ("", None),
    ],
)
def test_gossiped_addresses(text: str, address: tuple[str, int] | None) -> None:
    assert parse_address(text) == address


@given(st.ip_addresses().map(str), st.integers(1, 65535))
def test_formatted_addresses_read_back(ip: str, port: int) -> None:
    read = parse_address(format_address((ip, port)))
    assert read is not None
    assert parse_address(format_address(read)) == read
    assert read[1] == port


@given(st.text(max_size=40))
def test_any_text_is_an_address_or_not(text: str) -> None:
    parse_address(text)
