"""Allocations over the API, each on disk before it is answered: with few held addresses and with many.

Run as root: ``python bench/allocate.py``. One real daemon; one connection to its socket; the same number of
allocations is timed when 100 and when 5,000 addresses are held, in turns so that the load of the machine
hits both alike.
"""

import http.client
import socket
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from lab.host import Host
from lab.lab import Lab

FEW, MANY, ROUND, ROUNDS = 100, 5000, 200, 7


def run() -> dict[str, float]:
    """Allocations per second with few and with many held addresses, and the ratio."""
    with Lab() as lab:
        few, many = lab.make_hosts(2)
        clients = {}
        for host, held in ((few, FEW), (many, MANY)):
            host.launch()
            clients[host] = Client(host)
            clients[host].allocate("held", held)
        rates: dict[Host, list[float]] = {few: [], many: []}
        for number in range(ROUNDS):
            for host, client in clients.items():
                began = time.perf_counter()
                client.allocate(f"round{number}", ROUND)
                rates[host].append(ROUND / (time.perf_counter() - began))
                client.free(f"round{number}", ROUND)
    speed = {host: statistics.median(values) for host, values in rates.items()}
    return {
        f"per_second_{FEW}_held": speed[few],
        f"per_second_{MANY}_held": speed[many],
        "ratio": speed[many] / speed[few],
    }


class Client:
    """One connection to a daemon's control socket, kept open."""

    def __init__(self, host: Host) -> None:
        self._connection = http.client.HTTPConnection("localhost")
        self._connection.sock = socket.socket(socket.AF_UNIX)
        self._connection.sock.connect(str(host.socket_path))

    def allocate(self, name: str, count: int) -> None:
        """Have ``count`` holders called after ``name`` hold an address each."""
        for number in range(count):
            self._request("POST", f"/ip/{name}-{number}", 200)

    def free(self, name: str, count: int) -> None:
        """Undo that."""
        for number in range(count):
            self._request("DELETE", f"/ip/{name}-{number}", 204)

    def _request(self, method: str, path: str, expected: int) -> None:
        self._connection.request(method, path)
        answer = self._connection.getresponse()
        body = answer.read()
        assert answer.status == expected, f"{method} {path}: {answer.status} {body!r}"


def main() -> None:
    """Print one table."""
    for name, value in run().items():
        print(f"{name:>22}  {value:,.2f}")


if __name__ == "__main__":
    main()
