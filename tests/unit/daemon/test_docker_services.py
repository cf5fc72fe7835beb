"""Which engine is used, and services that start and stop with the daemon."""

from typing import Any, cast

import pytest

from tulle.daemon.docker import Docker, open_docker
from tulle.daemon.options import FlagError, parse_options
from tulle.docker.engine import DEFAULT_SOCKET, Engine
from tulle.errors import UserError
from tulle.host.store import Record


class Service:
    """Says in ``log`` what becomes of it."""

    def __init__(self, name: str, log: list[str], error: Exception | None = None) -> None:
        self.name, self.log, self.error = name, log, error

    async def start(self) -> None:
        if self.error is not None:
            raise self.error
        self.log.append(f"{self.name} starts")

    async def stop(self) -> None:
        self.log.append(f"{self.name} stops")


class Keeper:
    """None is needed here."""

    def __init__(self) -> None:
        self.looks = Service("looks", [])


async def test_a_service_that_cannot_start_takes_no_other_with_it() -> None:
    log: list[str] = []
    docker = Docker(Engine("/nonexistent"), cast(Any, Keeper()))
    for error in (None, UserError("no"), OSError("never"), None):
        docker.add(Service(str(error), log, error))
    await docker.start()
    await docker.stop()
    assert log == ["None starts", "None starts", "None stops", "None stops"]


def chosen(saved: dict[str, bytes], **flags: Any) -> str | None:
    """The socket that a daemon uses which finds these records; they are updated."""
    records = [Record("docker", key, value) for key, value in saved.items()]

    def commit(changes: Any) -> None:
        saved.update({change.key: change.value for change in changes})

    docker = open_docker(parse_options(flags), cast(Any, _Containers()), records, commit)
    return docker.engine.socket if docker else None


class _Containers:
    on_engine_death = None


def test_the_engine_is_the_one_named_or_the_default() -> None:
    assert chosen({}) == DEFAULT_SOCKET
    assert chosen({}, docker_api="unix:///x/docker.sock") == "/x/docker.sock"
    assert chosen({}, docker_api="/x/docker.sock") == "/x/docker.sock"
    assert chosen({}, docker_api="") is None


def test_resume_takes_the_engine_of_the_last_run_and_a_plain_launch_does_not() -> None:
    saved: dict[str, bytes] = {}
    chosen(saved, docker_api="/x/docker.sock")
    assert chosen(saved, resume=True) == "/x/docker.sock"
    assert chosen(dict(saved)) == DEFAULT_SOCKET
    assert chosen(saved, resume=True, docker_api="") is None
    assert chosen(saved, resume=True) is None


@pytest.mark.parametrize("text", ["tcp://10.0.0.1:2375", "docker.sock", "unix://docker.sock", "/a\0b"])
def test_only_a_unix_socket_will_do(text: str) -> None:
    with pytest.raises(FlagError, match="--docker-api"):
        parse_options({"docker_api": text})
