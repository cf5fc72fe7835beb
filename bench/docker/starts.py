"""How long ``docker run --rm IMAGE true`` takes: on Docker's bridge, on a network of tulle, by the proxy.

And, to compare with, on a second bridge of Docker's own. On all networks but the default one Docker starts a
resolver for each container, and that is most of what there is between the first two.
"""

import time
from typing import Any

from bench.docker.ground import BRIDGE, TULLE, Ground, proxy_of
from bench.turns import take_turns

GOALS = {"network": 1.15, "proxy": 1.3}
"""Times the bridge, at most."""


def run(ground: Ground) -> tuple[dict[str, float], list[Any]]:
    """Seconds (median) of each way."""
    engine = ground.engines[0]
    proxy = proxy_of(engine)
    engine.docker("network", "create", _SECOND)

    def once(*options: str, through: tuple[str, ...] = ()) -> float:
        began = time.perf_counter()
        engine.docker(*through, "run", "--rm", *options, engine.image, "true")
        return time.perf_counter() - began

    ways = {
        "bridge": lambda: once("--network", BRIDGE),
        "second bridge": lambda: once("--network", _SECOND),
        "network": lambda: once("--network", TULLE),
        "proxy": lambda: once(through=("--host", proxy)),
    }
    for warm in ways.values():
        warm()
    seconds = take_turns(ways, ROUNDS)
    engine.docker("network", "rm", _SECOND)
    second = f"{seconds['second bridge'] / seconds['bridge']:.2f}"
    lines = []
    for way, goal in GOALS.items():
        ratio = seconds[way] / seconds["bridge"]
        what = (
            f"`docker run --rm IMAGE true`, {_WHERE[way]}: {seconds[way]:.2f} s against the default bridge"
            f" (a second bridge of Docker's: {second})"
        )
        lines.append((what, f"{ratio:.2f}", f"at most {goal:g}", ratio <= goal))
    return seconds, lines


ROUNDS = 15
_SECOND = "bench-second"
_WHERE = {"network": "on a network of tulle", "proxy": "through the proxy"}
