"""With a password nothing readable leaves a host, relayed or not, data or control."""

import secrets
import struct
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path

import pytest

from lab import Host, Lab, wait_until
from lab.wiretap import Wiretap

PASSWORD = "swordfish-in-the-dark"


@pytest.fixture(scope="module")
def line() -> Generator[list[Host]]:
    """Three hosts of which the outer two reach each other over the middle only, and trust the wire."""
    with Lab() as lab:
        one, two, three = lab.make_hosts(3)
        lab.cut(one, three)
        trusting = ("--trusted-subnets", "10.99.0.0/24")
        two.begin_launch("--password", PASSWORD)
        one.begin_launch("--password", PASSWORD, *trusting, two)
        three.begin_launch("--password", PASSWORD, *trusting, two)
        for host in (one, two, three):
            host.wait_ready()
        lab.wait_connected([one, two])
        lab.wait_connected([two, three])
        yield [one, two, three]


def test_nothing_readable_leaves_a_host(line: list[Host]) -> None:
    marker = secrets.token_hex(16)
    one, two, three = line
    with ExitStack() as stack:
        wires = [stack.enter_context(Wiretap(host, "eth0")) for host in line]
        here, there = one.container("a"), three.container("b")
        one.attach(here)
        inside = stack.enter_context(Wiretap(here, "tulle0"))
        theirs = three.attach(there).ip
        two.tulle("dns-add", theirs, "-h", f"{marker}.tulle.internal")
        wait_until(lambda: one.knows(f"{marker}.tulle.internal"), what="a name that only gossip can tell")
        wait_until(lambda: here.pings(theirs), what="a ping over the relay")
        receiver = stack.enter_context(there.socket())
        receiver.bind(("", 7000))
        sender = stack.enter_context(here.socket())
        for size in (100, 1300, 9000):
            payload = (marker.encode() * 300)[:size]
            wait_until(lambda p=payload: sender.sendto(p, (str(theirs), 7000)) and receiver.recv(10_000) == p)
        wait_until(lambda: inside.heard(marker.encode()), what="the marker in clear where it is born")
    for wire in wires:
        assert any(_is_udp(frame, 6783) for frame in wire.frames)
        assert not wire.heard(marker.encode())
        assert not wire.heard(PASSWORD.encode())


def _is_udp(frame: bytes, port: int) -> bool:
    ethertype, protocol = frame[12:14], frame[23:24]
    return (ethertype, protocol) == (b"\x08\x00", b"\x11") and struct.unpack_from(">H", frame, 36)[0] == port


def test_status_says_how_frames_travel_and_why_not_better(line: list[Host]) -> None:
    one = line[0]
    (connection,) = [
        found for found in one.report()["Router"]["Connections"] if found["State"] == "established"
    ]
    assert connection["Attrs"]["name"] == "sleeve"
    assert connection["Attrs"]["encrypted"]
    text = one.view("connections")
    assert "encrypted   sleeve" in text
    assert "must be encrypted" in text
    assert "does not use the fastest carrier" not in one.tulle("status")


def test_trust_of_one_side_alone_changes_nothing(line: list[Host]) -> None:
    """The outer hosts trust the wire, the middle one does not."""
    for host in line:
        assert "unencrypted" not in host.view("connections")


def test_the_password_is_nowhere_to_be_seen(line: list[Host]) -> None:
    for host in line:
        said = [
            host.tulle("report"),
            host.tulle("status"),
            host.http("GET", "/metrics")[1],
            host.log.read_text(),
        ]
        said += [_command_line(pid) for pid in host.pids()]
        assert not [text for text in said if PASSWORD in text]


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def test_datagrams_that_were_recorded_forged_or_cut_short_change_nothing(line: list[Host]) -> None:
    one, two, three = line
    here, there = one.container("c"), three.container("d")
    one.attach(here)
    theirs = three.attach(there).ip
    wait_until(lambda: here.pings(theirs), what="a ping over the relay")
    with Wiretap(one, "eth0") as wire:
        assert here.pings(theirs, count=5, size=1000)
    recorded = [frame[42:] for frame in wire.frames if _is_udp(frame, 6783)]
    assert len(recorded) >= 10
    before = two.report()["Router"]
    with three.socket() as stranger:
        for payload in recorded[:20]:
            flipped = payload[:-1] + bytes((payload[-1] ^ 1,))
            for forged in (payload, flipped, payload[:-3], payload[:9], payload + b"x", payload[::-1]):
                stranger.sendto(forged, (str(two.address), 6783))
    assert here.pings(theirs, count=5)
    after = two.report()["Router"]
    for counter in ("sleeve_dropped", "sleeve_strangers"):
        assert after["Counters"][counter] >= before["Counters"][counter] + 20
    links = after["Connections"]
    assert [link["Address"] for link in links] == [link["Address"] for link in before["Connections"]]
    assert all(link["State"] == "established" for link in links)
