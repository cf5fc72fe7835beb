"""What tests of the host ring share besides fixtures."""

import json
from collections.abc import Coroutine
from typing import Any, Protocol, TypeVar

from lab.namespace import Namespace

Result = TypeVar("Result")

MAC = "02:00:00:00:00:01"
"""Of the bridge of the host under test."""


class Run(Protocol):
    """Runs a coroutine in an event loop that lives in the host under test."""

    def __call__(self, work: Coroutine[Any, Any, Result]) -> Result: ...


def shown(space: Namespace, *what: str) -> Any:
    """What ``ip`` tells of a namespace."""
    return json.loads(space.run("ip", "-json", "-details", *what).stdout or "[]")


def link(space: Namespace, name: str) -> Any:
    """What ``ip link`` tells of one link."""
    return shown(space, "link", "show", name)[0]


def has_filter_hooks(space: Namespace, name: str) -> bool:
    """Whether programs could be put on a link without an interruption."""
    return "clsact" in space.run("tc", "qdisc", "show", "dev", name).stdout


def setting(space: Namespace, name: str) -> str:
    """A kernel setting below ``net``."""
    return space.run("cat", f"/proc/sys/net/{name}").stdout.strip()
