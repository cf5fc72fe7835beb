"""The lab itself, without daemons: cables, cuts, sockets in namespaces, and that nothing is left behind."""

import subprocess
import sys
from pathlib import Path

import pytest

from lab import Lab, wait_until
from lab.namespace import NETNS_DIRECTORY


def names(prefix: str) -> list[str]:
    return [path.name for path in NETNS_DIRECTORY.glob(f"{prefix}*")]


def reaches(lab: Lab, one: int, other: int) -> bool:
    """Whether a datagram from one host arrives at another, and not how long it takes."""
    receiver = lab.hosts[other].socket()
    with receiver, lab.hosts[one].socket() as sender:
        receiver.settimeout(0.3)
        receiver.bind((str(lab.hosts[other].address), 5000))
        sender.sendto(b"hello", (str(lab.hosts[other].address), 5000))
        try:
            return receiver.recv(100) == b"hello"
        except TimeoutError:
            return False


def test_hosts_reach_each_other(lab: Lab) -> None:
    lab.make_hosts(3)
    assert reaches(lab, 0, 2)
    assert reaches(lab, 2, 1)


def test_a_partition_cuts_both_ways_and_heals(lab: Lab) -> None:
    one, two, three = lab.make_hosts(3)
    lab.partition([one], [two, three])
    assert not reaches(lab, 0, 1)
    assert not reaches(lab, 2, 0)
    assert reaches(lab, 1, 2)
    lab.heal()
    assert reaches(lab, 0, 1)


def test_a_cut_may_be_one_way(lab: Lab) -> None:
    one, two = lab.make_hosts(2)
    reaches(lab, 0, 1)  # so that both know each other's hardware address
    lab.cut(one, two, both_ways=False)
    assert not reaches(lab, 0, 1)
    lab.switch.cut([(two.address, one.address)])
    assert reaches(lab, 0, 1)


def test_extra_rules_replace_each_other(lab: Lab) -> None:
    lab.make_hosts(2)
    lab.switch.rules("ether type ip ip protocol udp drop")
    assert not reaches(lab, 0, 1)
    lab.switch.lose(0)
    assert reaches(lab, 0, 1)


def test_nothing_is_left(tmp_path: Path) -> None:
    with Lab() as lab:
        host = lab.host()
        host.container("web")
        assert len(names(lab.prefix)) == 3
        prefix, directory = lab.prefix, lab.directory
    assert names(prefix) == []
    assert not directory.exists()


@pytest.mark.parametrize("end", ["os.kill(os.getpid(), 9)", "os.kill(os.getpid(), 2)"])
def test_nothing_is_left_after_a_violent_end(end: str) -> None:
    program = (
        "import os\nfrom lab import Lab\nlab = Lab()\nhost = lab.host()\n"
        f"host.start('sleep', '1000')\nprint(lab.prefix, flush=True)\n{end}\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    prefix = done.stdout.strip()
    assert prefix, done.stderr
    wait_until(lambda: not names(prefix), 20, "the reaper has removed the namespaces")
