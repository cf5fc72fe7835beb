"""Containers and rules that vanish at the wrong moment."""

from lab import Container, Host, Lab, wait_until


def observer(lab: Lab) -> Host:
    """A host that has to wait for others before it can hand out an address."""
    one = lab.host()
    one.launch("--ipalloc-init", "consensus=3")
    return one


def is_waiting(host: Host) -> bool:
    return "1" in str(host.report()["IPAM"]["PendingAllocates"] and 1)


def test_a_container_dies_while_attach_waits(lab: Lab) -> None:
    one = observer(lab)
    box = one.container("doomed")
    attach = one.start_tulle("attach", box.reference)
    wait_until(lambda: is_waiting(one), what="attach waits for an address")
    box.delete()
    said, _ = attach.communicate(timeout=60)
    assert attach.returncode != 0
    assert "Traceback" not in said
    wait_until(lambda: not is_waiting(one), what="nothing is left waiting")


def test_attach_is_interrupted(lab: Lab) -> None:
    one = observer(lab)
    box = one.container("patient")
    attach = one.start_tulle("attach", box.reference)
    wait_until(lambda: is_waiting(one), what="attach waits for an address")
    attach.terminate()
    attach.communicate(timeout=30)
    wait_until(lambda: not is_waiting(one), what="the request is withdrawn")


def vanished(host: Host, box: Container) -> bool:
    return box.name not in host.view("ps") and box.name not in host.view("dns")


def test_a_namespace_vanishes(lab: Lab) -> None:
    one, two = lab.network(2)
    box = one.container("gone")
    one.attach(box)
    wait_until(lambda: two.knows(box.name), what="its name arrives")
    box.delete()
    wait_until(lambda: vanished(one, box), 90, "its address and name are free")
    wait_until(lambda: not two.knows(box.name), what="its name is gone elsewhere")


def test_rules_come_back_after_a_flush(lab: Lab) -> None:
    (one,) = lab.network(1)
    before = one.run("nft", "list", "tables").stdout
    assert "tulle" in before
    one.nft("flush ruleset")
    wait_until(lambda: one.run("nft", "list", "tables").stdout == before, 60, "the table is back")


def test_a_container_moves_with_its_address(lab: Lab) -> None:
    one, two = lab.network(2)
    client = one.container("client")
    one.attach(client, "10.9.8.1/24")
    first = one.container("first")
    one.attach(first, "10.9.8.7/24")
    wait_until(lambda: client.pings("10.9.8.7"))
    one.tulle("detach", "10.9.8.7/24", first.reference)
    second = two.container("second")
    two.attach(second, "10.9.8.7/24")
    wait_until(lambda: client.pings("10.9.8.7"), 30, "the address is found at its new place")


def test_removing_a_dead_peer_frees_its_share(lab: Lab) -> None:
    one, two = lab.network(2)
    one.attach(one.container("a"))
    two.attach(two.container("b"))
    two.kill()
    wait_until(lambda: "unreachable" in one.view("ipam"), 90, "the loss is noticed")
    one.tulle("rmpeer", two.short)
    assert {entry["Nickname"] for entry in one.report()["IPAM"]["Entries"]} == {one.short}
