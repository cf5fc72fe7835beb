"""What users have and want on a machine, and who is told of it."""

from dataclasses import dataclass, field
from ipaddress import IPv4Interface
from typing import TYPE_CHECKING, Protocol

from tulle.ipam.events import Done, Failed

if TYPE_CHECKING:
    from tulle.sim.machine import Machine


@dataclass(slots=True)
class Container:
    """A container that runs: the addresses that it was given, and what it is called."""

    ident: str
    hostname: str
    addresses: set[IPv4Interface] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that a user waits for."""

    what: str
    ident: str
    hostname: str
    at: float
    sent: int
    """Bytes that the daemon had sent when it was asked."""


class Watcher(Protocol):
    """Who is told what happens on machines."""

    def took(self, machine: "Machine", ident: str, interface: IPv4Interface) -> None:
        """A container has this address now."""

    def freed(self, machine: "Machine", ident: str, interface: IPv4Interface) -> None:
        """It has it no more."""

    def settled(self, machine: "Machine", asked: Asked, answer: Done | Failed) -> None:
        """A request was answered."""

    def noted(self, machine: "Machine", level: str, text: str) -> None:
        """A line in the daemon's log."""

    def closed_link(self, machine: "Machine", reason: str) -> None:
        """The daemon closed a connection."""

    def pumped(self, machine: "Machine") -> None:
        """The daemon did something."""

    def voted(self, machine: "Machine") -> None:
        """Its daemon sends a message of the election."""

    def left(self, machine: "Machine") -> None:
        """Its disk is gone, or will be: what it owned counts no more."""

    def started(self, machine: "Machine") -> None:
        """There is a new daemon, which has read its disk and done nothing yet."""
