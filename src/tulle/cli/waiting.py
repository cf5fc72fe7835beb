"""Requests that may wait for other hosts: after a moment, tell the user what for."""

import re
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager

from tulle.api.client import Client
from tulle.cli.session import note
from tulle.errors import UserError

PATIENCE = 2.0
_IPAM_STATUS = re.compile(r"Service: ipam\n +Status: (.*)")


@contextmanager
def explained(client: Client, what: str, tell: Callable[[str], None] = note) -> Generator[None]:
    """While the block takes longer than PATIENCE seconds, say once why that is."""
    done = threading.Event()

    def explain() -> None:
        if not done.wait(PATIENCE):
            tell(f"still waiting for {what}{_reason(client)}; Ctrl-C gives up")

    watcher = threading.Thread(target=explain, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _reason(client: Client) -> str:
    try:
        found = _IPAM_STATUS.search(client.get("status"))
    except UserError:
        return ""
    return f" ({found[1]})" if found and found[1] != "ready" else ""
