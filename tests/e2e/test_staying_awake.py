"""Processors do not halt while a container waits for one small answer after another, by the sleeve."""

import contextlib
import os
from collections.abc import Generator
from pathlib import Path

import pytest

from lab import Container, Host, Lab, wait_until
from tulle.host.pm_qos import DEVICE

pytestmark = pytest.mark.skipif(not os.access(DEVICE, os.W_OK), reason="this kernel has no PM QoS device")


@pytest.fixture
def lab() -> Generator[Lab]:
    with Lab() as made:
        yield made


def holds(host: Host) -> bool:
    """Whether the daemon of this host keeps processors awake."""
    assert host.process is not None
    for descriptor in Path(f"/proc/{host.process.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            if os.readlink(descriptor) == DEVICE:
                return True
    return False


def boxes_of(hosts: list[Host]) -> tuple[Container, str]:
    """A container on the first host, and the address of one on the second that it reaches."""
    boxes = [host.container("box") for host in hosts]
    address = [host.attach(box).ip for host, box in zip(hosts, boxes, strict=True)][1]
    wait_until(lambda: boxes[0].pings(address), what="the first ping")
    return boxes[0], str(address)


def test_processors_stay_awake_while_a_fast_ping_runs(lab: Lab) -> None:
    one, other = hosts = [lab.host(), lab.host()]
    one.launch("--no-fastdp")
    other.launch("--no-fastdp", "--no-pm-qos", one.address)
    box, address = boxes_of(hosts)
    ping = box.start("ping", "-n", "-q", "-i", "0.002", address)
    try:
        wait_until(lambda: holds(one), what="processors are kept awake")
        assert not holds(other), "it was told not to"
    finally:
        ping.kill()
        ping.wait()
    wait_until(lambda: not holds(one), what="processors may halt")
