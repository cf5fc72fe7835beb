"""Frames between containers of two hosts: our data path beside a plain kernel VXLAN, relayed beside direct.

The baseline is what one would set up by hand: a bridge, and a VXLAN device with static forwarding entries. It
stands on the same two hosts, on the same wire, with the same MTU, and both take turns. Real daemons run; all
hosts share this machine's cores, so a relay is penalised more than on machines of its own.
"""

import contextlib
import json
import os
import re
import statistics
import sys
import time
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from bench.turns import beside
from lab.container import Container
from lab.host import Host
from lab.lab import Lab
from lab.namespace import Namespace
from lab.wait import wait_until

ROUNDS, SECONDS, PINGS = 27, 1, 1500
MTU = 1376
SEGMENTING = (
    "tso", "gso", "tx-udp-segmentation", "tx-udp_tnl-segmentation", "tx-udp_tnl-csum-segmentation"
)  # fmt: skip


def run() -> dict[str, Any]:
    """Gbit/s and milliseconds of all variants, and one line (what, figure, goal, met) for each promise."""
    figures: dict[str, dict[str, float]] = {}
    with Lab() as lab:
        hosts = lab.network(3)
        ours = [host.container(f"c{host.number}") for host in hosts]
        addresses = [host.attach(container).ip for host, container in zip(hosts, ours, strict=True)]
        plain = _plain_vxlan(hosts[0], hosts[1])
        for wire in ("offloads on", "offloads off"):
            _set_offloads(hosts, wire == "offloads on")
            for streams in (1, 4):
                figures[f"tcp, {streams} streams, {wire}"] = beside(
                    partial(tcp, ours[0], ours[1], addresses[1], streams),
                    partial(tcp, *plain, IPv4Address("10.77.0.2"), streams),
                    ROUNDS,
                )
        _set_offloads(hosts, True)
        figures["ping p50 in ms"] = beside(
            partial(ping, ours[0], addresses[1]), partial(ping, plain[0], IPv4Address("10.77.0.2"))
        )
        figures["tcp, relayed"] = _relay(lab, hosts, ours, addresses)
    return {"figures": figures, "lines": _lines(figures)}


def _relay(
    lab: Lab, hosts: list[Host], ours: list[Container], addresses: list[IPv4Address]
) -> dict[str, float]:
    """Direct, and with the direct way cut, in turns; the detour is checked to be one."""
    rates: dict[str, list[float]] = {"direct": [], "relayed": []}
    for _ in range(3):
        lab.heal()
        wait_until(lambda: _sees(hosts[0], hosts[2]), 60, "the direct way is back")
        rates["direct"].append(tcp(ours[0], ours[2], addresses[2], 1))
        lab.cut(hosts[0], hosts[2])
        wait_until(lambda: not _sees(hosts[0], hosts[2]), 60, "the cut is noticed")
        wait_until(lambda: ours[0].pings(addresses[2]), 30, "the detour works")
        rates["relayed"].append(tcp(ours[0], ours[2], addresses[2], 1))
    lab.heal()
    return {name: statistics.median(values) for name, values in rates.items()}


def _sees(one: Host, other: Host) -> bool:
    rows = one.report()["Router"]["Connections"]
    return any(row["State"] == "established" and f"({other.short})" in row["Info"] for row in rows)


def tcp(client: Namespace, server: Namespace, address: IPv4Address, streams: int) -> float:
    """Gbit/s that arrive; each program stays on a core of its own."""
    cores = [str(core) for core in sorted(os.sched_getaffinity(0))]
    listener = server.start("taskset", "-c", cores[-1], "iperf3", "-s", "-1")
    with contextlib.ExitStack() as stack:
        stack.callback(listener.wait)
        stack.callback(listener.kill)
        wait_until(lambda: "5201" in server.run("ss", "-lnt").stdout, 10, "iperf3 listens")
        command = ["iperf3", "-c", address, "-P", streams, "-t", SECONDS, "-O", "0.2", "-J"]
        done = client.run("taskset", "-c", cores[0], *map(str, command))
        listener.wait()
    return float(json.loads(done.stdout)["end"]["sum_received"]["bits_per_second"]) / 1e9


def ping(client: Namespace, address: IPv4Address) -> float:
    """Median round trip in milliseconds."""
    done = client.run("ping", "-n", "-i", "0.001", "-c", str(PINGS), str(address))
    return statistics.median(map(float, re.findall(r"time=([\d.]+) ms", done.stdout)))


def _plain_vxlan(one: Host, other: Host) -> tuple[Container, Container]:
    """What one would set up by hand between two hosts; a container on each."""
    made = []
    for host, remote in ((one, other), (other, one)):
        container = host.container(f"plain{host.number}")
        address = f"10.77.0.{host.number}/24"
        host.ip(
            f"link add plain mtu {MTU} type bridge",
            f"link add plain-vx mtu {MTU} type vxlan id 77 dstport 4789 nolearning local {host.address}",
            "link set plain-vx master plain up",
            f"link add plain-c mtu {MTU} type veth peer name eth0 mtu {MTU} netns {container.name}",
            "link set plain-c master plain up",
            "link set plain up",
        )
        container.ip(f"address add {address} dev eth0", "link set eth0 up")
        made.append(container)
        host.run(
            "bridge", "fdb", "append", "00:00:00:00:00:00", "dev", "plain-vx", "dst", str(remote.address)
        )
    for host, remote, far in ((one, other, made[1]), (other, one, made[0])):
        link = json.loads(far.run("ip", "-j", "link", "show", "eth0").stdout)[0]
        entry = ["dev", "plain-vx", "dst", str(remote.address), "self", "master"]
        host.run("bridge", "fdb", "append", link["address"], *entry[:4], "self")
        host.run("bridge", "fdb", "append", link["address"], "dev", "plain-vx", "master", "static")
    wait_until(lambda: made[0].pings("10.77.0.2"), 10, "the plain VXLAN works")
    return made[0], made[1]


def _set_offloads(hosts: list[Host], on: bool) -> None:
    for host in hosts:
        words = [word for feature in SEGMENTING for word in (feature, "on" if on else "off")]
        host.run("ethtool", "-K", "eth0", *words, "gro", "off" if on else "on")
    time.sleep(0.5)


def _lines(figures: dict[str, dict[str, float]]) -> list[tuple[str, str, str, bool]]:
    lines = []
    for name, figure in figures.items():
        if name.startswith("tcp,") and "ratio" in figure:
            ratio = figure["ratio"]
            what = f"{name}: {figure['ours']:.1f} Gbit/s against plain kernel VXLAN"
            lines.append((what, f"{ratio:.2f}", "at least 0.95", ratio >= 0.95))
    ping = figures["ping p50 in ms"]
    ratio = ping["ratio"]
    what = f"ping p50: {ping['ours'] * 1000:.0f} µs against plain kernel VXLAN"
    lines.append((what, f"{ratio:.2f}", "at most 1.2", ratio <= 1.2))
    relay = figures["tcp, relayed"]
    ratio = relay["relayed"] / relay["direct"]
    what = f"tcp relayed by a third host: {relay['relayed']:.1f} Gbit/s against direct"
    lines.append((what, f"{ratio:.2f}", "at least 0.5", ratio >= 0.5))
    return lines
