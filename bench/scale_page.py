"""What was measured of simulated clusters, as docs/scale.md and a plot beside it."""

import math
from pathlib import Path
from typing import Any

_WIDTH, _HEIGHT, _MARGIN = 640, 300, 50
_MINUTES = 1.25
"""How long churn was measured."""


def write(result: dict[str, Any], docs: Path) -> None:
    """Write the page and the plot."""
    (docs / "scale.svg").write_text(_plot(result["sizes"]))
    (docs / "scale.md").write_text(_page(result))


def _page(result: dict[str, Any]) -> str:
    head = (
        "| peers | cold start: one state, s | after a restart, s | idle: bytes/s | idle: messages/min |"
        " churn: bytes/s | churn: messages/min | memory, MB | idle: CPU, % |\n|" + "---|" * 9
    )
    rows = "\n".join(_row(one) for one in result["sizes"])
    names = result["names"]
    return f"""# Scale

Clusters of simulated daemons: the product's own mesh, addresses and names on a virtual clock. Every peer is
told of {result["sizes"][0]["links_per_peer"]} others and looks for no more by itself. All figures are for one
peer. Churn is 1 % of the daemons (at least one) killed per minute, and started again 15 s later.

{head}
{rows}

![Processor time and bytes of one peer, by size](scale.svg)

Times are virtual and exact to 0.25 s; bytes are those written to streams. Memory is what the peer itself
takes, without Python and its modules. The part of the time in which peers find each other is work that grows
with the number of peers as the plot shows; the dashed line is N log N.

{names["names"]:,} names take {names["memory_bytes"] / 1e6:.0f} MB on each peer that hears them, and
{names["cpu_s"]:.1f} s of a core to take in once.

The simulator itself handles {result["bare_events_per_s"]:,.0f} events a second. With whole daemons at the
ends it is their work that takes the time: {result["sizes"][-1]["events_per_s"]:,.0f} events a second at
{result["sizes"][-1]["peers"]} peers.

Measured by `python -m bench scale`, which writes this page. Daemons of real clusters also ask their paths
for signs of life; that is not in these figures.
"""


def _row(one: dict[str, Any]) -> str:
    cells = (
        f"{one['peers']:,}",
        f"{one['cold_s']:.2f}",
        f"{one['restart_s']:.2f}",
        f"{one['idle_bytes'] / 60:,.0f}",
        f"{one['idle_messages']:.0f}",
        f"{one['churn_bytes'] / 60 / _MINUTES:,.0f}",
        f"{one['churn_messages'] / _MINUTES:.0f}",
        f"{one['memory_bytes'] / 1e6:.1f}",
        f"{one['idle_cpu_s'] / 60 * 100:.2f}",
    )
    return f"| {' | '.join(cells)} |"


def _plot(sizes: list[dict[str, Any]]) -> str:
    """Relative to the smallest cluster, both axes logarithmic."""
    first = sizes[0]
    series = {
        "N log N": ("#999", [_law(one["peers"]) / _law(first["peers"]) for one in sizes]),
        "idle bytes": ("#4f81bd", [one["idle_bytes"] / first["idle_bytes"] for one in sizes]),
        "idle CPU": ("#c0504d", [one["idle_cpu_s"] / first["idle_cpu_s"] for one in sizes]),
        "CPU of the whole run": (
            "#9bbb59",
            [one["cpu_s"] / one["peers"] / (first["cpu_s"] / first["peers"]) for one in sizes],
        ),
    }
    top = max(max(values) for _, values in series.values())
    span = math.log(sizes[-1]["peers"] / first["peers"])

    def point(peers: float, value: float) -> str:
        x = _MARGIN + math.log(peers / first["peers"]) / span * (_WIDTH - 2 * _MARGIN)
        y = _HEIGHT - _MARGIN - math.log(max(value, 1)) / math.log(top) * (_HEIGHT - 2 * _MARGIN)
        return f"{x:.1f},{y:.1f}"

    parts = []
    for index, (name, (colour, values)) in enumerate(series.items()):
        points = " ".join(point(one["peers"], value) for one, value in zip(sizes, values, strict=True))
        dashes = ' stroke-dasharray="6 4"' if name == "N log N" else ""
        parts.append(f'<polyline fill="none" stroke="{colour}" stroke-width="2"{dashes} points="{points}"/>')
        parts.append(
            f'<text x="{_MARGIN}" y="{20 + 16 * index}" fill="{colour}">{name}: x{values[-1]:.1f}</text>'
        )
    for one in sizes:
        x = point(one["peers"], 1).partition(",")[0]
        parts.append(f'<text x="{x}" y="{_HEIGHT - 20}" text-anchor="middle">{one["peers"]}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" '
        f'font-size="12">{"".join(parts)}</svg>\n'
    )


def _law(peers: int) -> float:
    return peers * math.log(peers)
