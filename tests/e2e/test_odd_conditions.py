"""Equal short ids, clocks that jump, and a relay whose daemon stands still: rare, and survived."""

from collections.abc import Mapping

import pytest

from lab import Host, Lab, wait_until
from tulle.datapath.tables import ShortId
from tulle.host.store import Store
from tulle.node.records import short_id_record

SHORT_ID = 7
DAY, YEAR = 86_400, 365 * 86_400
JUMPING_CLOCK = """
import time
true_time = time.time
time.time = lambda: true_time() + float(open("{offset}").read() or 0)
"""


def give_short_id(host: Host) -> None:
    """Have the host begin with the short id that the others begin with too."""
    store = Store(host.state / "tulle.db")
    store.commit([short_id_record(ShortId(SHORT_ID))])
    store.close()


def short_ids(hosts: list[Host]) -> list[Mapping[str, int]]:
    """Who has which short id, as each of the hosts sees it."""
    return [{peer["Name"]: peer["ShortID"] for peer in host.report()["Router"]["Peers"]} for host in hosts]


def test_three_hosts_with_one_short_id_and_a_relay_that_is_frozen(lab: Lab) -> None:
    one, two, three = hosts = lab.make_hosts(3)
    lab.cut(one, three)
    for number, host in enumerate(hosts, start=1):
        give_short_id(host)
        host.begin_launch("--name", f"::{number}", *([two] if host is not two else []))
    for host in hosts:
        host.wait_ready()
    here, there = one.container("a"), three.container("b")
    one.attach(here)
    theirs = three.attach(there).ip
    wait_until(lambda: here.pings(theirs), what="a ping by way of the second host")
    wait_until(
        lambda: all(
            view == short_ids([one])[0] and len(set(view.values())) == 3 for view in short_ids(hosts)
        ),
        what="three short ids that all know",
    )
    assert short_ids([one])[0]["00:00:00:00:00:01"] == SHORT_ID

    two.freeze()
    try:
        assert here.pings(theirs, count=25, wait=2), "the kernel relays without its daemon"
    finally:
        two.thaw()
    late = three.attach(three.container("late"), "--hostname", "late").ip
    wait_until(lambda: one.knows("late") == {late}, what="names come through again")
    wait_until(lambda: here.pings(late), what="a ping of what came later")


def test_a_clock_that_jumps_changes_nothing(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wall clock of one host jumps a day ahead, then a year back."""
    one, two = lab.make_hosts(2)
    offset = one.directory / "offset"
    offset.write_text("0")
    (one.directory / "sitecustomize.py").write_text(JUMPING_CLOCK.format(offset=offset))
    ordinary = one.environment()
    monkeypatch.setattr(one, "environment", lambda: ordinary | {"PYTHONPATH": str(one.directory)})
    two.launch()
    one.launch(two)
    monkeypatch.setattr(one, "environment", lambda: ordinary)
    lab.wait_connected([one, two])
    ended = [host.report()["Router"]["TerminationCount"] for host in (one, two)]
    for jump in (DAY, -YEAR):
        offset.write_text(str(jump))
        box = one.container(f"box{abs(jump)}")
        address = one.attach(box, "--hostname", "here").ip
        wait_until(lambda address=address: two.knows("here") == {address}, what="the name is known there")
        far = two.container(f"far{abs(jump)}")
        other = two.attach(far, "--hostname", "there").ip
        wait_until(lambda other=other: one.knows("there") == {other}, what="and the other way")
        wait_until(lambda box=box, other=other: box.pings(other), what="a ping across")
        one.tulle("detach", box.reference)
        two.tulle("dns-remove", far.reference)
        wait_until(lambda: not two.knows("here") and not one.knows("there"), what="both are gone")
    assert [host.report()["Router"]["TerminationCount"] for host in (one, two)] == ended
