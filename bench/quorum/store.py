"""A network that keeps addresses and names in etcd, reduced to the requests that it makes of the store.

The way of the networks that need one: a pool of addresses is one record, changed by compare-and-swap; an
endpoint's name is a record that whoever resolves it reads. Reads are linearizable, etcd's default, as a stale
one could hand an address out twice.
"""

import base64
import json
import subprocess
import time
import urllib.error
import urllib.request
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from lab.host import Host
from lab.wait import wait_until

PATIENCE = 3.0
"""Seconds after which an operation counts as failed."""
_TRY = 1.0
_POOL = "pool"
_FIRST = IPv4Address("10.40.0.1")


class Unavailable(Exception):
    """The store did not answer in time."""


class Member:
    """One etcd process on a host."""

    def __init__(self, host: Host, hosts: list[Host]) -> None:
        self.host = host
        cluster = ",".join(f"{one.short}=http://{one.address}:2380" for one in hosts)
        self._process: subprocess.Popen[str] = host.start(
            "etcd", "--name", host.short, "--data-dir", str(Path(host.directory) / "etcd"),
            "--listen-client-urls", f"http://{host.address}:2379",
            "--advertise-client-urls", f"http://{host.address}:2379",
            "--listen-peer-urls", f"http://{host.address}:2380",
            "--initial-advertise-peer-urls", f"http://{host.address}:2380",
            "--initial-cluster", cluster, "--log-level", "error",
        )  # fmt: skip

    def end(self) -> None:
        """End it and wait."""
        self._process.kill()
        self._process.wait()


class StoreClient:
    """What the network's agent on one host does. Every operation raises Unavailable after ``PATIENCE``."""

    def __init__(self, host: Host, members: list[Host]) -> None:
        self._host = host
        near = [one for one in members if one is host]
        self._members = [*near, *(one for one in members if one is not host)]

    def wait_ready(self) -> None:
        """Until the store answers."""
        wait_until(self._answers, 30, "etcd answers")

    def allocate(self, ident: str) -> str:
        """A free address for a container."""
        until = time.monotonic() + PATIENCE
        while True:
            used, revision = self._read(_POOL, until)
            count = int(used or 0)
            swap = {
                "compare": [{"key": _b64(_POOL), "target": "MOD", "mod_revision": revision}],
                "success": [
                    {"request_put": {"key": _b64(_POOL), "value": _b64(str(count + 1))}},
                    {"request_put": {"key": _b64(f"address/{ident}"), "value": _b64(str(_FIRST + count))}},
                ],
            }
            if self._ask("txn", swap, until).get("succeeded"):
                return str(_FIRST + count)

    def release(self, ident: str) -> None:
        """Give a container's address back."""
        self._ask("deleterange", {"key": _b64(f"address/{ident}")}, time.monotonic() + PATIENCE)

    def register(self, ident: str, name: str, address: str) -> None:
        """Make a name known."""
        put = {"key": _b64(f"name/{name}"), "value": _b64(address)}
        self._ask("put", put, time.monotonic() + PATIENCE)

    def resolve(self, name: str) -> str | None:
        """The address of a name."""
        return self._read(f"name/{name}", time.monotonic() + PATIENCE)[0]

    def _answers(self) -> bool:
        try:
            self._read(_POOL, time.monotonic() + _TRY)
        except Unavailable:
            return False
        return True

    def _read(self, key: str, until: float) -> tuple[str | None, int]:
        found = self._ask("range", {"key": _b64(key)}, until).get("kvs", [])
        if not found:
            return None, 0
        return base64.b64decode(found[0]["value"]).decode(), int(found[0]["mod_revision"])

    def _ask(self, what: str, body: dict[str, Any], until: float) -> dict[str, Any]:
        """Ask one member after the other until one answers."""
        while True:
            for member in self._members:
                left = min(_TRY, until - time.monotonic())
                if left <= 0:
                    raise Unavailable(what)
                try:
                    return _post(f"http://{member.address}:2379/v3/kv/{what}", body, left)
                except (OSError, urllib.error.URLError):
                    time.sleep(min(0.05, max(0.0, until - time.monotonic())))


def _post(url: str, body: dict[str, Any], timeout: float) -> dict[str, Any]:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=timeout) as answer:
        result: dict[str, Any] = json.load(answer)
        return result


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
