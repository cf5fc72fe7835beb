"""The quick start, as a user would do it."""

import re
import stat
import sys
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from lab import Host, Lab, wait_until


def test_two_commands_bring_up_a_network(lab: Lab) -> None:
    one, two = lab.make_hosts(2)
    one.tulle("launch")
    two.tulle("launch", one.address)
    here, there = one.container("a"), two.container("b")
    ours, theirs = one.attach(here), two.attach(there)
    assert ours.ip != theirs.ip
    assert ours.ip in IPv4Network("10.32.0.0/12")
    assert wait_until(lambda: here.pings(theirs.ip), what="a ping across")
    assert there.pings(ours.ip)


def test_the_first_packet_arrives(pair: list[Host]) -> None:
    one, two = pair
    here, there = one.container("early-a"), two.container("early-b")
    theirs = two.attach(there).ip
    one.attach(here)
    assert here.pings(theirs, wait=5)


def test_attach_is_idempotent_and_detach_undoes_it(pair: list[Host]) -> None:
    one, _ = pair
    box = one.container("again")
    first = one.attach(box)
    assert one.attach(box) == first
    assert one.tulle("detach", box.reference).split()[0].startswith(str(first.ip))
    assert box.addresses() == []
    assert box.name not in one.tulle("ps")


def test_full_size_packets_cross_whole(pair: list[Host]) -> None:
    one, two = pair
    here, there = one.container("big-a"), two.container("big-b")
    one.attach(here)
    theirs = two.attach(there)
    mtu = int(re.findall(r"mtu (\d+)", here.run("ip", "link", "show", "tulle0").stdout)[0])
    wait_until(lambda: here.pings(theirs.ip), what="a ping across")
    assert here.pings(theirs.ip, size=mtu - 28, whole=True)


def test_fixed_addresses_and_several_at_once(pair: list[Host]) -> None:
    one, two = pair
    here, there = one.container("fixed-a"), two.container("fixed-b")
    one.attach(here, "10.9.9.1/24", "net:default")
    two.attach(there, "10.9.9.2/24")
    assert len(here.addresses()) == 2
    wait_until(lambda: here.pings("10.9.9.2"), what="a ping between fixed addresses")


def test_a_process_is_a_container_too(pair: list[Host]) -> None:
    one, _ = pair
    box = one.container("by-pid")
    process = box.start("sleep", "1000")
    wait_until(lambda: process.pid in box.pids(), what="the process is inside")
    printed = one.tulle("attach", f"pid:{process.pid}")
    assert IPv4Address(printed.split()[0].partition("/")[0]) in {found.ip for found in box.addresses()}
    process.kill()
    process.wait()


def test_status_tells_a_person_what_is_there(pair: list[Host]) -> None:
    one, two = pair
    assert "10.32.0.0/12" in one.tulle("status")
    assert two.short in one.tulle("status", "peers")
    assert one.short in one.tulle("status", "ipam")
    assert str(one.address) in two.tulle("status", "targets")
    assert one.report()["Router"]["NickName"] == one.short


def test_the_control_socket_is_for_root_alone(pair: list[Host]) -> None:
    assert stat.S_IMODE(pair[0].socket_path.stat().st_mode) == 0o600


def test_a_second_launch_is_refused_and_harmless(pair: list[Host]) -> None:
    one, _ = pair
    failed = one.refuses("launch")
    assert "running" in failed.stderr
    assert one.tulle("status")


def test_bad_arguments_get_one_line_and_status_2(pair: list[Host]) -> None:
    one, _ = pair
    for command in (
        ["attach", "10.32.0.999/12", "netns:nothing"],
        ["launch", "--port", "70000"],
        ["launch", "--ipalloc-range", "10.32.0.0/31"],
        ["nonsense"],
    ):
        failed = one.refuses(*command)
        assert failed.returncode == 2, failed
    failed = one.refuses("attach", "netns:there-is-no-such-namespace")
    assert "there-is-no-such-namespace" in failed.stderr
    assert len(failed.stderr.strip().splitlines()) == 1


def test_under_the_name_weave_it_uses_that_systems_names(lab: Lab) -> None:
    (one,) = lab.make_hosts(1)
    weave = lab.directory / "weave"
    weave.symlink_to(Path(sys.executable).with_name("tulle"))
    environment = {name.replace("TULLE_", "WEAVE_"): value for name, value in one.environment().items()}
    box = one.container("box")
    one.run(weave, "launch", env=environment)
    one.run(weave, "attach", box.reference, env=environment)
    assert "ethwe" in box.run("ip", "-br", "link").stdout
    assert "weave.local" in one.run(weave, "status", env=environment).stdout
    assert "weave" in one.run("ip", "-br", "link").stdout
    one.run(weave, "reset", env=environment)
    assert "weave" not in one.run("ip", "-br", "link").stdout


def test_leaving_gives_everything_back(lab: Lab) -> None:
    one, two = lab.network(2)
    box = two.container("box")
    one.attach(one.container("first"))
    two.attach(box)
    two.tulle("reset")
    links = two.run("ip", "-o", "link").stdout
    assert "tulle" not in links
    assert "tulle" not in two.run("nft", "list", "ruleset").stdout
    owners = one.report()["IPAM"]["Entries"]
    assert {entry["Nickname"] for entry in owners} == {one.short}
