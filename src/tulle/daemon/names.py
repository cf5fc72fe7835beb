"""The daemon's side of names: what containers are called, for as long as they live."""

import logging
from collections.abc import Collection, Sequence
from ipaddress import IPv4Address

from tulle.api.daemon import NameRequest
from tulle.daemon.engine import Engine, now
from tulle.errors import StorageError, UserError
from tulle.names.nameserver import Nameserver

log = logging.getLogger(__name__)


class Names:
    """What the API and the attachments ask of the nameserver. With names off, most of it does nothing."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def nameserver(self) -> Nameserver:
        """Raises UserError when names are off."""
        if self._engine.node.names is None:
            raise UserError("names are turned off here (--no-dns)", 404)
        return self._engine.node.names

    def add(self, container: str, hostname: str, addresses: Sequence[IPv4Address]) -> None:
        """Give a container a name at each of these addresses. Raises UserError, or StorageError."""
        nameserver = self.nameserver
        new = []
        for address in addresses:
            before = nameserver.generation
            nameserver.add(container, hostname, address, now())
            if nameserver.generation != before:
                new.append(address)
        self._engine.pump()
        try:
            self._engine.node.raise_unsaved()
        except StorageError:
            for address in new:
                nameserver.remove(container, hostname, address, now())
            self._engine.pump()
            raise

    def remove(self, request: NameRequest) -> int:
        """Remove our records that match; how many there were. Raises UserError, or StorageError."""
        nameserver = self.nameserver
        wanted: Sequence[IPv4Address | None] = request.addresses or (None,)
        removed = sum(
            nameserver.remove(request.container, request.hostname, address, now()) for address in wanted
        )
        self._engine.pump()
        self._engine.node.raise_unsaved()
        return removed

    def lookup(self, name: str) -> list[IPv4Address]:
        """The addresses of a name."""
        return list(self.nameserver.lookup(name))

    def add_derived(self, container: str, hostname: str, addresses: Sequence[IPv4Address]) -> None:
        """Like ``add`` for a name that nobody chose: when it cannot be one, a log line is enough."""
        if self._engine.node.names is None:
            return
        try:
            self.add(container, hostname, addresses)
        except UserError as error:
            log.warning("%s gets no name: %s; give it one with --hostname", container, error)

    def remove_derived(self, container: str, hostname: str) -> None:
        """Take back a name that nobody chose."""
        if self._engine.node.names is not None:
            self._engine.node.names.remove(container, hostname, None, now())
            self._engine.pump()

    def container_gone(self, container: str) -> None:
        """Remove every name of a container."""
        if self._engine.node.names is not None:
            self._engine.node.names.container_gone(container, now())
            self._engine.pump()

    def address_gone(self, container: str, address: IPv4Address) -> None:
        """Remove the names of a container at one address."""
        if self._engine.node.names is not None:
            self._engine.node.names.remove(container, None, address, now())
            self._engine.pump()

    def holders(self) -> Collection[str]:
        """Every container that has a name here."""
        names = self._engine.node.names
        return names.containers() if names is not None else ()

    def records_of(self, container: str) -> list[tuple[str, IPv4Address]]:
        """Each name of a container, at each of its addresses."""
        names = self._engine.node.names
        return names.records_of(container) if names is not None else []

    def of(self, container: str) -> list[str]:
        """What a container is called, for ``ps`` and the report."""
        names = self._engine.node.names
        return names.names_of(container) if names is not None else []
