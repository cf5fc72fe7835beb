"""What lies between two hosts: how long a packet takes, whether it arrives, and who cannot reach whom."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Quality:
    """One direction of a path. Times in seconds, chances from 0 to 1.

    ``loss`` drops frames, and delays streams by what a retransmission takes. ``duplicate`` doubles frames,
    ``reorder`` holds single frames back for up to ten latencies; streams keep their order always.
    """

    latency: float = 0.001
    spread: float = 0.0
    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0


RETRANSMISSION = 0.2
"""Seconds until a lost piece of a stream is sent again, at first."""


class Paths:
    """Every path of a network. Hosts are known by their IP address.

    A packet passes from one to another if both are in the same group, and that direction is not blocked.
    """

    def __init__(self, quality: Quality, rng: Random) -> None:
        self._everywhere = quality
        self._rng = rng
        self._special: dict[tuple[str, str], Quality] = {}
        self._blocked: set[tuple[str, str]] = set()
        self._groups: dict[str, int] = {}
        self._no_tunnels: set[frozenset[str]] = set()
        self._no_datagrams: set[frozenset[str]] = set()

    # -- what is wrong with them

    def improve(self, quality: Quality) -> None:
        """Every path is like this from now on."""
        self._everywhere = quality
        self._special.clear()

    def alter(self, source: str, target: str, quality: Quality) -> None:
        """This direction is like this from now on."""
        self._special[source, target] = quality

    def block(self, source: str, target: str) -> None:
        """Nothing gets from the one to the other; the way back is not touched."""
        self._blocked.add((source, target))

    def unblock(self, source: str, target: str) -> None:
        """The opposite of ``block``."""
        self._blocked.discard((source, target))

    def partition(self, groups: Sequence[Iterable[str]]) -> None:
        """Only within a group anything passes. Those that are in none are one more group."""
        self._groups = {ip: number for number, group in enumerate(groups, 1) for ip in group}

    def filter(self, one: str, other: str, datagrams: bool) -> None:
        """A firewall between the two takes the kernel's tunnels away, and with ``datagrams`` the sleeve's
        UDP too; streams pass.
        """
        self._no_tunnels.add(frozenset((one, other)))
        if datagrams:
            self._no_datagrams.add(frozenset((one, other)))

    def heal(self) -> None:
        """Everything passes again."""
        self._groups = {}
        for broken in (self._blocked, self._no_tunnels, self._no_datagrams):
            broken.clear()

    # -- what becomes of a packet

    def passes(self, source: str, target: str) -> bool:
        """Whether anything gets from the one to the other now."""
        groups = self._groups
        if groups and groups.get(source, 0) != groups.get(target, 0):
            return False
        return (source, target) not in self._blocked

    def both_ways(self, one: str, other: str) -> bool:
        """Whether the two can talk."""
        return self.passes(one, other) and self.passes(other, one)

    def tunnels_pass(self, source: str, target: str) -> bool:
        """Whether frames of the kernel's tunnels get from the one to the other now."""
        return frozenset((source, target)) not in self._no_tunnels and self.passes(source, target)

    def datagrams_pass(self, source: str, target: str) -> bool:
        """Whether the sleeve's datagrams do."""
        return frozenset((source, target)) not in self._no_datagrams and self.passes(source, target)

    def delay(self, source: str, target: str) -> float:
        """Seconds that the next piece of a stream takes."""
        quality = self._quality(source, target)
        delay = quality.latency
        if quality.spread:
            delay += quality.spread * self._rng.random()
        pause = RETRANSMISSION
        while quality.loss and self._rng.random() < quality.loss and pause < 5.0:
            delay += pause
            pause *= 2
        return delay

    def frame_delays(self, source: str, target: str) -> tuple[float, ...]:
        """After how many seconds each copy of a frame arrives; none if it is lost."""
        quality = self._quality(source, target)
        if not (quality.spread or quality.loss or quality.duplicate or quality.reorder):
            return (quality.latency,)
        rng = self._rng
        if rng.random() < quality.loss:
            return ()
        copies = 2 if rng.random() < quality.duplicate else 1
        return tuple(self._frame_delay(quality) for _ in range(copies))

    def _frame_delay(self, quality: Quality) -> float:
        delay = quality.latency + quality.spread * self._rng.random()
        if self._rng.random() < quality.reorder:
            delay += 10 * quality.latency * self._rng.random()
        return delay

    def _quality(self, source: str, target: str) -> Quality:
        return self._special.get((source, target), self._everywhere) if self._special else self._everywhere
