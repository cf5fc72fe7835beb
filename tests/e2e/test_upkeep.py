"""Interfaces that somebody removes under a running daemon, or while none runs, are made again."""

import json

import pytest

from lab import Host, Lab, wait_until


def two_boxes(lab: Lab) -> tuple[Host, Host]:
    one, two = lab.network(2)
    here, there = one.container("here"), two.container("there")
    one.attach(here)
    two.attach(there)
    one.tulle("expose", "10.33.0.1/12")
    wait_until(lambda: one.knows(there.name), what="the name arrives")
    return one, two


def reaches(host: Host, box: str, target: str) -> bool:
    return host.run("ip", "netns", "exec", box, "ping", "-c1", "-W1", target, check=False).returncode == 0


@pytest.mark.parametrize("device", ["tulle-vx", "tulle-tap", "tulle"])
def test_a_removed_interface_is_made_again(lab: Lab, device: str) -> None:
    one, two = two_boxes(lab)
    here, there = f"{one.name}-here", f"{two.name}-there"
    rows = one.view("ps")
    one.run("ip", "link", "del", device)
    wait_until(lambda: f"{device} was removed by somebody; made it again" in one.log.read_text(), 30)
    wait_until(lambda: reaches(one, here, there), 30, "containers on two hosts reach each other")
    assert one.run("ip", "netns", "exec", here, "ping", "-c1", "-W1", "10.33.0.1")
    assert one.view("ps") == rows
    assert "Traceback" not in one.log.read_text()


def test_a_bridge_removed_while_no_daemon_runs(lab: Lab) -> None:
    one, two = two_boxes(lab)
    here, there = f"{one.name}-here", f"{two.name}-there"
    one.kill()
    one.run("ip", "link", "del", "tulle")
    one.relaunch()
    assert here in one.view("ps")
    wait_until(lambda: reaches(one, here, there), 30, "containers on two hosts reach each other")


def test_a_half_made_attachment_is_swept_away(lab: Lab) -> None:
    (one,) = lab.network(1)
    box = one.container("half")
    one.kill()
    name = "tl0123456789ab"
    one.run("ip", "link", "add", name, "type", "veth", "peer", "name", "tulle0", "netns", box.name)
    one.relaunch()
    assert name not in one.run("ip", "-o", "link").stdout
    one.attach(box)


def test_an_attachment_that_lacks_its_last_step_is_completed(lab: Lab) -> None:
    """The daemon was killed when the container had its address, and the host's end was no port yet."""
    one, two = lab.network(2)
    box, far = one.container("half"), two.container("far")
    address, there = one.attach(box), two.attach(far).ip
    one.kill()
    (port,) = json.loads(one.run("ip", "-j", "link", "show", "master", "tulle", "type", "veth").stdout)
    one.run("ip", "link", "set", port["ifname"], "nomaster", "down")
    one.relaunch()
    assert one.attach(box) == address
    wait_until(lambda: box.pings(there), what="it is on the network")


def test_another_interface_name_is_for_new_containers_only(lab: Lab) -> None:
    (one,) = lab.network(1)
    old, new = one.container("old"), one.container("new")
    one.attach(old)
    one.stop()
    one.launch("--interface", "eth9")
    one.attach(new)
    assert "eth9" in new.run("ip", "-o", "link").stdout
    one.tulle("attach", "10.50.0.1/24", old.reference)
    assert "eth9" not in old.run("ip", "-o", "link").stdout
    one.tulle("detach", "net:default", "10.50.0.1/24", old.reference)
    assert "tulle0" not in old.run("ip", "-o", "link").stdout
    assert [row["Container"] for row in json.loads(one.tulle("ps", "--json"))] == [new.reference]


def test_a_first_start_that_fails_leaves_nothing(lab: Lab) -> None:
    one = lab.host()
    one.begin_launch("--http-addr", "192.0.2.1:80")
    status, said = one.end_of_daemon()
    assert status == 1
    assert "cannot listen on 192.0.2.1:80" in said
    assert "tulle" not in one.run("ip", "-o", "link").stdout
    assert "tulle" not in one.run("nft", "list", "ruleset").stdout
