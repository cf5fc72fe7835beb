"""How users write addresses, containers, names, peers and places to listen."""

from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tulle.api.addresses import (
    AutoAddress,
    ManualAddress,
    parse_interface,
    parse_ip,
    parse_spec,
    parse_subnet,
)
from tulle.api.containers import ContainerRef, parse_container
from tulle.api.listen import TcpAddress, UnixAddress, parse_listen, parse_tcp
from tulle.api.names import check_ident, check_name, check_target, in_domain
from tulle.errors import UserError

ONE = IPv4Interface("10.2.1.1/24")
HOME = IPv4Address("127.0.0.1")

RIGHT: list[tuple[Callable[[str], Any], str, Any]] = [
    (parse_spec, "10.2.1.1/24", ManualAddress(ONE)),
    (parse_spec, "ip:10.2.1.1/24", ManualAddress(ONE)),
    (parse_spec, "ip:10.2.1.1/32", ManualAddress(IPv4Interface("10.2.1.1/32"))),
    (parse_spec, "ip:10.2.1.0/31", ManualAddress(IPv4Interface("10.2.1.0/31"))),
    (parse_spec, "net:10.2.1.0/24", AutoAddress(IPv4Network("10.2.1.0/24"))),
    (parse_spec, "net:default", AutoAddress()),
    (parse_container, "web_1.x", ContainerRef("web_1.x", "", None)),
    (parse_container, "3f2a", ContainerRef("3f2a", "", None)),
    (parse_container, "netns:web", ContainerRef("netns:web", "/run/netns/web", "web")),
    (parse_container, "/run/netns/web", ContainerRef("netns:web", "/run/netns/web", "web")),
    (parse_container, "/var/run/netns/web", ContainerRef("netns:web", "/run/netns/web", "web")),
    (parse_container, "netns:/run//netns/./web", ContainerRef("netns:web", "/run/netns/web", "web")),
    (parse_container, "/proc/12/ns/net", ContainerRef("netns:/proc/12/ns/net", "/proc/12/ns/net", None)),
    (parse_container, "pid:0012", ContainerRef("pid:12", "/proc/12/ns/net", None)),
    (parse_listen, "127.0.0.1:6784", TcpAddress(HOME, 6784)),
    (parse_listen, ":80", TcpAddress(IPv4Address("0.0.0.0"), 80)),
    (parse_listen, "/run/x.sock", UnixAddress("/run/x.sock")),
    (parse_listen, "unix:///run/x.sock", UnixAddress("/run/x.sock")),
    (check_name, "web", "web"),
    (check_name, "a_b.Example.com.", "a_b.Example.com."),
    (check_target, "10.0.0.7", "10.0.0.7"),
    (check_target, "10.0.0.7:7000", "10.0.0.7:7000"),
    (check_target, "host-2.example:6783", "host-2.example:6783"),
    (check_ident, "netns:/x y", "netns:/x y"),
]


@pytest.mark.parametrize(("parse", "text", "value"), RIGHT)
def test_right(parse: Callable[[str], Any], text: str, value: Any) -> None:
    assert parse(text) == value


WRONG: list[tuple[Callable[[str], Any], str]] = [
    *[
        (parse_spec, text)
        for text in ("", "ip:", "net:", "net:def", "ip:default", "mac:1", "10.2.1.1", "ip:fe80::1/64")
    ],
    *[
        (parse_interface, text)
        for text in ("10.2.1.1/", "10.2.1.1/024x", "10.2.1.1/255.0.0.0", "10.2.1.1/٣", "1/8")
    ],
    *[
        (parse_interface, text)
        for text in ("10.2.1.0/24", "10.2.1.255/24", "0.0.0.0/32", "239.0.0.1/32", "127.0.0.1/8")
    ],
    *[(parse_subnet, text) for text in ("10.2.1.1/24", "10.2.1.0", "x/24")],
    *[(parse_ip, text) for text in ("", "10.2.1", "010.2.1.1", "10.2.1.1/32", "::1")],
    *[
        (parse_container, text)
        for text in ("", "we b", "-web", "netns:", "netns:.", "netns:a/b", "pid:", "pid:-1", "pid:4194305")
    ],
    *[(parse_container, text) for text in ("/", "//", "netns:a\nb", "/x\0", "netns:" + "x" * 256)],
    *[
        (parse_listen, text)
        for text in ("", "80", ":", ":0", ":65536", "host:80", "1.2.3.4", "[::1]:80", "/" + "x" * 107)
    ],
    *[
        (check_name, text)
        for text in ("", ".", "a..b", "-a", "a-", "ä", "a b", "x" * 64, ".".join(["abcdefgh"] * 30))
    ],
    *[
        (check_target, text)
        for text in ("", ":", "h:", "h:0", "h:65536", "h:x", "1.2.3", "0.0.0.0", "::1", "a b", "h/x")
    ],
    *[(check_ident, text) for text in ("", "a\nb", "x" * 256)],
]


@pytest.mark.parametrize(
    ("parse", "text"), WRONG, ids=[f"{row[0].__name__} {row[1][:20]!r}" for row in WRONG]
)
def test_wrong(parse: Callable[[str], Any], text: str) -> None:
    with pytest.raises(UserError) as caught:
        parse(text)
    assert "\n" not in str(caught.value)
    assert caught.value.status == 400


@given(st.text(max_size=30), st.sampled_from(["", "ip:", "net:", "pid:", "netns:", ":", "/", "10.0.0."]))
def test_nothing_fails_in_any_other_way(text: str, prefix: str) -> None:
    for parse in dict.fromkeys(row[0] for row in WRONG):
        try:
            parse(prefix + text)
        except UserError as error:
            assert len(str(error)) < 1000  # noqa: PT017 - every outcome is fine, but not every text


def test_specs_are_written_back_as_they_are_read() -> None:
    for text in ("ip:10.2.1.1/24", "net:10.2.1.0/24", "net:default"):
        assert str(parse_spec(text)) == text


def test_a_default_port_may_be_left_out() -> None:
    assert parse_tcp("127.0.0.1", 53) == TcpAddress(HOME, 53)
    assert parse_tcp("127.0.0.1:5353", 53) == TcpAddress(HOME, 5353)
    assert str(parse_tcp(":5353", 53)) == "0.0.0.0:5353"
    assert parse_tcp("127.0.0.1", 53).local_only
    assert not parse_tcp(":53", 53).local_only


@pytest.mark.parametrize(
    ("name", "inside"),
    [
        ("web.tulle.internal", True),
        ("WEB.Tulle.Internal.", True),
        ("tulle.internal", True),
        ("atulle.internal", False),
    ],
)
def test_names_inside_the_domain(name: str, inside: bool) -> None:
    assert in_domain(name, "tulle.internal.") is inside
