"""Who is at home, and what to say before somebody's addresses are given away."""

import asyncio
import socket

import pytest

from tulle.daemon.knocking import Door, knock, objection


async def test_a_daemon_that_runs_opens() -> None:
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        assert await knock(server.sockets[0].getsockname()) is Door.OPEN


async def test_a_machine_without_a_daemon_says_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = free.getsockname()
    assert await knock(address) is Door.CLOSED


async def test_whatever_else_happens_is_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    async def unreachable(*address: object) -> object:
        raise OSError("no route to host")

    monkeypatch.setattr(asyncio, "open_connection", unreachable)
    assert await knock(("10.0.0.1", 6783)) is Door.SILENT


async def test_nobody_is_waited_for_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tulle.daemon.knocking.PATIENCE", 0.01)
    monkeypatch.setattr(asyncio, "open_connection", lambda *address: asyncio.sleep(60))
    assert await knock(("10.0.0.1", 6783)) is Door.SILENT


@pytest.mark.parametrize(
    ("door", "said"),
    [(Door.OPEN, "it runs"), (Door.SILENT, "it may be off, or run and be cut off")],
)
def test_what_is_not_known_is_said_with_what_force_risks(door: Door, said: str) -> None:
    problem = objection("h3", ("10.0.0.3", 6783), door)
    assert problem is not None
    assert "h3" in str(problem)
    assert said in str(problem)
    assert "--force" in str(problem)
    assert "twice" in str(problem)


def test_a_peer_that_nobody_ever_met() -> None:
    assert "not known where h3 was" in str(objection("h3", None, Door.SILENT))


def test_a_closed_door_is_no_objection() -> None:
    assert objection("h3", ("10.0.0.3", 6783), Door.CLOSED) is None
