from ipaddress import IPv4Address, IPv4Interface
from typing import Any

import pytest

from tulle.host.rules import (
    Exposed,
    FirewallConfig,
    Wanted,
    all_rules,
    change_peers,
    split_peers,
    whole_table,
)

CONFIG = FirewallConfig("tulle", closed_ports=(8080,), resolver=IPv4Address("169.254.53.53"))


def added(commands: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [command["add"][kind] for command in commands if kind in command.get("add", {})]


def comments(config: FirewallConfig, *exposed: Exposed) -> list[str]:
    return [comment for _chain, comment, _ in all_rules(config, Wanted(exposed))]


def test_the_table_replaces_whatever_has_its_name() -> None:
    verbs = [next(iter(command)) for command in whole_table(CONFIG, [], Wanted())[:3]]
    assert verbs == ["add", "delete", "add"]


def test_peers_go_into_the_set_of_their_kind() -> None:
    elements = added(whole_table(CONFIG, ["10.0.0.2", "fd00::1", "10.0.0.1"], Wanted()), "element")
    assert {one["name"]: one["elem"] for one in elements} == {
        "peers4": ["10.0.0.1", "10.0.0.2"],
        "peers6": ["fd00::1"],
    }
    assert added(whole_table(CONFIG, [], Wanted()), "element") == []
    assert split_peers(["fd00::1", "10.0.0.1"]) == {"peers4": ["10.0.0.1"], "peers6": ["fd00::1"]}
    assert split_peers([]) == {}


def test_a_change_of_peers_touches_nothing_else() -> None:
    change = change_peers(CONFIG, "delete", "peers4", {"10.0.0.2", "10.0.0.1"})
    assert change["delete"]["element"]["elem"] == ["10.0.0.1", "10.0.0.2"]


def test_every_rule_is_told_from_the_others_by_its_chain_and_comment() -> None:
    exposed = [Exposed(IPv4Interface("10.32.0.9/12")), Exposed(IPv4Interface("10.99.0.9/24"))]
    names = [rule[:2] for rule in all_rules(CONFIG, Wanted(exposed))]
    assert len(names) == len(set(names))


def test_connections_are_tracked_only_where_something_is_masqueraded() -> None:
    plain = Exposed(IPv4Interface("10.32.0.9/12"), masquerade=False)
    for exposed, tracked in (([], False), ([plain], False), ([Exposed(plain.address)], True)):
        chains = {chain["name"] for chain in added(whole_table(CONFIG, [], Wanted(exposed)), "chain")}
        assert ("postrouting" in chains) is tracked


def test_two_addresses_of_one_subnet_are_masqueraded_once() -> None:
    exposed = [Exposed(IPv4Interface(text)) for text in ("10.32.0.9/12", "10.32.0.10/12")]
    assert comments(CONFIG, *exposed).count("from 10.32.0.0/12") == 1


def test_without_a_resolver_it_needs_no_rules() -> None:
    assert "names" in comments(CONFIG)
    assert "names" not in comments(FirewallConfig("tulle"))


@pytest.mark.parametrize(
    ("port", "closed"), [(6783, {6783, 6784, 6785, 8080}), (7000, {7000, 7001, 7002, 8080})]
)
def test_closed_ports_follow_the_mesh_port(port: int, closed: set[int]) -> None:
    config = FirewallConfig("tulle", port=port, closed_ports=(8080,))
    (rule,) = [rule for _, comment, rule in all_rules(config, Wanted()) if comment == "no control from tulle"]
    assert set(rule[2]["match"]["right"]["set"]) == closed


def test_container_bridges_are_guarded_too() -> None:
    config = FirewallConfig("tulle", guarded=("docker0", "podman0"))
    assert {"no control from docker0", "no control from podman0"} <= set(comments(config))
