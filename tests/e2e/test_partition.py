"""The promise of the design: during a partition every host allocates, attaches, registers and resolves."""

from ipaddress import IPv4Address

import pytest

from lab import Host, Lab, wait_until


def live(host: Host, tag: str) -> set[IPv4Address]:
    """All that a user may want of a host, with results checked: allocate, attach, register, resolve."""
    status, text = host.http("POST", f"/ip/{tag}-by-api")
    assert status == 200, text
    allocated = IPv4Address(text.strip().partition("/")[0])
    attached = host.attach(host.container(f"{tag}-box"), "--hostname", f"{tag}-{host.short}").ip
    host.tulle("dns-add", "192.0.2.1", "-h", f"{tag}-extra-{host.short}.tulle.internal")
    assert host.knows(f"{tag}-{host.short}") == {attached}
    assert host.knows(f"{tag}-extra-{host.short}") == {IPv4Address("192.0.2.1")}
    return {allocated, attached}


@pytest.mark.timeout(240)
def test_one_of_five_is_cut_off_and_nothing_clashes(lab: Lab) -> None:
    hosts = lab.network(5, "--ipalloc-init", "consensus=5")
    found = [address for host in hosts for address in live(host, "before")]
    alone, rest = hosts[0], hosts[1:]
    lab.partition([alone], rest)
    found += [address for host in hosts for address in live(host, "during")]
    wait_until(lambda: rest[0].knows(f"during-{rest[-1].short}"), what="news within the majority")
    assert not alone.knows(f"during-{rest[0].short}")
    lab.heal()
    lab.wait_connected(hosts, 90)
    found += [address for host in hosts for address in live(host, "after")]
    assert len(set(found)) == len(found) == 30
    names = [f"during-{host.short}" for host in hosts]
    for host in hosts:
        wait_until(lambda host=host: all(host.knows(name) for name in names), 40, "all names are everywhere")


def test_a_container_reaches_its_side_during_and_all_after(lab: Lab) -> None:
    one, two, three = lab.network(3)
    boxes = {host: host.container("box") for host in (one, two, three)}
    addresses = {host: host.attach(box).ip for host, box in boxes.items()}
    wait_until(lambda: boxes[one].pings(addresses[three]))
    lab.partition([one, two], [three])
    assert boxes[one].pings(addresses[two])
    assert not boxes[one].pings(addresses[three], wait=1)
    lab.heal()
    wait_until(lambda: boxes[one].pings(addresses[three]), 60, "the ping across is back")
