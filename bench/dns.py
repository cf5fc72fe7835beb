"""DNS answers a second, beside dnsmasq: same names, same client (dnsperf), on loopback, one after the other.

Run ``python -m bench.dns`` for a table, or call ``run()``. It takes a minute and a half.
"""

import asyncio
import contextlib
import os
import random
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, NamedTuple

ROUNDS = 9
SECONDS = 0.6
SIZES = (100, 10_000)
DOMAIN = "tulle.internal"
_FIRST = IPv4Address("10.32.0.0")
_NEW_NAMES = 150_000
_START_WITHIN = 10.0


class Server(NamedTuple):
    """A server that is running."""

    pid: int
    port: int


class Measurement(NamedTuple):
    """What one run of the client showed; ``cpu`` is microseconds of the server's processor time per query."""

    rate: float
    lost: int
    cpu: float


def run() -> dict[str, Any]:
    """Measure. ``{"rows": [...]}``: one row for each case and number of names.

    The two servers take turns, and the ratio is the median of that of each turn: what else the machine does
    meanwhile hits both. Rates are the best of all turns.

    Without dnsmasq and dnsperf there is only ``{"skipped": why}``.
    """
    missing = [program for program in ("dnsmasq", "dnsperf") if shutil.which(program) is None]
    if missing:
        return {"skipped": f"needs {' and '.join(missing)}"}
    with tempfile.TemporaryDirectory(prefix="bench-dns-") as directory:
        cases = _write_queries(Path(directory))
        return {"rows": [row for size in SIZES for row in _compare(size, cases, Path(directory))]}


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    if "skipped" in result:
        return f"DNS: skipped, {result['skipped']}"
    titles = ("query", "names", "tulle/s", "dnsmasq/s", "ratio", "us cpu", "us cpu", "lost")
    rows = [
        (
            row["case"],
            row["names"],
            row["tulle_qps"],
            row["dnsmasq_qps"],
            f"{row['ratio']:.2f}",
            f"{row['tulle_cpu_us']:.1f}",
            f"{row['dnsmasq_cpu_us']:.1f}",
            row["lost"],
        )
        for row in result["rows"]
    ]
    return "\n".join(
        f"{line[0]:<26}" + "".join(f"{cell:>11}" for cell in line[1:]) for line in (titles, *rows)
    )


def _compare(size: int, cases: dict[str, str], directory: Path) -> Iterator[dict[str, Any]]:
    with _ours(size) as ours, _dnsmasq(size, directory) as theirs:
        for case, pattern in cases.items():
            queries = directory / pattern.format(size=size)
            pairs = [(_measure(ours, queries), _measure(theirs, queries)) for _ in range(ROUNDS)]
            tulle = max((pair[0] for pair in pairs), key=lambda one: one.rate)
            dnsmasq = max((pair[1] for pair in pairs), key=lambda one: one.rate)
            yield {
                "case": case,
                "names": size,
                "tulle_qps": round(tulle.rate),
                "dnsmasq_qps": round(dnsmasq.rate),
                "ratio": round(statistics.median(pair[0].rate / pair[1].rate for pair in pairs), 3),
                "tulle_cpu_us": round(min(pair[0].cpu for pair in pairs), 2),
                "dnsmasq_cpu_us": round(min(pair[1].cpu for pair in pairs), 2),
                "lost": sum(pair[0].lost for pair in pairs),
            }


# -- names and queries ------------------------------------------------------------------------------------


def _names(size: int) -> list[tuple[str, IPv4Address]]:
    """``size`` names with one address each, and a hundred with three."""
    ones = [(f"name{number}", _FIRST + number) for number in range(size)]
    threes = [(f"many{number // 3}", _FIRST + (1 << 16) + number) for number in range(300)]
    return ones + threes


def _write_queries(directory: Path) -> dict[str, str]:
    """Files of queries, shuffled once; their names by case, with a place for the number of names."""
    rng = random.Random(1)
    cases = {
        "one address": "one-{size}",
        "three addresses": "three",
        "no such name": "miss-{size}",
        "no such name, never twice": "new",
    }
    lines = {
        "three": [f"many{number}" for number in range(100)],
        "new": [f"x{rng.getrandbits(48):012x}" for _ in range(_NEW_NAMES)],
    }
    for size in SIZES:
        lines[f"one-{size}"] = [f"name{number}" for number in range(size)]
        lines[f"miss-{size}"] = [f"none{number}" for number in range(size)]
    for name, labels in lines.items():
        rng.shuffle(labels)
        (directory / name).write_text("".join(f"{label}.{DOMAIN} A\n" for label in labels))
    return cases


# -- client -----------------------------------------------------------------------------------------------


def _measure(server: Server, queries: Path) -> Measurement:
    before = _cpu(server.pid)
    command = ["dnsperf", "-s", "127.0.0.1", "-p", str(server.port), "-d", str(queries)]
    command += ["-l", str(SECONDS), "-q", "100", "-c", "4"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    completed, lost = _number(said, "Queries completed"), _number(said, "Queries lost")
    used = _cpu(server.pid) - before
    return Measurement(_number(said, "Queries per second"), int(lost), used / completed * 1e6)


def _number(said: str, title: str) -> float:
    found = re.search(rf"{title}:\s+([0-9.]+)", said)
    if found is None:
        raise RuntimeError(f"dnsperf did not say {title!r}:\n{said}")
    return float(found[1])


def _cpu(pid: int) -> float:
    """Seconds of processor time that a process used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# -- servers ----------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _ours(size: int) -> Iterator[Server]:
    port = _free_port()
    with _running([sys.executable, "-m", "bench.dns", "serve", str(port), str(size)], port) as server:
        yield server


@contextlib.contextmanager
def _dnsmasq(size: int, directory: Path) -> Iterator[Server]:
    hosts = directory / f"hosts-{size}"
    hosts.write_text("".join(f"{address} {label}.{DOMAIN}\n" for label, address in _names(size)))
    port = _free_port()
    command = [
        "dnsmasq",
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--pid-file",
        "--no-poll",
        "--no-resolv",
    ]
    command += [f"--port={port}", "--listen-address=127.0.0.1", "--bind-interfaces", "--no-hosts", "--user="]
    command += [f"--addn-hosts={hosts}", f"--local=/{DOMAIN}/", "--local-ttl=1"]
    with _running(command, port) as server:
        yield server


@contextlib.contextmanager
def _running(command: list[str], port: int) -> Iterator[Server]:
    root = Path(__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": f"{root / 'src'}:{root}"}
    with subprocess.Popen(command, env=environment, cwd=root) as process:
        try:
            _wait_until_it_answers(process, port)
            yield Server(process.pid, port)
        finally:
            process.terminate()


def _wait_until_it_answers(process: subprocess.Popen[bytes], port: int) -> None:
    query = bytes.fromhex("000001000001000000000000") + b"\x05name1\x05tulle\x08internal\0\0\1\0\1"
    give_up = time.monotonic() + _START_WITHIN
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.settimeout(0.1)
        probe.connect(("127.0.0.1", port))
        while time.monotonic() < give_up and process.poll() is None:
            with contextlib.suppress(OSError):
                probe.send(query)
                probe.recv(512)
                return
            time.sleep(0.02)
    raise RuntimeError(f"{process.args!r} does not answer")


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def _serve(port: int, size: int) -> None:
    from tulle.host.dns_server import DnsServer
    from tulle.instant import Instant
    from tulle.mesh.peername import PeerName
    from tulle.names.nameserver import Nameserver
    from tulle.names.resolver import Resolver

    nameserver = Nameserver(PeerName(1), DOMAIN)
    for number, (label, address) in enumerate(_names(size)):
        nameserver.add(f"c{number}", label, address, Instant(0, 0))
    nameserver.collect()
    nameserver.outbox.clear()
    server = DnsServer(Resolver(nameserver, 1, random.Random(1)), ("127.0.0.1", port), Path("/dev/null"))
    await server.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        asyncio.run(_serve(int(sys.argv[2]), int(sys.argv[3])))
    else:
        print(table(run()))
