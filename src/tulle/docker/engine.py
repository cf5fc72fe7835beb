"""A Docker Engine, asked over its unix socket.

Paths carry no version: whatever API versions an engine still speaks, it answers these requests in its newest,
and what is read here has been the same in all of them.
"""

import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import TypeVar
from urllib.parse import quote

import aiohttp
import msgspec
from aiohttp.http_exceptions import LineTooLong

from tulle.errors import UserError

Answer = TypeVar("Answer")
DEFAULT_SOCKET = "/var/run/docker.sock"
PATIENCE = 10.0
"""Seconds that an engine may take for a small request before it counts as not answering."""

_LONGEST_EVENT = 1 << 20
"""Bytes; an event names all labels of its container."""


class EngineUnreachable(UserError):
    """No engine answers on the socket."""

    def __init__(self, socket: str, reason: str) -> None:
        super().__init__(f"Docker does not answer on {socket} ({reason}); is it running?", 503)


class EngineRefused(UserError):
    """The engine answered with an error: its own words, and its HTTP status."""


class State(msgspec.Struct, frozen=True, rename="pascal"):
    """How a container stands. ``pid`` is 0 when it does not run; ``restarting``: its policy will start it."""

    running: bool = False
    paused: bool = False
    restarting: bool = False
    pid: int = 0
    started_at: str = ""

    def same_run(self, other: "State") -> bool:
        """Whether these are states between one start and the end after it."""
        return (self.pid, self.started_at) == (other.pid, other.started_at)


class Config(msgspec.Struct, frozen=True, rename="pascal"):
    """What a container was created with."""

    hostname: str = ""
    domainname: str = ""
    labels: dict[str, str] | None = None
    env: list[str] | None = None
    entrypoint: list[str] | None = None


class HostConfig(msgspec.Struct, frozen=True, rename="pascal"):
    """What a container was created with, as far as the host is concerned."""

    network_mode: str = ""


class Inspected(msgspec.Struct, frozen=True, rename="pascal"):
    """One container, as the engine knows it. ``hosts_path`` is the hosts file that it sees, on the host."""

    id: str
    name: str
    state: State
    config: Config = Config()
    host_config: HostConfig = HostConfig()
    hosts_path: str = ""


class Summary(msgspec.Struct, frozen=True, rename="pascal"):
    """A container in a list. ``state`` is created, running, paused, restarting, exited, removing or dead."""

    id: str
    names: list[str] | None = None
    labels: dict[str, str] | None = None
    state: str = ""

    @property
    def alive(self) -> bool:
        """Whether it has processes."""
        return self.state in ("running", "paused")


class Actor(msgspec.Struct, frozen=True):
    """What an event is about; ``attributes`` are the labels, the image, the name, and of the event itself."""

    id: str = msgspec.field(name="ID", default="")
    attributes: dict[str, str] = msgspec.field(name="Attributes", default_factory=dict)


class Event(msgspec.Struct, frozen=True):
    """Something happened: a ``kind`` of thing ("container", "network", ...) and what ("start", "die", ...).

    ``time`` is the engine's clock, in nanoseconds.
    """

    kind: str = msgspec.field(name="Type", default="")
    action: str = msgspec.field(name="Action", default="")
    actor: Actor = msgspec.field(name="Actor", default=Actor())
    time: int = msgspec.field(name="timeNano", default=0)


class Engine:
    """Requests to the engine behind one unix socket. Every method may raise EngineUnreachable.

    To be used in one event loop, and closed there.
    """

    def __init__(self, socket: str = DEFAULT_SOCKET) -> None:
        self.socket = socket
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """End all requests. The engine can be asked again afterwards."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        patience: float = PATIENCE,
    ) -> bytes:
        """The body of the answer. Raises EngineRefused when the status is an error."""
        limit = aiohttp.ClientTimeout(total=patience)
        async with self._answer(method, path, query, body, limit) as answer:
            with self._explained():
                return await answer.read()

    async def inspect(self, container: str) -> Inspected:
        """A container by id, by the beginning of it, or by name. EngineRefused with 404: there is none."""
        return _decoded(await self.request("GET", f"/containers/{quote(container, safe='')}/json"), Inspected)

    async def containers(self) -> list[Summary]:
        """All containers, running or not."""
        return _decoded(await self.request("GET", "/containers/json", query={"all": "1"}), list[Summary])

    @asynccontextmanager
    async def events(
        self, filters: Mapping[str, Sequence[str]], since: int | None = None
    ) -> AsyncIterator[AsyncIterator[Event]]:
        """Events from when this is entered, preceded by those since ``since`` that the engine still has.

        ``since`` is the ``time`` of an event, which may come again. ``filters`` are the engine's ("type",
        "event", ...). The events end with EngineUnreachable.
        """
        query = {"filters": json.dumps({key: list(values) for key, values in filters.items()})}
        if since is not None:
            query["since"] = f"{since // 10**9}.{since % 10**9:09}"
        limit = aiohttp.ClientTimeout(total=None, sock_connect=PATIENCE)
        async with self._answer("GET", "/events", query, None, limit) as answer:
            yield self._each_event(answer)

    async def _each_event(self, answer: aiohttp.ClientResponse) -> AsyncIterator[Event]:
        while True:
            with self._explained():
                line = await answer.content.readline(max_line_length=_LONGEST_EVENT)
            if not line:
                raise EngineUnreachable(self.socket, "it ended")
            yield _decoded(line, Event)

    @asynccontextmanager
    async def _answer(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: object,
        limit: aiohttp.ClientTimeout,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                "http://docker",
                connector=aiohttp.UnixConnector(self.socket, limit=0),
            )
        with self._explained():
            answer = await self._session.request(method, path, params=query, json=body, timeout=limit)
        async with answer:
            if answer.status >= 400:
                with self._explained():
                    said = await answer.read()
                raise EngineRefused(_message(said), answer.status)
            yield answer

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Have whatever goes wrong on the socket be EngineUnreachable."""
        try:
            yield
        except TimeoutError as error:
            raise EngineUnreachable(self.socket, "no answer in time") from error
        except (aiohttp.ClientError, LineTooLong, OSError) as error:
            raise EngineUnreachable(self.socket, _reason(error)) from error


def _decoded(data: bytes, kind: type[Answer]) -> Answer:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, ValueError) as error:
        raise EngineRefused(f"Docker's answer cannot be understood: {error}", 502) from error


def _message(data: bytes) -> str:
    """Docker's own words for an error: {"message": ...}, or plain text from old versions."""
    try:
        said = msgspec.json.decode(data)
    except (msgspec.MsgspecError, ValueError):
        return data.decode(errors="replace").strip() or "Docker refused without a reason"
    return str(said.get("message", said)) if isinstance(said, dict) else str(said)


def _reason(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorError):
        return error.os_error.strerror or str(error.os_error)
    return str(error) or type(error).__name__
