"""From what a user calls a container to the container, as far as an engine knows it."""

import logging
from collections.abc import Callable, Iterable

from tulle.api.containers import ContainerRef
from tulle.docker.engine import Engine, EngineRefused, EngineUnreachable, Inspected
from tulle.docker.naming import own_name
from tulle.errors import UserError
from tulle.host import container
from tulle.host.container import Container

log = logging.getLogger(__name__)


class Finder:
    """Asks the engine. ``known`` tells ids that are known here, also when the engine is away."""

    def __init__(self, engine: Engine, domain: str, known: Callable[[], Iterable[str]] = tuple) -> None:
        self.known = known
        self._engine = engine
        self._domain = domain

    async def inspect(self, text: str) -> Inspected | None:
        """A container by id, beginning of an id, or name; None when there is none. Raises UserError."""
        try:
            return await self._engine.inspect(text)
        except EngineRefused as error:
            if error.status == 404:
                return None
            raise

    async def identify(self, text: str) -> str:
        """The full id. One that the engine cannot tell is looked for among those known here."""
        away = None
        try:
            found = await self.inspect(text)
            if found is not None:
                return found.id
        except EngineUnreachable as error:
            away = error
        matching = [ident for ident in self.known() if ident.startswith(text)]
        if len(matching) == 1:
            return matching[0]
        raise away or no_such(text)

    async def running(self, text: str) -> ContainerRef:
        """A container that runs and has a network of its own. Raises UserError for all others."""
        found = await self.inspect(text)
        if found is None:
            raise no_such(text)
        return self.reference(found, text)

    def reference(self, found: Inspected, text: str = "") -> ContainerRef:
        """How the rest of the daemon gets at a container. Raises UserError if it cannot be attached."""
        shown = text or found.id[:12]
        if not found.state.pid:
            raise UserError(f"{shown} does not run; start it first, as it has no network before that", 409)
        mode, _, other = found.host_config.network_mode.partition(":")
        if mode == "host":
            raise UserError(f"{shown} uses this host's own network (--net=host); use expose to join the host")
        if mode == "container":
            raise UserError(f"{shown} uses the network of another container; attach that one: {other[:12]}")
        return ContainerRef(found.id, f"/proc/{found.state.pid}/ns/net", self.name_of(found))

    def name_of(self, found: Inspected) -> str | None:
        """What the container is called in our domain without anybody's saying so."""
        try:
            return own_name(found, self._domain)
        except UserError as error:
            log.warning("%s gets no name: %s; give it one with --hostname", found.id[:12], error)
            return None

    async def namespace_of(self, found: Inspected) -> Container | None:
        """The network namespace of a container that runs, None if it has ended meanwhile.

        Process ids are used again: only when the container still has this one afterwards was it the right.
        """
        try:
            there = await container.find_container(f"pid:{found.state.pid}", found.id)
        except UserError:
            return None
        again = await self.inspect(found.id)
        return there if again is not None and again.state.same_run(found.state) else None


def no_such(text: str) -> UserError:
    """The error for a container that Docker does not know."""
    return UserError(f"Docker has no container {text!r}; `docker ps -a` lists those there are", 404)
