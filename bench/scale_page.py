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
        "| peers | cold start: one state, s | cold start: kB | cold start: CPU, s | after a restart, s |"
        " idle: bytes/s | idle: messages/min | churn: bytes/s | churn: messages/min | idle: CPU, % |\n|"
        + "---|"
        * 10
    )
    rows = "\n".join(_row(one) for one in result["sizes"])
    largest = result["sizes"][-1]
    one = largest["one"]
    whole = "\n".join(_run_row(each) for each in result["sizes"])
    return f"""# Scale

Clusters of simulated daemons: the product's own mesh, addresses and names on a virtual clock. Every peer is
told of {largest["links_per_peer"]} others and looks for no more by itself. All figures are for one peer.
Churn is 1 % of the daemons (at least one) killed per minute, and started again 15 s later; it is
measured where that takes the bench minutes, not an hour.

{head}
{rows}

![Processor time and bytes of one peer, by size](scale.svg)

Times are virtual and exact to 0.25 s; bytes are those written to streams. The plot is relative to
{result["sizes"][0]["peers"]} peers, both axes logarithmic; the dashed line is N log N. What a cold start
costs grows with the number of peers that each has to hear of. The first report of free addresses, which all
peers hear, comes 5 s after the start: in clusters that come to one state before, it is part of the idle
minute. {result.get("note", "")}

One peer of {largest["peers"]:,}, to which everything that it was told is told again in a process of its own:
{one["memory_bytes"] / 1e6:.0f} MB with all of Python and {one["names"]:,} names,
{one["start_cpu_s"]:.2f} s of a core for the cold start, {one["names_cpu_s"]:.1f} s to take the names in, and
{one["idle_cpu_share"] * 100:.2f} % of a core when idle. A daemon has the Linux side besides.

The simulator itself handles {result["bare_events_per_s"]:,.0f} events a second, with hosts that send
back what they get: an event is one call at its moment, such as bytes that arrive or a timer that is due. With
whole daemons at the ends it is their work that takes the time, not the simulator's. One event is then a
daemon's whole turn: up to hundreds of descriptions of peers that arrive together are read and merged, routes
and trees follow from them, and what is to be said goes into the streams.

| peers | events | processor time, s | events/s | memory for each peer, MB |
|---|---|---|---|---|
{whole}

## How it stays small

- A description of a peer goes to each neighbour once, in a short form, and who has it already reads no more
  than its number. Without a password, messages between peers of tulle are packed as one stream (deflate), so
  what was said before in part is short. Peers of Weave Net get theirs, as ever.
- Idle neighbours compare digests: of the graph, the ring and the names. Who lacks a name among 10,000 is told
  a sixty-fourth of them.
- Routes and trees are computed anew only when a connection that carries frames comes or goes.

## Large clusters

By default each daemon connects to every other that it hears of, up to 200 (`--conn-limit`): a full mesh, in
which frames need no relay. That is what to have up to a hundred hosts or so. Beyond, `--conn-limit 16`, or
`--no-discovery` with {largest["links_per_peer"]} peers given to each as here, keeps the work small;
frames between hosts without a connection go over others. It is enough that all are told of the same few
hosts: a host that nobody else reaches gets in even where the limit is reached, and a neighbour that others
reach makes room.

Measured by `python -m bench scale`, which writes this page. Daemons of real clusters also ask their paths
for signs of life; that is not in these figures.
"""


def _run_row(one: dict[str, Any]) -> str:
    """What it took to simulate one cluster."""
    events = one["events_per_s"] * one["cpu_s"]
    memory = one["memory_bytes"] / 1e6
    cells = (one["peers"], events, one["cpu_s"], one["events_per_s"])
    return f"| {' | '.join(f'{cell:,.0f}' for cell in cells)} | {memory:.1f} |"


def _row(one: dict[str, Any]) -> str:
    cells = (
        f"{one['peers']:,}",
        f"{one['cold_s']:.2f}",
        f"{one['cold_bytes'] / 1e3:,.0f}",
        f"{one['cold_cpu_s']:.2f}",
        f"{one['restart_s']:.2f}" if "restart_s" in one else "",
        f"{one['idle_bytes'] / 60:,.0f}",
        f"{one['idle_messages']:.0f}",
        f"{one['churn_bytes'] / 60 / _MINUTES:,.0f}" if "churn_bytes" in one else "",
        f"{one['churn_messages'] / _MINUTES:.0f}" if "churn_messages" in one else "",
        f"{one['idle_cpu_s'] / 60 * 100:.2f}",
    )
    return f"| {' | '.join(cells)} |"


def _plot(sizes: list[dict[str, Any]]) -> str:
    """Relative to the smallest cluster, both axes logarithmic."""
    first = sizes[0]
    series = {
        "N log N": ("#999", [_law(one["peers"]) / _law(first["peers"]) for one in sizes]),
        "idle: bytes": ("#4f81bd", _growth(sizes, "idle_bytes")),
        "idle: CPU": ("#c0504d", _growth(sizes, "idle_cpu_s")),
        "cold start: bytes": ("#8064a2", _growth(sizes, "cold_bytes")),
        "cold start: CPU": ("#9bbb59", _growth(sizes, "cold_cpu_s")),
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


def _growth(sizes: list[dict[str, Any]], what: str) -> list[float]:
    return [float(one[what] / sizes[0][what]) for one in sizes]


def _law(peers: int) -> float:
    return peers * math.log(peers)
