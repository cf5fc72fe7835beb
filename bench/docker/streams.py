"""Large streams, through the proxy and from the engine itself: ``docker cp`` and ``docker logs``."""

import time
from typing import Any

from bench.docker.ground import BRIDGE, Box, Ground, proxy_of
from bench.turns import take_turns
from lab.engines import CLIENT
from lab.wait import wait_until

MEGABYTES = {"cp": 200, "logs": 100}
GOAL = 0.7
_LINE = "x" * 999


def run(ground: Ground) -> tuple[dict[str, Any], list[Any]]:
    """MB/s of both ways."""
    engine = ground.engines[0]
    proxy = proxy_of(engine)
    source = Box(engine, "streams", BRIDGE, "sh", "-c", _SCRIPT)
    wait_until(
        lambda: "done" in engine.docker("logs", "--tail", "1", "streams").stdout, 120, "all is written"
    )
    commands = {"cp": ("cp", "streams:/blob", "-"), "logs": ("logs", "streams")}

    def rate(what: str, *through: str) -> float:
        began = time.perf_counter()
        process = engine.host.start(CLIENT, *through, *commands[what], env=engine.host.environment())
        if process.wait(timeout=300):
            raise RuntimeError(f"docker {' '.join(commands[what])} failed")
        return MEGABYTES[what] / (time.perf_counter() - began)

    figures = {
        what: take_turns(
            {
                "direct": lambda what=what: rate(what),
                "proxy": lambda what=what: rate(what, "--host", proxy),
            }
        )
        for what in commands
    }
    source.remove()
    return figures, [_line(what, figure) for what, figure in figures.items()]


_SCRIPT = (
    f"dd if=/dev/zero of=/blob bs=1M count={MEGABYTES['cp']} 2>/dev/null; "
    f"yes {_LINE} | head -n {MEGABYTES['logs']}000; echo done; sleep infinity"
)


def _line(what: str, figure: dict[str, float]) -> tuple[str, str, str, bool]:
    ratio = figure["proxy"] / figure["direct"]
    told = f"`docker {what}` of {MEGABYTES[what]} MB through the proxy: {figure['proxy']:.0f} MB/s"
    return f"{told} against the engine itself", f"{ratio:.2f}", f"at least {GOAL:g}", ratio >= GOAL
