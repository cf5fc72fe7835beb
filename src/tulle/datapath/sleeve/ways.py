"""Where the other end of a path may be, and where it is."""

from collections.abc import Iterable

from tulle.datapath.sleeve.orders import Endpoint

MOST_TOLD = 16
"""Addresses that we were told; more are not tried."""
MOST_HEARD = 4
"""Addresses from which something came; the latest ones count."""


class Ways:
    """Addresses to ask at, and the one that frames go to."""

    def __init__(self, told: Iterable[Endpoint]) -> None:
        self.current: Endpoint | None = None
        """Where the other end has answered; None until it has."""
        self._told: list[Endpoint] = []
        self._heard: list[Endpoint] = []
        self.tell(told)

    @property
    def known(self) -> bool:
        """Whether there is anywhere to ask."""
        return bool(self._told or self._heard)

    def tell(self, endpoints: Iterable[Endpoint]) -> bool:
        """The other end may be here; whether that is news."""
        before = len(self._told)
        for endpoint in endpoints:
            if endpoint not in self._told and len(self._told) < MOST_TOLD:
                self._told.append(endpoint)
        return len(self._told) != before

    def hear(self, endpoint: Endpoint) -> bool:
        """Something authentic came from here; whether that is news."""
        if endpoint in self._told or endpoint in self._heard:
            return False
        self._heard = [*self._heard[1 - MOST_HEARD :], endpoint]
        return True

    def all(self) -> list[Endpoint]:
        """Everywhere, without repeats; where it was last is first."""
        here = [] if self.current is None else [self.current]
        return list(dict.fromkeys([*here, *self._heard, *self._told]))
