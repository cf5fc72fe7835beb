"""A lab of several hosts on one machine, for tests, the demo and the bench: ``with Lab() as lab: ...``."""

from lab.container import Container, PingStream, receive_all
from lab.host import Host
from lab.lab import Lab, Router
from lab.namespace import CommandFailed, Namespace, run
from lab.switch import Switch
from lab.wait import wait_until

__all__ = [
    "CommandFailed",
    "Container",
    "Host",
    "Lab",
    "Namespace",
    "PingStream",
    "Router",
    "Switch",
    "receive_all",
    "run",
    "wait_until",
]
