"""Endpoints: pairs of which an engine takes one end, found again by whoever comes next."""

from dataclasses import replace
from ipaddress import IPv4Interface

import pytest

from lab.container import Container as Space
from lab.namespace import Namespace
from netns.support import Run, has_filter_hooks, link, setting, shown
from tulle.errors import UserError
from tulle.host import endpoints
from tulle.host.bridge import Bridge
from tulle.host.endpoints import Endpoint

ONE = Endpoint("a1" * 32, "f" * 64, IPv4Interface("10.32.0.1/12"), "02:00:00:00:00:11", "tulle")


def test_a_pair_is_made_taken_and_removed(
    run: Run, host: Namespace, bridge: Bridge, container: Space
) -> None:
    run(endpoints.create(ONE, 1300))
    outer, inner = link(host, ONE.outer), link(host, ONE.inner)
    assert (outer["master"], outer["mtu"], inner["mtu"]) == ("tulle", 1300, 1300)
    assert inner["address"] == ONE.mac
    assert setting(host, f"ipv6/conf/{ONE.outer}/disable_ipv6") == "1"
    assert has_filter_hooks(host, ONE.outer)
    (found,) = run(endpoints.list_endpoints("tulle"))
    assert (found.endpoint, found.taken, found.joined) == (ONE, False, True)

    host.ip(f"link set {ONE.inner} netns {container.name}")
    joined = replace(ONE, sandbox="/var/run/docker/netns/0123456789ab")
    run(endpoints.describe(joined))
    (found,) = run(endpoints.list_endpoints("tulle"))
    assert (found.endpoint, found.taken) == (joined, True)

    run(endpoints.remove(ONE.ident))
    run(endpoints.remove(ONE.ident))
    run(endpoints.create(ONE, 1300))
    run(endpoints.remove_all("weave"))
    assert run(endpoints.list_endpoints("weave")) == []
    assert len(run(endpoints.list_endpoints("tulle"))) == 1
    run(endpoints.remove_all("tulle"))
    assert run(endpoints.list_endpoints("tulle")) == []


def test_a_pair_that_is_there_is_replaced(run: Run, host: Namespace, bridge: Bridge) -> None:
    run(endpoints.create(ONE, 1300))
    other = replace(ONE, mac="02:00:00:00:00:22")
    run(endpoints.create(other, 1200))
    assert link(host, ONE.inner)["address"] == other.mac


def test_a_retired_pair_is_nobodys_and_goes_at_the_next_start(
    run: Run, host: Namespace, bridge: Bridge
) -> None:
    run(endpoints.retire(ONE))
    run(endpoints.create(ONE, 1300))
    run(endpoints.retire(ONE))
    assert run(endpoints.list_endpoints("tulle")) == []
    run(endpoints.remove_retired("weave"))
    assert link(host, ONE.outer)["master"] == "tulle"
    run(endpoints.remove_retired("tulle"))
    assert ONE.outer not in [one["ifname"] for one in shown(host, "link")]


def test_a_new_bridge_is_joined(run: Run, host: Namespace, bridge: Bridge) -> None:
    run(endpoints.create(ONE, 1300))
    host.ip(f"link set {ONE.outer} nomaster")
    (found,) = run(endpoints.list_endpoints("tulle"))
    assert not found.joined
    run(endpoints.join_again(found))
    assert link(host, ONE.outer)["master"] == "tulle"
    host.ip(f"link set {ONE.outer} nomaster")
    assert run(endpoints.join_all_again("tulle")) == []
    assert link(host, ONE.outer)["master"] == "tulle"
    host.ip("link del tulle")
    (refused,) = run(endpoints.join_all_again("tulle"))
    assert "no bridge" in str(refused)


def test_without_a_bridge_nothing_is_made(run: Run, host: Namespace) -> None:
    with pytest.raises(UserError, match="no bridge"):
        run(endpoints.create(ONE, 1300))
    assert run(endpoints.list_endpoints("tulle")) == []


@pytest.mark.parametrize(
    "alias", [None, "", "mine", "tulle-endpoint", "tulle-endpoint a b c d e f", f"{ONE.alias} more"]
)
def test_the_alias_of_something_else_is_no_endpoint(alias: str | None) -> None:
    assert endpoints.from_alias(alias) is None
