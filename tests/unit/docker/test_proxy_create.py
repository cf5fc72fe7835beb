"""What becomes of a request to create a container."""

from ipaddress import IPv4Address
from typing import Any

import pytest

from tulle.api.addresses import AutoAddress, parse_spec
from tulle.api.daemon import DnsService
from tulle.docker.proxy.create import (
    HELPER,
    INSIDE,
    Joining,
    addresses_wanted,
    rewritten,
    rewritten_commit,
    rewritten_host_config,
)
from tulle.docker.proxy.options import ProxyOptions
from tulle.errors import UserError

DNS = DnsService("tulle.internal.", IPv4Address("10.99.0.2"), 53)
BIND = f"/state/wait:{INSIDE}:ro"


def joining(dns: DnsService | None = DNS, **options: Any) -> Joining:
    return Joining(ProxyOptions(**options), "/state/wait", dns, ("corp.example",))


@pytest.mark.parametrize(
    ("asked", "image", "expected"),
    [
        ({"Cmd": ["a"]}, {}, ([HELPER], ["a"])),
        ({"Cmd": "a"}, {}, ([HELPER], ["a"])),
        ({}, {"Cmd": ["c"]}, ([HELPER], ["c"])),
        ({}, {"Entrypoint": ["e"], "Cmd": ["c"]}, ([HELPER, "e"], ["c"])),
        ({"Cmd": ["a"]}, {"Entrypoint": ["e"], "Cmd": ["c"]}, ([HELPER, "e"], ["a"])),
        ({"Entrypoint": ["x"]}, {"Entrypoint": ["e"], "Cmd": ["c"]}, ([HELPER, "x"], None)),
        ({"Entrypoint": "x", "Cmd": ["a"]}, {"Entrypoint": ["e"]}, ([HELPER, "x"], ["a"])),
        ({"Entrypoint": [""], "Cmd": ["a"]}, {"Entrypoint": ["e"], "Cmd": ["c"]}, ([HELPER], ["a"])),
        ({"Entrypoint": [], "Cmd": ["a"]}, {"Entrypoint": ["e"], "Cmd": ["c"]}, ([HELPER], ["a"])),
        ({"Entrypoint": None, "Cmd": None}, {"Entrypoint": ["e"], "Cmd": None}, ([HELPER, "e"], None)),
        ({"entrypoint": ["x"], "CMD": ["a"]}, {"Entrypoint": ["e"]}, ([HELPER, "x"], ["a"])),
        ({"Entrypoint": [HELPER, "x"]}, {}, ([HELPER, "x"], None)),
    ],
)
def test_the_helper_comes_first(asked: Any, image: Any, expected: Any) -> None:
    got = rewritten(asked, image, "", joining())
    assert got is not None
    lower = {key.lower(): value for key, value in got.items()}
    assert (lower["entrypoint"], lower.get("cmd")) == expected
    assert len(lower) == len(got), "a field is there in two spellings"


@pytest.mark.parametrize(
    ("asked", "image"),
    [({}, {}), ({"Cmd": []}, {"Cmd": None}), ({"Entrypoint": [""]}, {"Entrypoint": ["e"], "Cmd": ["c"]})],
)
def test_without_a_command_the_error_is_left_to_the_engine(asked: Any, image: Any) -> None:
    assert rewritten(asked, image, "web", joining()) is None


def test_what_was_asked_for_stays() -> None:
    asked = {"Cmd": ["a"], "Odd": {"x": 1}, "HostConfig": {"Binds": ["/a:/b"], "Memory": 5}}
    got = rewritten(asked, {}, "", joining())
    assert got is not None
    assert (got["Odd"], got["HostConfig"]["Memory"]) == ({"x": 1}, 5)
    assert got["HostConfig"]["Binds"] == ["/a:/b", BIND]
    assert "Binds" in asked["HostConfig"]
    assert asked["HostConfig"]["Binds"] == ["/a:/b"], "the original was changed"


@pytest.mark.parametrize(
    ("host", "servers", "search"),
    [
        ({}, ["10.99.0.2"], ["tulle.internal", "corp.example"]),
        ({"Dns": ["9.9.9.9", "10.99.0.2"]}, ["10.99.0.2", "9.9.9.9"], ["tulle.internal", "corp.example"]),
        ({"DnsSearch": ["mine"]}, ["10.99.0.2"], ["mine"]),
    ],
)
def test_the_resolver_is_ours(host: Any, servers: list[str], search: list[str]) -> None:
    got = rewritten({"Cmd": ["a"], "HostConfig": host}, {}, "web", joining())
    assert got is not None
    assert (got["HostConfig"]["Dns"], got["HostConfig"]["DnsSearch"]) == (servers, search)


ELSEWHERE = DnsService("tulle.internal.", IPv4Address("10.0.0.1"), 5353)


@pytest.mark.parametrize("how", [joining(None), joining(without_dns=True), joining(ELSEWHERE)])
def test_without_a_resolver_of_ours_names_are_left_alone(how: Joining) -> None:
    got = rewritten({"Cmd": ["a"]}, {}, "web", how)
    assert got == {"Cmd": ["a"], "Entrypoint": [HELPER], "HostConfig": {"Binds": [BIND]}}


@pytest.mark.parametrize(
    ("asked", "options", "expected"),
    [
        ({}, {}, ("web-1", "tulle.internal")),
        ({"Hostname": "own"}, {}, ("own", None)),
        ({"Labels": {"host": "labelled"}}, {"hostname_from_label": "host"}, ("labelled", "tulle.internal")),
        ({"Labels": {}}, {"hostname_from_label": "host"}, ("web-1", "tulle.internal")),
        ({}, {"hostname_match": "-[0-9]+$", "hostname_replacement": ""}, ("web", "tulle.internal")),
        ({}, {"hostname_match": "^(w)(eb)", "hostname_replacement": "${2}$1"}, ("ebw-1", "tulle.internal")),
        ({}, {"hostname_match": "(?P<n>1)", "hostname_replacement": "$n$9$$"}, ("web-1$", "tulle.internal")),
        ({}, {"hostname_replacement": "a-$1"}, ("a-web-1", "tulle.internal")),
        ({}, {"hostname_match": "[e-]", "hostname_replacement": "."}, ("w.b.1", "tulle.internal")),
        ({}, {"hostname_match": "nothing"}, ("web-1", "tulle.internal")),
        ({}, {"hostname_replacement": "x" * 70}, (None, None)),
    ],
)  # fmt: skip
def test_host_names(asked: Any, options: Any, expected: Any) -> None:
    got = rewritten({"Cmd": ["a"], **asked}, {}, "web-1", joining(**options))
    assert got is not None
    assert (got.get("Hostname"), got.get("Domainname")) == expected


@pytest.mark.parametrize(
    ("environment", "mode", "no_default", "expected"),
    [
        ([], "", False, ()),
        ([], "default", False, ()),
        ([], "bridge", True, None),
        (["TULLE_CIDR="], "bridge", True, ()),
        (["TULLE_CIDR=none"], "", False, None),
        (["TULLE_CIDR=none", "TULLE_CIDR=net:default"], "none", True, (AutoAddress(),)),
        (["TULLE_CIDR=10.2.1.1/24 net:10.3.0.0/16"], "", True, ("10.2.1.1/24", "net:10.3.0.0/16")),
        (["WEAVE_CIDR=none"], "", False, None),
        (["WEAVE_CIDR=none", "TULLE_CIDR=10.2.1.1/24"], "", False, ("10.2.1.1/24",)),
        (["TULLE_CIDRS=none", "TULLE_CIDR"], "", False, ()),
        (["TULLE_CIDR=10.2.1.1/24"], "host", False, None),
        ([], "container:abc", False, None),
        ([], "mynet", False, None),
    ],
)
def test_addresses(environment: list[str], mode: str, no_default: bool, expected: Any) -> None:
    if expected:
        expected = tuple(parse_spec(word) if isinstance(word, str) else word for word in expected)
    assert addresses_wanted(environment, mode, no_default) == expected


def test_the_image_has_a_say_too() -> None:
    image = {"Cmd": ["c"], "Env": ["TULLE_CIDR=none"]}
    assert rewritten({}, image, "", joining()) is None
    assert rewritten({"Env": ["TULLE_CIDR=net:default"]}, image, "", joining()) is not None


@pytest.mark.parametrize(
    "asked",
    [
        {"Cmd": ["a"], "Env": ["TULLE_CIDR=10.2.1.1"]},
        {"Cmd": ["a"], "Env": "TULLE_CIDR=nonsense"},
        {"Cmd": ["a"], "HostConfig": []},
        {"Cmd": ["a"], "HostConfig": {"Binds": 3}},
        {"Cmd": [3]},
        {"Cmd": ["a"], "Hostname": 3},
        {"Cmd": ["a"], "HostConfig": {"NetworkMode": {}}},
    ],
)
def test_nonsense_is_refused(asked: Any) -> None:
    with pytest.raises(UserError):
        rewritten(asked, {}, "web", joining())


@pytest.mark.parametrize("wrap", [lambda inner: inner, lambda inner: {"HostConfig": inner}])
def test_the_host_config_of_a_start(wrap: Any) -> None:
    expected = {
        "Memory": 5,
        "Binds": [BIND],
        "Dns": ["10.99.0.2"],
        "DnsSearch": ["tulle.internal", "corp.example"],
    }
    assert rewritten_host_config(wrap({"Memory": 5}), joining()) == wrap(expected)


@pytest.mark.parametrize(
    ("asked", "entrypoint", "expected"),
    [
        (None, [HELPER, "e"], {"Env": ["A=b"], "Entrypoint": ["e"], "Cmd": ["c"]}),
        (None, [HELPER], {"Env": ["A=b"], "Entrypoint": [], "Cmd": ["c"]}),
        ({}, [HELPER, "e"], {"Entrypoint": ["e"], "Cmd": ["c"]}),
        ({"Cmd": ["d"]}, [HELPER, "e"], {"Entrypoint": ["e"], "Cmd": ["d"]}),
        ({"Entrypoint": ["f"]}, [HELPER, "e"], {"Entrypoint": ["f"]}),
    ],
)
def test_an_image_of_a_container(asked: Any, entrypoint: list[str], expected: Any) -> None:
    container = {"Env": ["A=b"], "Entrypoint": entrypoint, "Cmd": ["c"]}
    assert rewritten_commit(asked, container) == expected
