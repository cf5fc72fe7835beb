"""A daemon may end at any moment: containers keep talking, and the next daemon takes over what it finds."""

import time

from lab import Host, Lab, wait_until
from tulle.mesh.acquaintances import SAVE_SECONDS


def attached(host: Host) -> set[str]:
    return {line.strip() for line in host.tulle("ps").splitlines() if line.strip()}


def test_traffic_goes_on_without_the_daemon(lab: Lab) -> None:
    one, two = lab.network(2)
    here, there = one.container("a"), two.container("b")
    one.attach(here)
    theirs = two.attach(there).ip
    wait_until(lambda: here.pings(theirs), what="a ping across")
    stream = here.ping_stream(theirs, lab.directory / "ping.log")
    wait_until(lambda: stream.answers > 3)
    one.kill()
    before = stream.answers
    wait_until(lambda: stream.answers > before + 60, what="answers with one daemon dead")
    two.kill()
    before = stream.answers
    wait_until(lambda: stream.answers > before + 60, what="answers with both daemons dead")
    one.relaunch()
    two.relaunch()
    lab.wait_connected([one, two])
    before = stream.answers
    wait_until(lambda: stream.answers > before + 40, what="answers with new daemons")
    sent, answered = stream.stop()
    assert answered >= sent - 2


def test_a_new_daemon_takes_over_without_losing_a_packet(lab: Lab) -> None:
    hosts = lab.network(3)
    boxes = [host.container("box") for host in hosts]
    addresses = [host.attach(box).ip for host, box in zip(hosts, boxes, strict=True)]
    wait_until(lambda: all(boxes[0].pings(address) for address in addresses), what="pings across")
    streams = [boxes[0].ping_stream(address, lab.directory / f"{address}.log") for address in addresses[1:]]
    wait_until(lambda: all(stream.answers > 3 for stream in streams))
    hosts[0].kill()
    hosts[0].relaunch()
    lab.wait_connected(hosts, 90)
    before = streams[0].answers
    wait_until(lambda: streams[0].answers > before + 20, what="answers by the new tables")
    for sent, answered in [stream.stop() for stream in streams]:
        assert answered >= sent - 1  # the last one may be on its way


def test_killed_in_the_middle_of_attaching(lab: Lab) -> None:
    one, two = lab.network(2)
    others = {two.attach(two.container(f"other{number}")).ip for number in range(3)}
    boxes = [one.container(f"box{number}") for number in range(8)]
    under_way = [one.start_tulle("attach", box.reference) for box in boxes]
    wait_until(lambda: any(box.addresses() for box in boxes), what="the first one has an address")
    one.kill()
    for process in under_way:
        process.communicate(timeout=30)
    told = {box: box.addresses() for box in boxes}
    one.relaunch()
    addresses = [one.attach(box).ip for box in boxes]
    assert len({*addresses, *others}) == len(boxes) + len(others)
    for box in boxes:
        assert set(told[box]) <= set(box.addresses()), "what a container had, it keeps"


def test_kill_and_restart_keep_addresses_and_names(lab: Lab) -> None:
    one, two = lab.network(2)
    address = one.attach(one.container("kept"), "--hostname", "kept").ip
    wait_until(lambda: two.knows("kept") == {address})
    before = attached(one)
    one.kill()
    one.relaunch()
    assert attached(one) == before
    wait_until(lambda: one.knows("kept") == {address}, what="the name is back here")
    wait_until(lambda: two.knows("kept") == {address}, what="the name is back there")
    assert one.attach(one.container("new")).ip != address


def test_stop_leaves_the_data_path_up(lab: Lab) -> None:
    one, two = lab.network(2)
    here, there = one.container("a"), two.container("b")
    one.attach(here)
    theirs = two.attach(there).ip
    wait_until(lambda: here.pings(theirs))
    one.stop()
    assert here.pings(theirs)
    assert not one.socket_path.exists() or one.refuses("status")


def test_a_container_that_vanished_meanwhile_is_forgotten(lab: Lab) -> None:
    (one,) = lab.network(1)
    gone, kept = one.container("gone"), one.container("kept")
    one.attach(gone)
    one.attach(kept)
    one.kill()
    gone.delete()
    one.relaunch()
    wait_until(lambda: gone.name not in one.view("ps"), 90, "the address is free again")
    assert kept.name in one.tulle("ps")
    assert gone.name not in one.tulle("status", "dns")


def test_a_frozen_daemon_does_not_stop_the_others(lab: Lab) -> None:
    one, two, three = lab.network(3)
    one.attach(one.container("first"))
    three.freeze()
    try:
        here, there = one.container("a"), two.container("b")
        one.attach(here)
        theirs = two.attach(there).ip
        wait_until(lambda: here.pings(theirs), what="the other two go on")
    finally:
        three.thaw()


def test_resume_finds_the_peers_of_the_last_run(lab: Lab) -> None:
    one, two = lab.network(2)
    two.stop()
    two.launch("--resume")
    lab.wait_connected([one, two])


def test_hosts_that_are_told_of_nobody_find_each_other_again(lab: Lab) -> None:
    one, two = lab.network(2)
    time.sleep(SAVE_SECONDS + 1)
    one.stop()
    two.stop()
    one.launch()
    two.launch()
    lab.wait_connected([one, two])
    assert one.view("targets") == two.view("targets") == ""
