"""The host itself in the network, and out again."""

from lab import Host, Lab, wait_until


def exposed_address(host: Host, *arguments: str) -> str:
    return host.tulle("expose", *arguments).split()[0].partition("/")[0]


def test_an_exposed_host_is_reached_and_reaches(pair: list[Host]) -> None:
    one, two = pair
    box = two.container("visitor")
    theirs = two.attach(box).ip
    address = exposed_address(one, "-h", "gate.tulle.internal")
    wait_until(lambda: box.pings(address), what="the container reaches the host")
    assert one.run("ping", "-c", "1", "-W", "5", str(theirs)).returncode == 0
    wait_until(lambda: two.knows("gate"), what="the host has a name")
    one.tulle("hide")
    assert not box.pings(address, wait=1)
    wait_until(lambda: not two.knows("gate"), what="the name is gone")


def test_an_exposed_host_lets_containers_out(lab: Lab) -> None:
    one, outside = lab.make_hosts(2)
    one.launch()
    one.run("sysctl", "-q", "-w", "net.ipv4.ip_forward=1")
    box = one.container("traveller")
    one.attach(box)
    address = exposed_address(one)
    box.ip(f"route add default via {address}")
    assert wait_until(lambda: box.pings(outside.address), what="masqueraded out")


def test_exposed_addresses_survive_the_daemon(lab: Lab) -> None:
    (one,) = lab.network(1)
    box = one.container("box")
    one.attach(box)
    address = exposed_address(one)
    one.kill()
    assert box.pings(address)
    one.relaunch()
    assert box.pings(address)
    assert address in one.tulle("ps")
