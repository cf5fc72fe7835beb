"""Keys are renewed while daemons run and containers talk: no frame is lost by it.

What takes an hour, or 2^28 datagrams, takes a moment here: the processes of this module's hosts find a
``sitecustomize`` that shortens the lives of keys before the daemon begins. Nothing else about them differs.
"""

import struct
import threading
from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab import Container, Host, Lab, wait_until
from lab.wiretap import Wiretap
from netns.vxlan_lab import transfer

SHORTER = """
from tulle.host.sleeve import seals
seals.LIFETIME = 0.5
seals.CAPACITY = 1000
"""
PORT = 6100
UDP_PAYLOAD = 42
RENEWALS = 5


@dataclass
class Pair:
    hosts: list[Host]
    boxes: list[Container]
    addresses: list[str]

    def drops(self) -> list[int]:
        """Datagrams that no key would open, at each end."""
        return [host.report()["Router"]["Counters"]["sleeve_dropped"] for host in self.hosts]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Generator[Pair]:
    directory = tmp_path_factory.mktemp("shorter")
    (directory / "sitecustomize.py").write_text(SHORTER)
    with pytest.MonkeyPatch.context() as patch, Lab() as lab:
        patch.setenv("PYTHONPATH", str(directory))
        hosts = lab.network(2, "--password", "renewed-again-and-again")
        boxes = [host.container("box") for host in hosts]
        addresses = [str(host.attach(box).ip) for host, box in zip(hosts, boxes, strict=True)]
        wait_until(lambda: boxes[0].pings(addresses[1]), what="the first ping")
        yield Pair(hosts, boxes, addresses)


def epochs(wire: Wiretap, sender: Host) -> set[int]:
    """Of the keys that sealed what this host sent, as its datagrams say."""
    source = sender.address.packed
    return {
        struct.unpack_from(">H", frame, UDP_PAYLOAD + 8)[0]
        for frame in wire.frames
        if frame[12:14] == b"\x08\x00" and frame[23] == 17 and frame[26:30] == source
        if struct.unpack_from(">H", frame, 36)[0] == 6783
    }


class Talk:
    """A hundred numbered datagrams a second each way, and how often each arrived."""

    def __init__(self, pair: Pair) -> None:
        self._over, self._heard_enough = threading.Event(), threading.Event()
        self.sent: list[list[bytes]] = [[], []]
        self.heard: list[Counter[bytes]] = [Counter(), Counter()]
        self._sockets = [box.socket() for box in pair.boxes]
        for one in self._sockets:
            one.bind(("", PORT))
            one.settimeout(0.1)
        self._targets = [(address, PORT) for address in reversed(pair.addresses)]
        self._threads = [threading.Thread(target=work, args=(at,)) for work in (self._say, self._hear)
                         for at in (0, 1)]  # fmt: skip
        for thread in self._threads:
            thread.start()

    def _say(self, at: int) -> None:
        while not self._over.wait(0.01):
            self.sent[at].append(b"%d" % len(self.sent[at]))
            self._sockets[at].sendto(self.sent[at][-1], self._targets[at])

    def _hear(self, at: int) -> None:
        while not self._heard_enough.is_set():
            try:
                self.heard[1 - at][self._sockets[at].recv(100)] += 1
            except TimeoutError:
                continue

    def end(self) -> None:
        """Say nothing more, and wait for what is on its way."""
        self._over.set()
        for thread in self._threads[:2]:
            thread.join()
        try:
            wait_until(self._is_complete, what="everything that was said is heard")
        finally:
            self._heard_enough.set()
            for thread in self._threads[2:]:
                thread.join()
            for one in self._sockets:
                one.close()

    def _is_complete(self) -> bool:
        missing = [len(set(said) - set(heard)) for said, heard in zip(self.sent, self.heard, strict=True)]
        assert missing == [0, 0], f"{missing} are missing"
        return True


def test_no_datagram_is_lost_or_doubled_as_time_renews_the_keys(pair: Pair, tmp_path: Path) -> None:
    with Wiretap(pair.hosts[0], "eth0") as wire:
        talk = Talk(pair)
        wait_until(lambda: all(len(epochs(wire, host)) > RENEWALS for host in pair.hosts), what="new keys")
        talk.end()
    assert [set(heard.values()) for heard in talk.heard] == [{1}, {1}]
    assert pair.drops() == [0, 0]


def test_a_transfer_goes_on_as_its_volume_renews_the_keys(pair: Pair) -> None:
    amount = 10_000_000
    one, two = pair.boxes
    with Wiretap(pair.hosts[0], "eth0") as wire:
        for sender, receiver, address in ((one, two, pair.addresses[1]), (two, one, pair.addresses[0])):
            assert transfer(sender, receiver, address, amount) == amount
        for host in pair.hosts:
            assert len(epochs(wire, host)) > RENEWALS
    assert pair.drops() == [0, 0]
