"""The better carrier is used while it works, and the other when it does not; no connection breaks."""

import json
import socket
import threading

from lab import Container, Host, Lab, wait_until

BLOCK = "table inet block { chain input { type filter hook input priority -300; udp dport 6784 drop; }; }"


class Transfer:
    """Numbered lines over one TCP connection between two containers, until it is stopped."""

    def __init__(self, sender: Container, receiver: Container, address: object) -> None:
        listener = receiver.socket(kind=socket.SOCK_STREAM)
        listener.bind(("", 5001))
        listener.listen()
        self._out = sender.socket(kind=socket.SOCK_STREAM)
        self._out.connect((str(address), 5001))
        self._in, _ = listener.accept()
        listener.close()
        for end in (self._in, self._out):
            end.settimeout(60)
        self._over = threading.Event()
        self.received = 0
        self.wrong = 0
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._send, self._receive)]
        for thread in self._threads:
            thread.start()

    def _send(self) -> None:
        number = 0
        while not self._over.wait(0.005):
            self._out.sendall(b"".join(b"%07d\n" % (number + more) for more in range(500)))
            number += 500
        self._out.close()

    def _receive(self) -> None:
        with self._in, self._in.makefile("rb") as lines:
            for line in lines:
                self.wrong += line != b"%07d\n" % self.received
                self.received += 1

    def goes_on(self) -> bool:
        """Whether more arrives than has until now."""
        before = self.received
        return bool(wait_until(lambda: self.received > before + 1000, 30, "more of the transfer"))

    def stop(self) -> tuple[int, int]:
        """How many lines came, and how many of them were not what they should be."""
        self._over.set()
        for thread in self._threads:
            thread.join(timeout=60)
        return self.received, self.wrong


def carrier(host: Host) -> str:
    (link,) = host.report()["Router"]["Connections"]
    return f"{link['State']} {link['Attrs']['name']}"


def superframe(container: Container) -> int:
    """Bytes of the biggest packets that the kernel makes in a container."""
    (found,) = json.loads(container.run("ip", "-json", "-details", "link", "show", "tulle0").stdout)
    return int(found["gso_max_size"])


def changes(host: Host, carrier: str) -> int:
    """How often frames went over to this carrier, as the metrics say."""
    sample = f'tulle_carrier_changes_total{{carrier="{carrier}"}} '
    (line,) = [line for line in host.http("GET", "/metrics")[1].splitlines() if line.startswith(sample)]
    return int(float(line.removeprefix(sample)))


def test_a_blocked_port_moves_traffic_to_the_sleeve_and_back(lab: Lab) -> None:
    one, two = lab.network(2)
    here, there = one.container("a"), two.container("b")
    one.attach(here)
    theirs = two.attach(there).ip
    for host in (one, two):
        wait_until(lambda host=host: carrier(host) == "established fastdp", what="the kernel carries")
    transfer = Transfer(here, there, theirs)
    assert transfer.goes_on()
    before = changes(one, "sleeve")
    for host in (one, two):
        host.nft(BLOCK)
    for host in (one, two):
        wait_until(lambda host=host: carrier(host) == "established sleeve", what="the sleeve carries")
    assert "fastdp: no answer from the peer on UDP port 6784" in one.view("connections")
    wait_until(lambda: "path-mtu=1500" in one.view("connections"), what="the path's MTU")
    assert "does not use the fastest carrier" in one.tulle("status")
    assert changes(one, "sleeve") > before
    assert transfer.goes_on()
    wait_until(lambda: superframe(here) < 65_000, what="packets that fit the sleeve")
    assert here.pings(theirs, size=10_000, wait=5)
    back = changes(one, "fastdp")
    for host in (one, two):
        host.nft("delete table inet block")
    for host in (one, two):
        wait_until(lambda host=host: carrier(host) == "established fastdp", 60, "the kernel carries again")
    assert transfer.goes_on()
    wait_until(lambda: superframe(here) == 65_536, what="packets of the kernel's own size")
    assert changes(one, "fastdp") > back
    log = one.log.read_text()
    assert "go by sleeve now, no longer by fastdp: no answer from the peer" in log
    received, wrong = transfer.stop()
    assert received > 5000
    assert wrong == 0
