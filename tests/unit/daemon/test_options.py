"""Launch options beyond single flags (those are in the tests of ``launch``): defaults, secrets, odd input."""

from ipaddress import IPv4Network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tulle.daemon.bootstrap import Consensus, Observer, Seed, parse_bootstrap
from tulle.daemon.options import PARSERS, SWITCHES, FlagError, LaunchOptions, parse_options
from tulle.errors import UserError


def test_defaults_are_the_originals() -> None:
    options = parse_options({})
    assert options == LaunchOptions()
    assert (options.port, options.conn_limit, options.mtu, options.dns_ttl) == (6783, 200, 1376, 1)
    assert options.default_subnet == options.ipalloc_range == IPv4Network("10.32.0.0/12")
    assert options.ipalloc_init == Consensus()
    assert options.log_path == "/var/lib/tulle/tulle.log"


def test_the_password_is_not_in_what_may_be_logged() -> None:
    assert "wabbit" not in repr(parse_options({"password": "wabbit"}))


def test_none_means_not_given() -> None:
    assert parse_options(dict.fromkeys([*PARSERS, *SWITCHES, "peers"])) == LaunchOptions()


def test_an_empty_range_turns_allocation_off() -> None:
    options = parse_options({"ipalloc_range": ""})
    assert options.ipalloc_range is None
    assert options.default_subnet is None


def test_the_default_subnet_goes_before_the_range() -> None:
    options = parse_options({"ipalloc_range": "10.2.0.0/16", "ipalloc_default_subnet": "10.2.3.0/24"})
    assert options.default_subnet == IPv4Network("10.2.3.0/24")


def test_peers_are_kept_in_order_and_once() -> None:
    assert parse_options({"peers": ["h2", "h3", "h2"]}).peers == ("h2", "h3")


@pytest.mark.parametrize(
    ("text", "value"), [("1", True), ("Yes", True), ("off", False), (False, False), (True, True)]
)
def test_switches(text: str | bool, value: bool) -> None:
    assert parse_options({"no_dns": text}).no_dns is value


@pytest.mark.parametrize("prefix", range(8, 30))
def test_ranges_of_every_size(prefix: int) -> None:
    assert parse_options({"ipalloc_range": f"10.0.0.0/{prefix}"}).ipalloc_range == IPv4Network(
        f"10.0.0.0/{prefix}"
    )


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("consensus", Consensus()),
        ("consensus=3", Consensus(3)),
        ("seed=::1, 02:00:00:00:00:02", Seed((1, 0x020000000002))),  # type: ignore[arg-type]
        ("observer", Observer()),
    ],
)
def test_ways_to_start(text: str, mode: object) -> None:
    assert parse_bootstrap(text) == mode


def test_a_flag_that_does_not_exist() -> None:
    with pytest.raises(FlagError, match="--no-such-flag: there is no such flag"):
        parse_options({"no_such_flag": "1"})


def test_one_port_on_several_addresses() -> None:
    flags = {"host": "10.0.0.1", "http_addr": "127.0.0.1:6783", "status_addr": "10.0.0.2:6783"}
    assert str(parse_options(flags).http_addr) == "127.0.0.1:6783"
    with pytest.raises(FlagError, match="is taken by --http-addr"):
        parse_options({**flags, "metrics_addr": ":6783", "host": "10.0.0.1", "port": "1"})


@given(st.dictionaries(st.sampled_from([*PARSERS, *SWITCHES]), st.text(max_size=20)))
def test_no_values_whatever_fail_in_any_other_way(flags: dict[str, Any]) -> None:
    try:
        options = parse_options(flags)
    except UserError as error:
        assert str(error).startswith("--")  # noqa: PT017 - every outcome is fine, but not every text
    else:
        assert isinstance(options, LaunchOptions)
