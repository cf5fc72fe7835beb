"""Listening sockets: private from the first moment, never in the way of a living daemon."""

import os
import socket
import stat
from pathlib import Path

import pytest

from tulle.api.listen import parse_listen
from tulle.api.sockets import is_answering, listen, listen_unix, remove_socket
from tulle.errors import UserError


def test_only_the_owner_can_connect(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "down" / "tulle.sock"
    before = os.umask(0)
    try:
        with listen_unix(str(path)):
            assert stat.S_IMODE(path.lstat().st_mode) == 0o600
        assert os.umask(0) == 0
    finally:
        os.umask(before)


def test_a_socket_left_behind_is_replaced(tmp_path: Path) -> None:
    path = str(tmp_path / "tulle.sock")
    listen_unix(path).close()
    assert not is_answering(path)
    with listen_unix(path):
        assert is_answering(path)


def test_a_living_daemon_is_left_alone(tmp_path: Path) -> None:
    path = str(tmp_path / "tulle.sock")
    with listen_unix(path), pytest.raises(UserError, match="another daemon is already listening") as caught:
        listen_unix(path)
    assert caught.value.status == 409


def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "tulle.sock"
    path.write_text("precious")
    with pytest.raises(UserError, match="a file that is not a socket"):
        listen_unix(str(path))
    assert path.read_text() == "precious"


def test_only_our_own_socket_file_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "tulle.sock"
    with listen_unix(str(path)):
        inode = path.lstat().st_ino
        remove_socket(str(path), inode + 1)
        assert path.exists()
        remove_socket(str(path), inode)
        remove_socket(str(path), inode)
    assert not path.exists()


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot listen on .*: (file exists|not a directory)"):
        listen_unix(str(tmp_path / "file" / "tulle.sock"))


def test_an_address_of_another_machine() -> None:
    with pytest.raises(UserError, match=r"cannot listen on 192\.0\.2\.1:1234: cannot assign"):
        listen(parse_listen("192.0.2.1:1234"))


def test_tcp_connections_do_not_wait_for_more_to_send() -> None:
    """asyncio turns Nagle's algorithm off only where the protocol number says TCP."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with listen(parse_listen(f"127.0.0.1:{port}")) as listener:
        assert listener.proto == socket.IPPROTO_TCP
