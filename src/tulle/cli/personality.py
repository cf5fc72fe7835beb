"""The two names the command answers to, and what differs between them."""

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Personality:
    """Defaults that depend on the name the command was started under."""

    command: str
    environment: str
    """Prefix of the environment variables."""
    bridge: str
    interface: str
    domain: str
    network: str
    """Docker's name for the network driver and its first network."""


TULLE = Personality("tulle", "TULLE", "tulle", "tulle0", "tulle.internal", "tulle")
WEAVE = Personality("weave", "WEAVE", "weave", "ethwe", "weave.local", "weave")


def personality_of(program: str) -> Personality:
    """The personality for a program path: ``weave`` has its own, every other name is ours."""
    return WEAVE if os.path.basename(program) == "weave" else TULLE
