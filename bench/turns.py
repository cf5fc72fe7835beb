"""Measuring several things in turns, so that whatever else the machine does meets them all alike."""

import statistics
from collections.abc import Callable, Mapping
from typing import TypeVar

ROUNDS = 7
Measure = Callable[[], float]
Figure = TypeVar("Figure")


def in_turns(variants: Mapping[str, Callable[[], Figure]], rounds: int = ROUNDS) -> dict[str, list[Figure]]:
    """What each variant gave in each round; the order changes from round to round."""
    values: dict[str, list[Figure]] = {name: [] for name in variants}
    for number in range(rounds):
        for name in sorted(variants, reverse=bool(number % 2)):
            values[name].append(variants[name]())
    return values


def medians(values: Mapping[str, list[float]]) -> dict[str, float]:
    """The median of each variant."""
    return {name: statistics.median(found) for name, found in values.items()}


def beside(ours: Measure, baseline: Measure, rounds: int = ROUNDS) -> dict[str, float]:
    """Both medians, and the median of the rounds' ratios: drift of the machine does not enter into it."""
    values = in_turns({"ours": ours, "baseline": baseline}, rounds)
    ratios = [a / b for a, b in zip(values["ours"], values["baseline"], strict=True)]
    return {**medians(values), "ratio": statistics.median(ratios)}


def take_turns(variants: Mapping[str, Measure], rounds: int = ROUNDS) -> dict[str, float]:
    """The median of each variant, measured in turns."""
    return medians(in_turns(variants, rounds))
