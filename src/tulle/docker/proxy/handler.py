"""What happens to one request: mostly nothing, it is copied to the engine, and the answer back."""

import asyncio
import json
import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from tulle.api.daemon import DaemonApi
from tulle.docker.engine import Engine, EngineRefused, Inspected
from tulle.docker.gate import Gate, Outcome, Waiting
from tulle.docker.proxy.create import (
    HELPER,
    Joining,
    rewritten,
    rewritten_commit,
    rewritten_host_config,
)
from tulle.docker.proxy.fields import words
from tulle.docker.proxy.inspect import rewritten_inspection
from tulle.docker.proxy.message import Answer, Malformed, Request, read_answer, read_request, refusal
from tulle.docker.proxy.stream import Stream, copy
from tulle.errors import StorageError, UserError

log = logging.getLogger(__name__)

_LOOK_AGAIN = 0.5
"""Seconds after which a container that was not heard of at the gate is looked at."""

_LINGER = 1.0
"""Seconds for a client to read what it was sent, and to hang up."""

_ACTED_ON = re.compile(
    r"(?:/v[0-9.]+)?/(?:(?P<whole>containers/create|commit)"
    r"|containers/(?P<name>[^/]+)/(?P<what>start|restart|json|exec))\Z"
)
_METHODS = {"json": "GET"}
"""Of the others it is POST."""


@dataclass(frozen=True, slots=True)
class Handler:
    """Serves one client at a time, any number of them side by side. ``dial`` connects to the engine."""

    daemon: DaemonApi
    engine: Engine
    gate: Gate
    joining: Joining
    dial: Callable[[], Awaitable[Stream]]

    async def serve(self, client: Stream) -> None:
        """One request and its answer. Raises OSError when the client goes away."""
        try:
            request = await read_request(client)
            if request is not None:
                await self._forward(request, client)
        except Malformed as error:
            await _say(refusal(error.status, str(error)), client)

    async def _forward(self, request: Request, client: Stream) -> None:
        try:
            engine = await self.dial()
        except OSError as error:
            await _say(refusal(502, f"tulle's proxy cannot reach Docker: {error}; is it running?"), client)
            return
        try:
            await self._act(request, client, engine)
        except UserError as error:
            await _say(refusal(error.status, str(error)), client)
        finally:
            engine.close()

    async def _act(self, request: Request, client: Stream, engine: Stream) -> None:
        match _action(request):
            case ("containers/create", _):
                await self._create(request, client, engine)
            case ("commit", _):
                await self._commit(request, client, engine)
            case ("start" | "restart", name):
                await self._start(name, request, client, engine)
            case ("exec", name):
                await self._await_network(name)
                await _pass_on(request, client, engine)
            case ("json", _) if self.joining.options.rewrite_inspect:
                await self._inspect(request, client, engine)
            case _:
                await _pass_on(request, client, engine)

    async def _create(self, request: Request, client: Stream, engine: Stream) -> None:
        body = await request.read_body(client)
        await engine.send(request.with_body(await self._container(body, request.asked("name").lstrip("/"))))
        await _relay(client, engine)

    async def _container(self, body: bytes, name: str) -> bytes:
        """The body of a request to create; as it came where the engine has to say what is wrong with it."""
        asked = _object(body)
        if asked is None or not isinstance(image := asked.get("Image"), str) or not image:
            return body
        try:
            found = await self.engine.request("GET", f"/images/{quote(image, safe='/:@')}/json")
        except EngineRefused:
            return body
        pictured = (_object(found) or {}).get("Config") or {}
        changed = rewritten(asked, pictured, name, self.joining)
        return body if changed is None else _encoded(changed, body)

    async def _commit(self, request: Request, client: Stream, engine: Stream) -> None:
        """An image that is made of a container of ours must work where there is no proxy."""
        body = await request.read_body(client)
        try:
            found = await self.engine.request("GET", f"/containers/{quote(request.asked('container'))}/json")
            config = (_object(found) or {})["Config"]
        except (EngineRefused, KeyError):
            config = {}
        if (words(config, "Entrypoint") or [""])[0] == HELPER:
            body = _encoded(rewritten_commit(_object(body), config), body)
        await engine.send(request.with_body(body))
        await _relay(client, engine)

    async def _start(self, name: str, request: Request, client: Stream, engine: Stream) -> None:
        body = await request.read_body(client)
        ident = await self._held_back(name)
        if ident is None:
            await engine.send(request.with_body(body))
            await _relay(client, engine)
            return
        host_config = _object(body)
        if host_config:
            body = _encoded(rewritten_host_config(host_config, self.joining), body)
        with self.gate.expect(ident) as waiting:
            await engine.send(request.with_body(body))
            answer = await read_answer(engine, request.method)
            if answer.status == 204:
                outcome = await self._how_it_went(ident, waiting)
                if outcome.status:
                    answer = refusal(outcome.status, outcome.problem)
        await _say(answer, client)

    async def _held_back(self, name: str) -> str | None:
        """The id of a container that begins by waiting for us; None for others."""
        try:
            inspected = await self.engine.inspect(name)
        except EngineRefused:
            return None
        return inspected.id if _begins_with_helper(inspected) else None

    async def _how_it_went(self, ident: str, waiting: Waiting) -> Outcome:
        """Until the container's own command runs, or cannot. It may also end before, by somebody's hand."""
        while True:
            done, _ = await asyncio.wait({waiting}, timeout=_LOOK_AGAIN)
            if done:
                return waiting.result()
            pid = await self._pid(ident)
            if waiting.done() or self.gate.sees(ident):
                continue
            if not pid:
                return Outcome()
            if not _is_on_its_way(pid):  # it may not use the gate: SELinux, for one, can forbid it
                return await self._attached_from_outside(ident)

    async def _attached_from_outside(self, ident: str) -> Outcome:
        try:
            await self.gate.attach(ident)
        except (UserError, StorageError) as error:
            return Outcome(500, str(error)) if await self._pid(ident) else Outcome()
        return Outcome()

    async def _pid(self, ident: str) -> int:
        """The first process of a container; 0 when it does not run."""
        try:
            return (await self.engine.inspect(ident)).state.pid
        except EngineRefused:
            return 0

    async def _await_network(self, name: str) -> None:
        if self.gate.waiting():
            try:
                ident = (await self.engine.inspect(name)).id
            except EngineRefused:
                return
            await self.gate.passed(ident)

    async def _inspect(self, request: Request, client: Stream, engine: Stream) -> None:
        await engine.send(request.head() + request.begun)
        answer = await read_answer(engine, request.method)
        if answer.status == 200:
            containers = (await self.daemon.report()).containers
            body = rewritten_inspection(answer.body, containers)
            answer = Answer(answer.status, answer.headers, body, answer.reason)
        await _say(answer, client)


def _action(request: Request) -> tuple[str, str] | None:
    """What has to be done about a request, and the container that it names."""
    found = _ACTED_ON.match(request.path)
    if found is None:
        return None
    what = found["whole"] or found["what"]
    return (what, unquote(found["name"] or "")) if request.method == _METHODS.get(what, "POST") else None


async def _pass_on(request: Request, client: Stream, engine: Stream) -> None:
    await engine.send(request.head() + request.begun)
    await _relay(client, engine)


async def _relay(client: Stream, engine: Stream) -> None:
    """Copy both ways until the engine has ended its answer, or the client is gone."""
    upwards = asyncio.create_task(copy(client, engine))
    downwards = asyncio.create_task(copy(engine, client))
    try:
        done, _ = await asyncio.wait({upwards, downwards}, return_when=asyncio.FIRST_COMPLETED)
        if downwards not in done:
            upwards.result()  # raises if the client broke off, rather than ended its direction
            await downwards
        downwards.result()
        await asyncio.wait({upwards}, timeout=_LINGER)
    finally:
        for task in (upwards, downwards):
            task.cancel()
        await asyncio.gather(upwards, downwards, return_exceptions=True)


async def _say(answer: Answer, client: Stream) -> None:
    """Send a last answer and let it be read: a socket closed with unread bytes in it takes it back."""
    await client.send(answer.encode())
    await client.end()
    try:
        async with asyncio.timeout(_LINGER):
            while await client.receive():
                pass
    except TimeoutError:
        return


def _object(body: bytes) -> dict[str, Any] | None:
    """The JSON object in a body; None if it is something else."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _encoded(changed: dict[str, Any], original: bytes) -> bytes:
    try:
        return json.dumps(changed, allow_nan=False).encode()
    except ValueError:  # a number that only Python has: the engine will refuse it
        return original


def _begins_with_helper(inspected: Inspected) -> bool:
    return (inspected.config.entrypoint or [""])[0] == HELPER


def _is_on_its_way(pid: int) -> bool:
    """Whether a process is the helper, or what Docker has before it; not yet the container's own command."""
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return line[0] == HELPER.encode() or (line[0].endswith(b"runc") and line[1:2] == [b"init"])
