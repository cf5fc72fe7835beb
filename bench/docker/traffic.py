"""TCP and ping between containers of two engines: tulle beside the overlay of the swarm."""

from functools import partial
from ipaddress import IPv4Address
from typing import Any

from bench.datapath import ping, tcp
from bench.docker.ground import OVERLAY, TULLE, Box, Ground
from bench.turns import beside
from lab.wait import wait_until

ROUNDS = 13
TCP_GOAL, PING_GOAL = 0.95, 1.1


def run(ground: Ground) -> tuple[dict[str, Any], list[Any]]:
    """Gbit/s and milliseconds of both."""
    one, two, _ = ground.engines
    ends = {
        name: (Box(one, f"{name}-from", network), Box(two, f"{name}-to", network))
        for name, network in (("tulle", TULLE), ("overlay", OVERLAY))
    }
    figures = {f"tcp, {streams} streams": _tcp(ends, streams) for streams in (1, 4)}
    ours, baseline = (partial(ping, pair[0], _address(pair[1])) for pair in ends.values())
    figures["ping p50 in ms"] = beside(ours, baseline)
    for pair in ends.values():
        for box in pair:
            box.remove()
    return figures, _lines(figures)


def _tcp(ends: dict[str, tuple[Box, Box]], streams: int) -> dict[str, float]:
    for client, server in ends.values():
        wait_until(
            lambda client=client, server=server: (
                client.run("ping", "-c", "1", "-W", "1", server.address, check=False).returncode == 0
            )
        )
    ours, baseline = (partial(tcp, *pair, _address(pair[1]), streams) for pair in ends.values())
    return beside(ours, baseline, ROUNDS)


def _address(box: Box) -> IPv4Address:
    return IPv4Address(box.address)


def _lines(figures: dict[str, dict[str, float]]) -> list[Any]:
    lines = []
    for name, figure in figures.items():
        ratio = figure["ratio"]
        if name.startswith("tcp"):
            what = f"{name}, two engines: {figure['ours']:.1f} Gbit/s against Docker's overlay"
            lines.append((what, f"{ratio:.2f}", f"at least {TCP_GOAL:g}", ratio >= TCP_GOAL))
        else:
            what = f"ping p50, two engines: {figure['ours'] * 1000:.0f} µs against Docker's overlay"
            lines.append((what, f"{ratio:.2f}", f"at most {PING_GOAL:g}", ratio <= PING_GOAL))
    return lines
