"""Containers joined to the bridge: what they get, what is refused, and what is left behind."""

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Interface

import pytest

from lab import wait_until
from lab.container import Container as Space
from lab.namespace import Namespace
from lab.namespace import run as command
from netns.support import MAC, Run, has_filter_hooks, link, setting, shown
from tulle.errors import UserError
from tulle.host import veth
from tulle.host.attachments import list_attached
from tulle.host.bridge import Bridge
from tulle.host.container import Container, exists, find_container
from tulle.host.veth import Wiring, attach, detach

ONE, TWO, OTHER = (IPv4Interface(text) for text in ("10.32.0.1/12", "10.32.0.2/12", "10.99.0.1/24"))


@pytest.fixture
def target(run: Run, container: Space) -> Container:
    return run(find_container(container.reference))


def ports(host: Namespace) -> list[str]:
    return [seen["ifname"] for seen in shown(host, "link") if seen.get("master") == "tulle"]


def routes(container: Space) -> set[str]:
    return {route["dst"] for route in shown(container, "route")}


def test_the_container_gets_its_interface(
    host: Namespace, run: Run, container: Space, target: Container, wiring: Wiring
) -> None:
    made = run(attach(target, [ONE], wiring))
    inner, outer = link(container, "tulle0"), link(host, made.host_name)
    assert made.addresses == (ONE,)
    assert container.addresses() == [ONE]
    assert inner["address"] == made.mac
    assert inner["mtu"] == outer["mtu"] == 1376
    assert inner["operstate"] == outer["operstate"] == "UP"
    assert outer["ifindex"] == made.host_index
    assert outer["master"] == "tulle"
    assert container.pings("169.254.53.53")


def test_a_port_has_the_hooks_of_programs_before_it_is_up(
    host: Namespace, run: Run, target: Container, wiring: Wiring, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given to a link that carries frames already, they would cost some of these."""
    up: list[bool] = []
    make = veth.netlink.early_filter_hooks

    def made(index: int) -> veth.Request:
        up.append("UP" in link(host, veth.host_name(target, "tulle0"))["flags"])
        return make(index)

    monkeypatch.setattr(veth.netlink, "early_filter_hooks", made)
    for _ in range(2):
        attached = run(attach(target, [ONE], wiring))
    assert has_filter_hooks(host, attached.host_name)
    assert up == [False]


def test_two_containers_reach_each_other(
    run: Run, make_container: Callable[[], Space], wiring: Wiring
) -> None:
    one, two = make_container(), make_container()
    for space, address in ((one, ONE), (two, TWO)):
        run(attach(run(find_container(space.reference)), [address], wiring))
    assert one.pings(TWO.ip)


def test_the_resolver_answers_any_subnet_under_strict_reverse_path_filtering(
    host: Namespace, run: Run, container: Space, target: Container, wiring: Wiring
) -> None:
    """Even where the host has another route to the container's subnet."""
    host.ip("link add elsewhere type veth peer name far", "link set elsewhere up", "link set far up")
    host.ip("addr add 172.16.0.1/24 dev elsewhere", "route add 10.99.0.0/16 via 172.16.0.2")
    for space in (host, container):
        space.run("sysctl", "-qw", "net.ipv4.conf.all.rp_filter=1", "net.ipv4.conf.default.rp_filter=1")
    run(attach(target, [OTHER], wiring))
    assert container.pings("169.254.53.53")


def test_the_container_never_asks_who_has_the_resolver(
    run: Run, container: Space, target: Container, wiring: Wiring
) -> None:
    run(attach(target, [ONE], wiring))
    assert [(seen["dst"], seen["lladdr"], seen["state"]) for seen in shown(container, "-4", "neigh")] == [
        ("169.254.53.53", MAC, ["PERMANENT"])
    ]


def test_router_advertisements_are_not_believed(
    host: Namespace, run: Run, container: Space, target: Container, wiring: Wiring
) -> None:
    made = run(attach(target, [ONE], wiring))
    assert setting(container, "ipv6/conf/tulle0/accept_ra") == "0"
    assert setting(container, "ipv6/conf/tulle0/accept_redirects") == "0"
    assert setting(host, f"ipv6/conf/{made.host_name}/accept_ra") == "0"
    assert setting(host, f"ipv6/conf/{made.host_name}/disable_ipv6") == "1"


def test_ipv6_is_there_unless_the_container_has_turned_it_off(
    run: Run, make_container: Callable[[], Space], wiring: Wiring
) -> None:
    willing, unwilling = make_container(), make_container()
    unwilling.run("sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1")
    for space, address in ((willing, ONE), (unwilling, TWO)):
        run(attach(run(find_container(space.reference)), [address], wiring))
    assert "fe80:" in willing.run("ip", "-6", "address", "show", "dev", "tulle0").stdout
    assert unwilling.run("ip", "-6", "address", "show", "dev", "tulle0").stdout == ""


def test_multicast_has_a_route_unless_told_otherwise(
    run: Run, make_container: Callable[[], Space], wiring: Wiring
) -> None:
    with_route, without = make_container(), make_container()
    run(attach(run(find_container(with_route.reference)), [ONE], wiring))
    silent = replace(wiring, multicast_route=False)
    run(attach(run(find_container(without.reference)), [TWO], silent))
    assert "224.0.0.0/4" in routes(with_route)
    assert "224.0.0.0/4" not in routes(without)


def test_a_multicast_route_of_the_containers_own_is_left_alone(
    run: Run, container: Space, target: Container, wiring: Wiring
) -> None:
    container.ip("link add own type veth peer name own2", "link set own up")
    container.ip("route add 224.0.0.0/4 dev own")
    run(attach(target, [ONE], wiring))
    kept = [route["dev"] for route in shown(container, "route") if route["dst"] == "224.0.0.0/4"]
    assert kept == ["own"]


def test_attaching_again_adds_and_keeps(
    host: Namespace, run: Run, container: Space, target: Container, wiring: Wiring
) -> None:
    first = run(attach(target, [ONE], wiring))
    again = run(attach(target, [ONE, OTHER], wiring))
    assert again == replace(first, addresses=(ONE, OTHER))
    assert container.addresses() == [ONE, OTHER]
    assert run(attach(target, [], wiring)) == again
    assert len(ports(host)) == 1


def test_attaching_again_repairs(
    host: Namespace, run: Run, container: Space, target: Container, wiring: Wiring
) -> None:
    made = run(attach(target, [ONE], wiring))
    host.ip(f"link set {made.host_name} nomaster down")
    container.ip("link set tulle0 down", "addr flush dev tulle0", "neigh flush dev tulle0 nud permanent")
    run(attach(target, [ONE], wiring))
    assert container.pings("169.254.53.53")


def test_attaching_again_brings_another_mtu(
    host: Namespace, run: Run, container: Space, target: Container, wiring: Wiring
) -> None:
    run(attach(target, [ONE], wiring))
    made = run(attach(target, [ONE], replace(wiring, mtu=1300)))
    assert link(container, "tulle0")["mtu"] == link(host, made.host_name)["mtu"] == 1300


def test_detaching_an_address_keeps_the_others(
    run: Run, container: Space, target: Container, wiring: Wiring
) -> None:
    """Also when the first goes, whose removal would take the rest of its subnet along."""
    run(attach(target, [ONE, TWO], wiring))
    assert run(detach(target, [ONE, OTHER], wiring)) == (ONE,)
    assert container.addresses() == [TWO]


def test_detaching_the_last_address_removes_the_interface(
    host: Namespace, run: Run, container: Space, target: Container, wiring: Wiring
) -> None:
    run(attach(target, [ONE], wiring))
    assert run(detach(target, [ONE], wiring)) == (ONE,)
    assert ports(host) == []
    assert [seen["ifname"] for seen in shown(container, "link")] == ["lo"]


def test_detaching_everything_or_nothing(run: Run, target: Container, wiring: Wiring) -> None:
    assert run(detach(target, None, wiring)) == ()
    run(attach(target, [ONE, OTHER], wiring))
    assert run(detach(target, None, wiring)) == (ONE, OTHER)


def test_detaching_a_dead_container_is_no_error(
    run: Run, container: Space, target: Container, wiring: Wiring
) -> None:
    run(attach(target, [ONE], wiring))
    container.delete()
    assert run(detach(target, None, wiring)) in ((), (ONE,))


def test_a_foreign_interface_of_the_same_name_is_left_alone(
    host: Namespace, run: Run, container: Space, target: Container, wiring: Wiring
) -> None:
    container.ip("link add tulle0 type veth peer name other")
    with pytest.raises(UserError, match="interface tulle0 that was not made here") as refused:
        run(attach(target, [ONE], wiring))
    assert refused.value.status == 409
    assert ports(host) == []
    assert container.addresses() == []


def test_an_interface_renamed_inside_is_said(
    run: Run, container: Space, target: Container, wiring: Wiring
) -> None:
    run(attach(target, [ONE], wiring))
    container.ip("link set tulle0 down", "link set tulle0 name mine")
    with pytest.raises(UserError, match="renamed or moved"):
        run(attach(target, [TWO], wiring))


def test_a_container_that_is_gone_leaves_nothing(
    host: Namespace, run: Run, container: Space, target: Container, wiring: Wiring
) -> None:
    container.delete()
    with pytest.raises(UserError) as refused:
        run(attach(target, [ONE], wiring))
    assert refused.value.status == 404
    assert ports(host) == []


def test_a_new_container_of_the_same_name_is_not_mistaken_for_the_old(
    run: Run, container: Space, target: Container, wiring: Wiring
) -> None:
    container.delete()
    container.create()
    with pytest.raises(UserError, match="another container now") as refused:
        run(attach(target, [ONE], wiring))
    assert refused.value.status == 404
    assert container.addresses() == []


def test_a_container_that_vanishes_midway_leaves_nothing(
    host: Namespace,
    run: Run,
    container: Space,
    target: Container,
    wiring: Wiring,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write = veth.sysctl.write

    def vanish(settings: dict[str, str]) -> None:
        container.delete()
        write(settings)

    monkeypatch.setattr(veth.sysctl, "write", vanish)
    with pytest.raises(UserError, match="is gone"):
        run(attach(target, [ONE], wiring))
    assert ports(host) == []


def test_a_refusal_by_the_kernel_leaves_nothing(
    host: Namespace, run: Run, target: Container, wiring: Wiring
) -> None:
    """An MTU too small for IPv4: the pair can be made, but takes no address."""
    with pytest.raises(UserError, match="the kernel says"):
        run(attach(target, [ONE], replace(wiring, mtu=60)))
    assert ports(host) == []


def test_without_a_bridge_nothing_is_attached(run: Run, target: Container) -> None:
    with pytest.raises(UserError, match="there is no bridge tulle") as refused:
        run(attach(target, [ONE], Wiring("tulle")))
    assert refused.value.status == 503


def test_the_kernels_list_of_attachments(
    host: Namespace, run: Run, make_container: Callable[[], Space], wiring: Wiring, bridge: Bridge
) -> None:
    """As a daemon finds it after a restart: with ident, reference and addresses; foreign ports left out."""
    host.ip("link add stranger type veth peer name far", "link set stranger master tulle")
    made = []
    for number, space in enumerate((make_container(), make_container())):
        target = run(find_container(space.reference, ident=f"ident{number}" if number else None))
        made.append(run(attach(target, [ONE, OTHER] if number else [TWO], wiring)))
    assert run(list_attached(bridge.name)) == made
    assert made[1].container.ident == "ident1"


def test_the_list_survives_the_loss_of_the_name(
    run: Run, container: Space, target: Container, wiring: Wiring
) -> None:
    """A namespace lives on in a process after its file is gone; its attachment is still known in full."""
    made = run(attach(target, [ONE], wiring))
    process = container.start("sleep", "60")
    wait_until(lambda: process.pid in container.pids())
    try:
        command(["ip", "netns", "delete", container.name])
        assert run(list_attached("tulle")) == [made]
        assert not run(exists(target))
    finally:
        process.kill()
        process.wait()


def test_names_of_host_ends_are_stable_and_distinct(target: Container) -> None:
    other = replace(target, namespace=target.namespace + "0")
    names = {veth.host_name(one, name) for one in (target, other) for name in ("tulle0", "ethwe")}
    assert len(names) == 4
    assert all(len(name) <= 15 for name in names)
    assert veth.host_name(replace(target, reference="pid:1", ident="x"), "tulle0") in names
