"""Who answers Docker: the daemon while it lives, the responder when it has gone, however it went."""

import asyncio
import http.client
import json
import socket
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tulle.docker.plugin.lease import Lease, borrow
from tulle.docker.plugin.responder import GIVEN_BACK, answer
from tulle.errors import UserError


class Places:
    """Where the two sockets are."""

    def __init__(self, directory: Path) -> None:
        self.plugin = directory / "plugins" / "tulle.sock"
        self.lease = directory / "lease.sock"

    async def borrow(self) -> Lease:
        return await borrow(self.plugin, self.lease)

    def post(self, call: str) -> tuple[int, dict[str, object]]:
        """What Docker gets to hear."""
        connection = http.client.HTTPConnection("localhost", timeout=10)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(10)
        connection.sock.connect(str(self.plugin))
        try:
            connection.request("POST", f"/{call}", b"{}")
            said = connection.getresponse()
            return said.status, json.loads(said.read())
        finally:
            connection.close()


@pytest.fixture
async def places(tmp_path: Path) -> AsyncGenerator[Places]:
    made = Places(tmp_path)
    yield made
    if made.lease.exists():
        (await made.borrow()).give_back(end=True)


async def test_the_responder_answers_when_the_daemon_has_gone(places: Places) -> None:
    lease = await places.borrow()
    assert lease.listener.getsockname() == str(places.plugin)
    assert places.plugin.stat().st_mode & 0o077 == 0
    lease.give_back(end=False)
    assert places.post("Plugin.Activate") == (200, {"Implements": ["NetworkDriver", "IpamDriver"]})
    assert places.post("NetworkDriver.Leave") == (200, {})
    status, said = places.post("IpamDriver.RequestAddress")
    assert status == 503
    assert "start it with `tulle launch`" in str(said["Err"])


async def test_the_next_daemon_gets_the_same_socket_and_its_callers(places: Places) -> None:
    (await places.borrow()).give_back(end=False)
    inode = places.plugin.stat().st_ino
    lease = await places.borrow()
    assert places.plugin.stat().st_ino == inode
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(str(places.plugin))
        lease.listener.settimeout(10)
        accepted, _ = lease.listener.accept()
        accepted.close()
    lease.give_back(end=False)


async def test_daemons_that_follow_each_other_at_once(places: Places) -> None:
    for _ in range(50):
        (await places.borrow()).give_back(end=False)
    assert places.post("NetworkDriver.Leave") == (200, {})


async def test_a_socket_that_somebody_removed_is_made_again(places: Places) -> None:
    (await places.borrow()).give_back(end=False)
    places.plugin.unlink()
    lease = await places.borrow()
    assert places.plugin.exists()
    lease.give_back(end=False)
    assert places.post("NetworkDriver.Leave") == (200, {})


async def test_what_a_dead_process_left_is_replaced(places: Places) -> None:
    places.plugin.parent.mkdir()
    for path in (places.plugin, places.lease):
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(path))
    (await places.borrow()).give_back(end=False)
    assert places.post("NetworkDriver.Leave") == (200, {})


async def test_two_daemons_do_not_share_a_socket(places: Places) -> None:
    lease = await places.borrow()
    with pytest.raises(UserError, match="another daemon serves"):
        await places.borrow()
    lease.give_back(end=False)


async def test_nothing_is_left_when_nothing_is_left_to_answer_for(places: Places) -> None:
    (await places.borrow()).give_back(end=True)
    async with asyncio.timeout(30):
        while places.lease.exists():  # noqa: ASYNC110 - the responder is another process
            await asyncio.sleep(0.01)
    assert not places.plugin.exists()


async def test_a_place_where_no_socket_can_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be had"):
        await borrow(tmp_path / "file" / "tulle.sock", tmp_path / "lease.sock")


def test_everything_given_back_is_taken() -> None:
    assert all(answer(call) == (200, {}) for call in GIVEN_BACK)
    assert answer("NetworkDriver.CreateEndpoint")[0] == 503
    assert answer("")[0] == 503
