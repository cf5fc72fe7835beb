"""A cluster started at once: how long until everybody is connected to everybody, and what the gossip costs.

Run as root: ``python bench/mesh_start.py [COUNT...]``. Real daemons, one in each network namespace, all told
of the first one only. The clock starts when the last of them answers. When that was, and when each had
everybody, is read in their logs: reports of so many peers, asked for again and again, would cost the machine
more than what is measured.
"""

import json
import re
import sys
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from lab.host import Host
from lab.lab import Lab

COUNTS = (20, 40)
GIVE_UP = 300.0
_READY = re.compile(r"^(?P<at>\S+ \S+) INFO .* is ready on port (?P<what>\d+)$", re.MULTILINE)
_CARRIES = re.compile(r"^(?P<at>\S+ \S+) INFO frames to (?P<what>[0-9a-f:]+)\(.*\) go by ", re.MULTILINE)
"""What a daemon says of a peer when the connection is established."""
SHOW = ("ip", "-json", "link", "show", "eth0")
COUNTERS = """
table inet bench {
    counter sent { }
    chain out {
        type filter hook output priority 0
        tcp sport 6783 counter name sent
        tcp dport 6783 counter name sent
    }
}
"""


def run() -> dict[str, Any]:
    """Clusters of each size, one after the other."""
    return {"sizes": [measure(count) for count in COUNTS]}


def measure(count: int) -> dict[str, float]:
    """Seconds from the last answer to the full mesh, bytes of TCP until then (all hosts together)."""
    with Lab() as lab:
        hosts = lab.make_hosts(count)
        _introduce(hosts)
        for host in hosts:
            host.run("nft", "-f", "-", text=COUNTERS)
        began = datetime.now()
        for host in hosts:
            host.begin_launch(*(() if host is hosts[0] else (hosts[0],)))
        answered = _wait(hosts, lambda log: _moment(_READY, 1, log))
        meshed = _wait(hosts, lambda log: _moment(_CARRIES, count - 1, log))
        sent = sum(_bytes_sent(host) for host in hosts)
        for host in hosts:
            established = _established(host.report())
            assert established == count - 1, f"{host.short} lost some of its connections again"
    return {
        "daemons": count,
        "answer_s": (answered - began).total_seconds(),
        "mesh_s": max(0.0, (meshed - answered).total_seconds()),
        "tcp_bytes": sent,
    }


def _introduce(hosts: Sequence[Host]) -> None:
    """Tell every host the hardware addresses of all others.

    All namespaces together may look up a thousand (``gc_thresh3``), which are too few for forty hosts; known
    ones do not count.
    """
    macs = {host: json.loads(host.run(*SHOW).stdout)[0]["address"] for host in hosts}
    for host in hosts:
        host.ip(
            *(
                f"neighbour replace {other.address} lladdr {macs[other]} dev eth0 nud permanent"
                for other in hosts
                if other is not host
            )
        )


def _wait(hosts: Sequence[Host], moment: Callable[[str], datetime | None]) -> datetime:
    """The latest of all hosts' moments, by their logs."""
    deadline = time.monotonic() + GIVE_UP
    found = []
    for host in hosts:
        while (at := moment(host.log.read_text())) is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{host.short} did not get there in {GIVE_UP:.0f} s")
            time.sleep(0.2)
        found.append(at)
    return max(found)


def _moment(line: re.Pattern[str], count: int, log: str) -> datetime | None:
    """When a log had so many different lines of this kind."""
    seen = set()
    for match in line.finditer(log):
        seen.add(match["what"])
        if len(seen) == count:
            return datetime.fromisoformat(match["at"])
    return None


def _established(report: Any) -> int:
    return sum(one["State"] == "established" for one in report["Router"]["Connections"])


def _bytes_sent(host: Host) -> int:
    listed = json.loads(host.run("nft", "-j", "list", "counters", "table", "inet", "bench").stdout)
    return sum(entry["counter"]["bytes"] for entry in listed["nftables"] if "counter" in entry)


def main() -> None:
    """Print a table for each size."""
    for count in map(int, sys.argv[1:] or COUNTS):
        for name, value in measure(count).items():
            print(f"{name:>10}  {value:,.2f}")


if __name__ == "__main__":
    main()
