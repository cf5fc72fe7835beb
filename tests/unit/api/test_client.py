"""What users are told when the daemon cannot be asked."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tulle.api import client as module
from tulle.api.client import Client, NotRunning, Refused
from tulle.errors import UserError


@contextmanager
def answering(path: Path, answer: Callable[[socket.socket], None]) -> Generator[None]:
    """Somebody who takes one connection and does what ``answer`` says."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                answer(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        yield
        thread.join()


def reply(status: str, body: str = "") -> Callable[[socket.socket], None]:
    def answer(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())

    return answer


def test_nobody_there(tmp_path: Path) -> None:
    path = tmp_path / "tulle.sock"
    with pytest.raises(NotRunning, match="start it with `weave launch`"):
        Client(str(path), "weave").get("status")
    assert Client(str(path)).pid() is None
    with socket.socket(socket.AF_UNIX) as abandoned:
        abandoned.bind(str(path))
    with pytest.raises(NotRunning):
        Client(str(path)).get("status")
    assert not Client(str(path)).is_running()


def test_not_a_socket(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError):
        Client(str(tmp_path / "file")).get("status")
    with pytest.raises(NotRunning):
        Client(str(tmp_path / "file" / "tulle.sock")).get("status")


def test_no_permission(tmp_path: Path) -> None:
    """As root every socket can be opened, so the kernel's answer is played."""
    client = Client(str(tmp_path / "tulle.sock"))
    assert "run this command as root" in str(client._unreachable(PermissionError(13, "Permission denied")))


def test_an_answer_and_a_refusal(tmp_path: Path) -> None:
    path = tmp_path / "one.sock"
    with answering(path, reply("200 OK", "fine")):
        assert Client(str(path)).get("status") == "fine"
    path = tmp_path / "two.sock"
    with (
        answering(path, reply("409 Conflict", "it clashes\n")),
        pytest.raises(Refused, match=r"^it clashes$") as caught,
    ):
        Client(str(path)).get("status")
    assert caught.value.status == 409
    path = tmp_path / "three.sock"
    with answering(path, reply("502 Bad Gateway")), pytest.raises(Refused, match="status 502"):
        Client(str(path)).get("status")


@pytest.mark.parametrize(
    "garbage", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"]
)
def test_a_daemon_that_dies_while_it_answers(tmp_path: Path, garbage: bytes) -> None:
    def answer(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(garbage)

    path = tmp_path / "tulle.sock"
    with answering(path, answer), pytest.raises(UserError, match="ended or failed before it answered"):
        Client(str(path)).get("status")


def test_a_daemon_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    path = tmp_path / "tulle.sock"
    done = threading.Event()
    with answering(path, lambda _: done.wait() and None):
        with pytest.raises(UserError, match="has not answered within"):
            Client(str(path)).get("status")
        done.set()


def test_everything_is_quoted(tmp_path: Path) -> None:
    seen: list[bytes] = []

    def answer(connection: socket.socket) -> None:
        seen.append(connection.recv(65536).partition(b" HTTP")[0])
        connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    path = tmp_path / "tulle.sock"
    with answering(path, answer):
        Client(str(path)).request("DELETE", ["peer", "a/b?c d\udc80"], {"x": ["1&2", "é"]})
    assert seen == [b"DELETE /peer/a%2Fb%3Fc%20d%80?x=1%262&x=%C3%A9"]


def test_the_process_behind_the_socket_and_its_end(tmp_path: Path) -> None:
    path = str(tmp_path / "tulle.sock")
    program = (
        "import socket,sys; s=socket.socket(1); s.bind(sys.argv[1]); s.listen(); print(); sys.stdin.read()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with child:
        assert child.stdout is not None
        child.stdout.readline()
        client = Client(path)
        assert client.pid() == child.pid
        assert not client.wait_gone(child.pid, 0.01)
        assert not client.wait_gone(0, 0.01)
        child.communicate()
        assert client.wait_gone(child.pid)
        assert client.wait_gone(0)


def test_a_process_that_is_gone_already(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert not os.path.exists(f"/proc/{child.pid}")
    assert Client(str(tmp_path / "x")).wait_gone(child.pid)
