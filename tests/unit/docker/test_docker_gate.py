"""The gate, and the helper that waits at it, without a container around it."""

import asyncio
import errno
import os
import platform
import re
import signal
import subprocess
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

import pytest
from raw_engine import ID

from tulle.docker import gate as gates
from tulle.docker.gate import Gate, Outcome, explained
from tulle.errors import UserError

CANNOT = "failed to create shim task: OCI runtime create failed: runc create failed: unable to start"


@dataclass
class Fence:
    """A gate behind which attaching waits for ``let``, and raises ``error`` if there is one."""

    gate: Gate
    let: asyncio.Event = field(default_factory=asyncio.Event)
    error: Exception | None = None
    attached: list[str] = field(default_factory=list)
    began: asyncio.Event = field(default_factory=asyncio.Event)
    given_up: asyncio.Event = field(default_factory=asyncio.Event)

    async def attach(self, ident: str) -> None:
        self.attached.append(ident)
        self.began.set()
        try:
            await self.let.wait()
        except asyncio.CancelledError:
            self.given_up.set()
            raise
        if self.error is not None:
            raise self.error

    async def knock(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_unix_connection(self.gate.directory / gates.GATE)


@pytest.fixture
async def fence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Fence]:
    monkeypatch.setattr(gates, "_container_of", lambda pid: ID)
    monkeypatch.setattr(gates, "_command_of", lambda pid: "serve")
    made = Fence(Gate(tmp_path / "wait", lambda ident: made.attach(ident)))
    await made.gate.start()
    yield made
    await made.gate.stop()


async def test_a_container_passes_when_it_is_attached(fence: Fence) -> None:
    with fence.gate.expect(ID) as waiting:
        reader, writer = await fence.knock()
        asyncio.get_running_loop().call_soon(fence.let.set)
        assert await reader.read(10) == b"g"
        assert not waiting.done()
        writer.close()
        assert await waiting == Outcome()
    assert fence.attached == [ID]


async def test_a_refusal_is_told_to_who_waits_for_it(fence: Fence) -> None:
    fence.error = UserError("no address is free")
    fence.let.set()
    with fence.gate.expect(ID) as waiting:
        reader, writer = await fence.knock()
        assert await reader.read() == b"q"
        assert await waiting == Outcome(500, "no address is free")
        writer.close()


async def test_a_refusal_that_nobody_waits_for_is_printed_in_the_container(fence: Fence) -> None:
    fence.error = UserError("no address is free")
    fence.let.set()
    reader, writer = await fence.knock()
    assert await reader.read() == b"qtulle: no address is free\n"
    writer.close()


async def test_a_command_that_cannot_run(fence: Fence) -> None:
    fence.let.set()
    with fence.gate.expect(ID) as waiting:
        reader, writer = await fence.knock()
        assert await reader.readexactly(1) == b"g"
        writer.write(bytes([errno.ENOENT]) + b"p")
        assert await reader.read() == b"q"
        assert await waiting == Outcome(
            400, f'{CANNOT} container process: exec: "serve": executable file not found in $PATH: unknown'
        )
        writer.close()


async def test_who_ends_while_it_waits_is_not_attached(fence: Fence) -> None:
    _, writer = await fence.knock()
    await fence.began.wait()
    writer.close()
    await fence.given_up.wait()
    await fence.gate.passed(ID)
    assert not fence.gate.waiting()


async def test_attaching_is_done_once_for_all_who_want_it(fence: Fence) -> None:
    knocks = [await fence.knock() for _ in range(3)]
    asked = asyncio.create_task(fence.gate.attach(ID))
    await fence.began.wait()
    passing = asyncio.create_task(fence.gate.passed(ID))
    fence.let.set()
    for reader, writer in knocks:
        assert await reader.readexactly(1) == b"g"
        writer.close()
    await asked
    await passing
    assert len(fence.attached) < 4


@pytest.mark.parametrize(
    ("error", "failure", "started", "words"),
    [
        (errno.ENOENT, b"s", False, 'exec: "serve": stat serve: no such file or directory: unknown'),
        (errno.EACCES, b"x", False, 'exec: "serve": permission denied: unknown'),
        (errno.ENOEXEC, b"e", True, "exec serve: exec format error"),
        (250, b"\xff", False, "unknown"),
    ],
)
def test_docker_has_words_for_each_failure(error: int, failure: bytes, started: bool, words: str) -> None:
    got = explained(error, failure[0], "serve")
    assert got[0] == started
    assert got[1].endswith(words)


async def test_the_helper_is_there_and_may_be_run_by_all(fence: Fence) -> None:
    helper = fence.gate.directory / gates.HELPER
    assert (
        helper.read_bytes()
        == (resources.files("tulle.docker.wait") / f"wait-{platform.machine()}").read_bytes()
    )
    assert helper.stat().st_mode & 0o777 == 0o755
    assert (fence.gate.directory / gates.GATE).stat().st_mode & 0o777 == 0o666
    before = helper.stat().st_ino
    again = Gate(fence.gate.directory, fence.attach)
    await again.start()
    await again.stop()
    assert helper.stat().st_ino == before


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_helper_needs_nothing(machine: str) -> None:
    """A few kB, linked statically: no program header asks for an interpreter or a library."""
    program = (resources.files("tulle.docker.wait") / f"wait-{machine}").read_bytes()
    assert len(program) < 8000
    assert program[:5] == b"\x7fELF\x02"
    kinds = [
        int.from_bytes(program[at : at + 4], "little")
        for at in range(64, 64 + 56 * int.from_bytes(program[56:58], "little"), 56)
    ]
    assert 1 in kinds
    assert not {2, 3} & set(kinds)


def test_who_waits_can_be_told_to_end() -> None:
    """The first process of a container ignores signals that it has no handler for."""
    helper = resources.files("tulle.docker.wait") / f"wait-{platform.machine()}"
    process = subprocess.Popen([str(helper), "echo", "never"], stdout=subprocess.PIPE)
    while not _catches(process.pid, signal.SIGTERM):
        os.sched_yield()
    process.terminate()
    assert process.communicate()[0] == b""
    assert process.returncode == 128 + signal.SIGTERM


def _catches(pid: int, number: int) -> bool:
    caught = re.search(r"SigCgt:\s*([0-9a-f]+)", Path(f"/proc/{pid}/status").read_text())
    return caught is not None and bool(int(caught[1], 16) >> (number - 1) & 1) and _program(pid) == "wait"


def _program(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().partition("-")[0]
