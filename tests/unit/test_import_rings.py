"""The rings of the architecture hold: no import points outwards, and the pure ring touches nothing real.

docs/architecture.md explains the rings. What a ring may import is listed here and only here.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "tulle"

PURE = {"errors", "instant", "hkdf", "mesh", "ipam", "names", "datapath", "node", "sim"}
"""Values and state machines: no input or output, no clock, no randomness of its own."""

HOST = {"host"}
"""The only code that touches this machine."""

APP = {"daemon", "api", "cli", "docker", "cni", "web"}
"""Wiring, HTTP and processes."""

CLI = {"cli"}
"""Started for every command, so it must start fast: it talks to the daemon and imports nothing of it."""

REAL_WORLD = frozenset(
    """
    asyncio concurrent ctypes fcntl logging mmap multiprocessing os pathlib queue sched secrets select
    selectors shutil signal socket socketserver sqlite3 ssl subprocess sys tempfile threading time urllib uuid
    """.split()  # noqa: SIM905 - one word per module reads better than thirty quoted strings
)
"""Modules of the standard library that the pure ring must not import."""

PURE_LIBRARIES = {"nacl", "cryptography", "msgspec", "dns"}
"""Third-party packages that compute and do nothing else."""

DAEMON_LIBRARIES = {"aiohttp", "pyroute2", "cryptography", "nacl", "prometheus_client", "dns"}
"""Slow to import: only the daemon may pay for them, never a command."""

DNSPYTHON_IO = {"dns.query", "dns.asyncquery", "dns.resolver", "dns.asyncresolver", "dns.zone"}


@dataclass(frozen=True)
class Import:
    """One imported module, absolute, with the names taken from it ("" for the module itself)."""

    path: Path
    line: int
    module: str
    name: str
    deferred: bool
    """Whether it happens in a function, so not when the module is imported."""

    @property
    def top(self) -> str:
        return self.module.partition(".")[0]

    @property
    def part(self) -> str | None:
        """The package or module right under tulle, None when it is not ours."""
        if self.top != "tulle":
            return None
        steps = self.module.split(".")
        return steps[1] if len(steps) > 1 else self.name

    def __str__(self) -> str:
        what = f"{self.module}.{self.name}" if self.name else self.module
        return f"{self.path.relative_to(ROOT)}:{self.line} imports {what}"


def _absolute(path: Path, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    package = path.relative_to(SOURCE.parent).with_suffix("").parts
    base = package[: len(package) - node.level]
    return ".".join((*base, *(node.module or "").split("."))).rstrip(".")


def _walk(node: ast.AST, deferred: bool) -> Iterator[tuple[ast.AST, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child, deferred
        inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
        yield from _walk(child, deferred or inside)


def imports_of(path: Path, text: str) -> Iterator[Import]:
    for node, deferred in _walk(ast.parse(text), deferred=False):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(path, node.lineno, alias.name, "", deferred)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield Import(path, node.lineno, _absolute(path, node), alias.name, deferred)


def part_of(path: Path) -> str:
    """The ring member a file belongs to: the package right under tulle, or the module itself."""
    return path.relative_to(SOURCE).with_suffix("").parts[0]


def files_of(parts: set[str]) -> list[Path]:
    return sorted(path for path in SOURCE.rglob("*.py") if part_of(path) in parts)


def imports_in(parts: set[str]) -> list[Import]:
    return [found for path in files_of(parts) for found in imports_of(path, path.read_text())]


def wrong_in_pure(found: Import) -> bool:
    if found.part is not None:
        return found.part not in PURE
    if found.top == "random":
        return found.name not in {"", "Random"}
    if found.module in DNSPYTHON_IO or (found.module == "dns" and f"dns.{found.name}" in DNSPYTHON_IO):
        return True
    return found.top in REAL_WORLD or (not _is_standard(found.top) and found.top not in PURE_LIBRARIES)


def _is_standard(module: str) -> bool:
    return module in sys.stdlib_module_names


def complaints(imports: list[Import]) -> str:
    return "\n".join(str(found) for found in imports)


def test_every_part_belongs_to_a_ring() -> None:
    parts = {part_of(path) for path in SOURCE.rglob("*.py")} - {"__init__", "__main__"}
    assert parts <= PURE | HOST | APP


def test_the_pure_ring_computes_and_does_nothing_else() -> None:
    wrong = [found for found in imports_in(PURE) if wrong_in_pure(found)]
    assert not wrong, complaints(wrong)


def _calls_of_the_random_module(path: Path) -> Iterator[str]:
    """``random.choice(...)`` and the like; ``random.Random`` as a type is what is wanted instead."""
    for node in ast.walk(ast.parse(path.read_text())):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "random"
            and node.attr != "Random"
        ):
            yield f"{path.relative_to(ROOT)}:{node.lineno} uses random.{node.attr}"


def test_randomness_in_the_pure_ring_is_handed_in() -> None:
    wrong = [text for path in files_of(PURE) for text in _calls_of_the_random_module(path)]
    assert not wrong, "\n".join(wrong)


def test_the_host_ring_knows_nothing_of_the_application() -> None:
    wrong = [found for found in imports_in(HOST) if found.part in APP]
    assert not wrong, complaints(wrong)


def test_no_ring_but_the_application_knows_the_simulator() -> None:
    wrong = [found for found in imports_in((PURE | HOST) - {"sim"}) if found.part == "sim"]
    assert not wrong, complaints(wrong)


def test_commands_start_without_the_libraries_of_the_daemon() -> None:
    wrong = [found for found in imports_in(CLI) if found.top in DAEMON_LIBRARIES and not found.deferred]
    assert not wrong, complaints(wrong)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("import asyncio", True),
        ("import os.path", True),
        ("from time import monotonic", True),
        ("def f():\n    import socket", True),
        ("from random import Random", False),
        ("import random", False),
        ("from random import choice", True),
        ("import struct, heapq, ipaddress", False),
        ("from nacl.bindings import crypto_secretbox", False),
        ("import dns.message", False),
        ("from dns import query", True),
        ("import pyroute2", True),
        ("from tulle.ipam.ring import Ring", False),
        ("from tulle import instant", False),
        ("from tulle.host.store import Store", True),
        ("from ..host import store", True),
        ("from .peername import PeerName", False),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import random", False),
    ],
)
def test_the_judge_itself(text: str, wrong: bool) -> None:
    found = list(imports_of(SOURCE / "mesh" / "example.py", text))
    assert any(map(wrong_in_pure, found)) is wrong


def _tracked_text_files() -> Iterator[tuple[Path, str]]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    for name in listed.stdout.decode().split("\0"):
        path = ROOT / name
        if name and path.is_file():
            content = path.read_bytes()
            if b"\0" not in content:
                yield path, content.decode("utf-8", "replace")


def test_no_file_names_a_place_that_only_one_machine_has() -> None:
    places = tuple(f"/{place}/" for place in ("work", "root", "home", "Users"))
    wrong = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for path, text in _tracked_text_files()
        for number, line in enumerate(text.splitlines(), 1)
        if any(f"{before}{place}" in f" {line}" for place in places for before in " \"'=(")
    ]
    assert not wrong, "\n".join(wrong)


def test_no_file_names_the_host_of_a_package_index() -> None:
    marker = "--index" + "-url"
    wrong = [
        str(path.relative_to(ROOT))
        for path, text in _tracked_text_files()
        if path.name.endswith(".lock") and ("://" in text or marker in text)
    ]
    assert not wrong, "\n".join(wrong)
