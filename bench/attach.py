"""What joining a container to the bridge costs: our layer against ``ip -batch`` told to do the same.

Run as root: ``python bench/attach.py [COUNT]``. Both ways take turns on the same containers, in a host that
is a namespace of its own, so that the load of the machine hits them alike.
"""

import asyncio
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

from tulle.host import namespace
from tulle.host.bridge import DEFAULT_RESOLVER, BridgeConfig, ensure_bridge
from tulle.host.container import find_container
from tulle.host.ports import Ports
from tulle.host.veth import Wiring

MAC = "02:00:00:00:00:01"
PREFIX = f"bench-attach-{os.getpid()}"


def run(count: int = 50) -> dict[str, float]:
    """Milliseconds (median) of finding, attaching and detaching, of ``ip -batch``, and the ratio."""
    containers = [f"{PREFIX}-c{number}" for number in range(count)]
    host = f"{PREFIX}-host"
    with _namespaces([host, *containers]):
        times = _in_namespace(host, containers)
    result = {name: statistics.median(values) * 1000 for name, values in times.items()}
    result["attach_p99"] = sorted(times["attach"])[int(count * 0.99)] * 1000
    result["ratio"] = result["attach"] / result["ip_batch"]
    return result


async def _compare(host: str, containers: Sequence[str]) -> dict[str, list[float]]:
    bridge = await ensure_bridge(BridgeConfig("tulle", MAC))
    ports = Ports(Wiring("tulle", resolver=DEFAULT_RESOLVER, resolver_mac=bridge.mac), lambda _gone: None)
    await ports.start()
    times: dict[str, list[float]] = {"find": [], "attach": [], "detach": [], "ip_batch": []}
    for number, name in enumerate(containers):
        address = IPv4Interface((IPv4Address("10.32.0.1") + number, 12))
        began = time.perf_counter()
        container = await find_container(f"netns:{name}")
        found = time.perf_counter()
        await ports.attach(container, [address])
        attached = time.perf_counter()
        await ports.detach(container, None)
        detached = time.perf_counter()
        _by_ip_batch(host, name, address)
        ended = time.perf_counter()
        times["find"].append(found - began)
        times["attach"].append(attached - found)
        times["detach"].append(detached - attached)
        times["ip_batch"].append(ended - detached)
        _remove_by_ip(host)
    ports.stop()
    return times


def _by_ip_batch(host: str, container: str, address: IPv4Interface) -> None:
    outside = f"""link add vbench mtu 1376 type veth peer name tulle0 mtu 1376 netns {container}
link set vbench master tulle alias {container} up
"""
    inside = f"""addr add {address} brd + dev tulle0
link set tulle0 up
route add 224.0.0.0/4 dev tulle0
route add {DEFAULT_RESOLVER}/32 dev tulle0 scope link
neigh replace {DEFAULT_RESOLVER} lladdr {MAC} dev tulle0
"""
    for where, commands in ((host, outside), (container, inside)):
        subprocess.run(["ip", "-n", where, "-batch", "-"], input=commands.encode(), check=True)


def _remove_by_ip(host: str) -> None:
    subprocess.run(["ip", "-n", host, "link", "del", "vbench"], check=True)


def _in_namespace(host: str, containers: Sequence[str]) -> dict[str, list[float]]:
    results: list[dict[str, list[float]]] = []

    def visit() -> None:
        descriptor = os.open(Path("/run/netns") / host, os.O_RDONLY)
        namespace.enter(descriptor)
        os.close(descriptor)
        results.append(asyncio.run(_compare(host, containers)))

    thread = threading.Thread(target=visit)
    thread.start()
    thread.join()
    if not results:
        raise RuntimeError("the comparison was broken off; the reason is above")
    return results[0]


@contextmanager
def _namespaces(names: Sequence[str]) -> Iterator[None]:
    made: list[str] = []
    try:
        for name in names:
            subprocess.run(["ip", "netns", "add", name], check=True)
            made.append(name)
        yield
    finally:
        for name in made:
            subprocess.run(["ip", "netns", "delete", name], check=False)


def main() -> None:
    result = run(int(sys.argv[1]) if len(sys.argv) > 1 else 50)
    for name in ("find", "attach", "attach_p99", "detach", "ip_batch"):
        print(f"{name:12} {result[name]:8.2f} ms")
    print(f"{'ratio':12} {result['ratio']:8.2f} (attach to ip_batch)")


if __name__ == "__main__":
    main()
