"""Waiting for something to become true, which is how these tests meet a world that takes its time."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(predicate: Callable[[], T], timeout: float = 20, what: str = "", interval: float = 0.05) -> T:
    """The first true value of ``predicate()``; an AssertionError after ``timeout`` seconds, with the last.

    An AssertionError (which a failed command is, too) of the predicate counts as "not yet". The time is a
    limit for a broken system, never part of what is tested: give it generously.
    """
    limit = time.monotonic() + timeout
    last: object = None
    while True:
        try:
            value = predicate()
            if value:
                return value
            last = value
        except AssertionError as error:
            last = error
        if time.monotonic() > limit:
            raise AssertionError(
                f"not within {timeout:g} s: {what or predicate!r}; the last try gave: {last}"
            )
        time.sleep(interval)
