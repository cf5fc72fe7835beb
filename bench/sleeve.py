"""Frames by the sleeve, without and with a password, beside plain TCP, UDP and ping between the same hosts.

Two pairs of hosts, each on a cable of its own, run real daemons; one pair has a password. UDP 6784 and 6785
are blocked, so that all frames go by the sleeve. The hosts share this machine's cores with the programs that
send and receive, which leaves the daemons less than machines of their own would.
"""

import contextlib
import json
import re
import statistics
import struct
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from bench.datapath import SEGMENTING
from bench.lossy import losing
from bench.turns import in_turns
from lab.host import Host
from lab.lab import Lab
from lab.namespace import Namespace
from lab.wait import wait_until
from tulle.host.pm_qos import DEVICE

ROUNDS, SECONDS, PINGS, TRIES = 5, 1.0, 1000, 10
PASSWORD = ("--password", "a password for the bench")
BLOCKED = "udp dport { 6784, 6785 } drop"
GOALS = {
    "tcp, superpackets": {"plain": 0.20, "sealed": 0.15},
    "tcp, segments": {"plain": 0.40, "sealed": 0.30},
    "tcp, 1 % loss": {"sealed": 0.20},
    "small udp": {"plain": 0.20},
}
"""Ratio to the hosts themselves, at least."""
RELAY = str(Path(__file__).resolve().parent / "relay.py")
PING_GOAL = 0.25
"""Milliseconds that the sleeve may add to the median round trip."""


class Rate(NamedTuple):
    """What was reached, and what the whole machine spent on it: seconds of its processors per GB."""

    value: float
    cpu_per_gb: float = 0.0


Measure = Callable[[], Rate]


@dataclass(frozen=True)
class Ends:
    """Where a measurement begins and ends."""

    client: Namespace
    server: Namespace
    address: IPv4Address


def run() -> dict[str, Any]:
    """All figures, and one line (what, figure, goal, met) for each promise."""
    figures: dict[str, dict[str, dict[str, float]]] = {}
    with Lab() as lab:
        hosts, ends = _networks(lab)
        for wire in ("superpackets", "segments"):
            _set_offloads(hosts, wire == "superpackets")
            for streams in (1, 4):
                figures[f"tcp, {wire}, {streams} streams"] = _take_turns(
                    {name: lambda one=one, streams=streams: _tcp(one, streams) for name, one in ends.items()}
                )
        with losing(list(hosts), 10):
            for one in ends.values():
                _tcp(one, 1)  # the sleeve learns of the loss
            figures["tcp, 1 % loss, 1 streams"] = _take_turns(
                {name: lambda one=one: _tcp(one, 1) for name, one in ends.items() if name != "plain"}
            )
        _set_offloads(hosts, True)
        figures["small udp, packets/s"] = _take_turns(
            {name: lambda one=one: _small_udp(one) for name, one in ends.items()}
        )
        with _bare_relay(hosts) as bare:
            figures["ping p50, ms"] = _take_turns(
                {
                    "plain": lambda: _ping(ends["plain"]),
                    "sealed": lambda: _ping(ends["sealed"]),
                    "hosts": lambda: _halting(lambda: _ping(ends["hosts"])),
                    "bare relay": lambda: _halting(lambda: _ping(bare)),
                }
            )
    return {"figures": figures, "lines": _lines(figures)}


def _networks(lab: Lab) -> tuple[list[Host], dict[str, Ends]]:
    """Two pairs of hosts with a container each; ``hosts`` are the ends of the measurement without us."""
    pairs = [_pair(lab), _pair(lab)]
    for pair, password in zip(pairs, ((), PASSWORD), strict=True):
        for number, host in enumerate(pair):
            host.begin_launch(*password, *([pair[0]] if number else []))
    hosts = [host for pair in pairs for host in pair]
    for host in hosts:
        host.wait_ready()
    plain, sealed = (_containers(lab, pair) for pair in pairs)
    return hosts, {"hosts": Ends(hosts[0], hosts[1], hosts[1].address), "plain": plain, "sealed": sealed}


def _pair(lab: Lab) -> list[Host]:
    """Two hosts and a cable."""
    one, other = pair = [lab.host(plugged=False) for _ in range(2)]
    one.ip(f"link add eth0 type veth peer name eth0 netns {other.name}")
    for host in pair:
        host.ip(f"address add {host.address}/24 dev eth0", "link set eth0 up")
        host.nft(
            f"table inet bench {{ chain in {{ type filter hook input priority -300; {BLOCKED}; }};"
            f" chain out {{ type filter hook output priority -300; {BLOCKED}; }}; }}"
        )
    return pair


def _containers(lab: Lab, pair: list[Host]) -> Ends:
    lab.wait_connected(pair)
    client, server = (host.container(f"c{host.number}") for host in pair)
    pair[0].attach(client)
    address = pair[1].attach(server).ip
    wait_until(lambda: client.pings(address), 30, "the containers talk")
    assert " sleeve " in pair[0].view("connections"), "the sleeve carries the frames"
    return Ends(client, server, address)


@contextlib.contextmanager
def _bare_relay(hosts: list[Host]) -> Iterator[Ends]:
    """Two hosts between which ``relay`` carries frames, beside the daemons."""
    one, other = hosts[:2]
    with contextlib.ExitStack() as stack:
        for host, peer in ((one, other), (other, one)):
            relay = host.start(sys.executable, "-SE", RELAY, "bare", str(peer.address))
            stack.callback(relay.wait)
            stack.callback(relay.kill)
            wait_until(
                lambda host=host: "bare" in host.run("ip", "-br", "link").stdout, 10, "the TAP is there"
            )
            host.ip(f"address add 10.98.0.{host.number}/24 dev bare", "link set bare up")
        yield Ends(one, other, IPv4Address("10.98.0.0") + other.number)


def _take_turns(variants: Mapping[str, Measure]) -> dict[str, dict[str, float]]:
    """The median of each variant, and the ratio to the hosts themselves; the order changes every round."""
    found = in_turns(variants, ROUNDS)
    medians = {name: Rate(*map(statistics.median, zip(*rates, strict=True))) for name, rates in found.items()}
    return {
        name: {
            "value": median.value,
            "cpu_per_gb": median.cpu_per_gb,
            "ratio": statistics.median(
                one.value / base.value for one, base in zip(found[name], found["hosts"], strict=True)
            ),
        }
        for name, median in medians.items()
    }


def _tcp(ends: Ends, streams: int) -> Rate:
    """Gbit/s that arrive."""
    end, cpu = _iperf(ends, "-P", streams, "-O", "0.3")
    received = end["sum_received"]
    return Rate(received["bits_per_second"] / 1e9, cpu / (received["bytes"] / 1e9))


def _small_udp(ends: Ends) -> Rate:
    """Packets of 64 bytes per second that arrive while more are sent."""
    end, cpu = _iperf(ends, "-u", "-l", 64, "-b", 0)
    received = end["sum_received"]
    return Rate(received["bytes"] / 64 / received["seconds"], cpu / (received["bytes"] / 1e9))


def _iperf(ends: Ends, *options: object) -> tuple[Any, float]:
    """What iperf3 says at its end, and the seconds of processor that went by meanwhile."""
    listener = ends.server.start("iperf3", "-s", "-1")
    with contextlib.ExitStack() as stack:
        stack.callback(listener.wait)
        stack.callback(listener.kill)
        wait_until(lambda: "5201" in ends.server.run("ss", "-lnt").stdout, 10, "iperf3 listens")
        before = _busy()
        command = ["iperf3", "-c", ends.address, "-t", SECONDS, "-J", *options]
        done = ends.client.run(*map(str, command), timeout=60)
        cpu = _busy() - before
        listener.wait()
    return json.loads(done.stdout)["end"], cpu


def _busy() -> float:
    """Seconds that the processors of this machine have worked since it began."""
    user, nice, system, _idle, _wait, irq, softirq = map(int, Path("/proc/stat").read_text().split()[1:8])
    return (user + nice + system + irq + softirq) / 100


def _ping(ends: Ends) -> Rate:
    """Median round trip in milliseconds, from processors on that may halt: see ``tulle.host.pm_qos``."""
    wait_until(_may_halt, 10, "processors may halt")
    done = ends.client.run("ping", "-n", "-i", "0.002", "-c", str(PINGS), str(ends.address))
    return Rate(statistics.median(map(float, re.findall(r"time=([\d.]+) ms", done.stdout))))


def _halting(measure: Measure) -> Rate:
    """What is measured while nobody keeps processors awake: the daemons beside must have no part in it."""
    for _ in range(TRIES):
        found = measure()
        if _may_halt():
            return found
    raise AssertionError("somebody keeps the processors of this machine awake")


def _may_halt() -> bool:
    """Whether waking a processor may take its time, as far as the kernel's PM QoS is concerned."""
    with contextlib.suppress(FileNotFoundError), open(DEVICE, "rb", buffering=0) as device:
        return struct.unpack("@i", device.read(4))[0] > 0
    return True


def _set_offloads(hosts: list[Host], on: bool) -> None:
    for host in hosts:
        words = [word for feature in SEGMENTING for word in (feature, "on" if on else "off")]
        host.run("ethtool", "-K", "eth0", *words, "gro", "off" if on else "on")
    time.sleep(0.5)


def _lines(figures: Mapping[str, Mapping[str, Mapping[str, float]]]) -> list[tuple[str, str, str, bool]]:
    lines = []
    for name, variants in figures.items():
        goals = next((goals for start, goals in GOALS.items() if name.startswith(start)), {})
        for variant, goal in goals.items():
            one, base = variants[variant], variants["hosts"]
            what = (
                f"sleeve, {variant}, {name}: {one['value']:,.1f}, {one['cpu_per_gb']:.1f} CPU s/GB,"
                f" against hosts {base['value']:,.1f}, {base['cpu_per_gb']:.1f} CPU s/GB"
            )
            lines.append((what, f"{one['ratio']:.2f}", f"at least {goal:.2f}", one["ratio"] >= goal))
    pings = figures["ping p50, ms"]
    bare = pings["bare relay"]["value"] - pings["hosts"]["value"]
    for variant in ("plain", "sealed"):
        added = pings[variant]["value"] - pings["hosts"]["value"]
        what = (
            f"sleeve, {variant}, ping p50: milliseconds more than between hosts"
            f" (the barest relay in Python: {bare:.2f})"
        )
        lines.append((what, f"{added:.2f}", f"at most {PING_GOAL}", added <= PING_GOAL))
    return lines
