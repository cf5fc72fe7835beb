"""Measuring several things in turns, so that whatever else the machine does meets them all alike."""

import statistics
from collections.abc import Callable, Mapping

ROUNDS = 7
Measure = Callable[[], float]
Values = dict[str, list[float]]


def in_turns(variants: Mapping[str, Measure], rounds: int = ROUNDS) -> Values:
    """What each variant gave in each round; the order changes from round to round."""
    values: Values = {name: [] for name in variants}
    for number in range(rounds):
        for name in sorted(variants, reverse=bool(number % 2)):
            values[name].append(variants[name]())
    return values


def medians(values: Values) -> dict[str, float]:
    """The median of each variant."""
    return {name: statistics.median(found) for name, found in values.items()}


def paired_ratio(values: Values, one: str, other: str) -> float:
    """The median of the rounds' ratios: what changes from round to round does not enter into it."""
    return statistics.median(a / b for a, b in zip(values[one], values[other], strict=True))


def take_turns(variants: Mapping[str, Measure]) -> dict[str, float]:
    """The median of each variant, measured in turns."""
    return medians(in_turns(variants))
