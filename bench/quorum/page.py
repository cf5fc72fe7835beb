"""What was measured, as docs/quorum.md and a plot beside it."""

from pathlib import Path
from typing import Any

_WIDTH, _BAR, _LABEL = 760, 16, 400
_COLOURS = {"store": "#c0504d", "tulle": "#4f81bd"}
_NAMES = {"store": "etcd, three members", "tulle": "tulle"}


def write(result: dict[str, Any], docs: Path) -> None:
    """Write the page and the plot."""
    (docs / "quorum.svg").write_text(_plot(result["rows"]))
    (docs / "quorum.md").write_text(_page(result["rows"]))


def _page(rows: list[dict[str, Any]]) -> str:
    lines = ["| situation | side (hosts) | operation | with etcd | tulle |", "|---|---|---|---|---|"]
    for row in rows:
        if row["system"] != "store":
            continue
        ours = next(one for one in rows if one["system"] == "tulle" and _same(one, row))
        side = ", ".join(map(str, row["side"]))
        cells = (row["situation"].replace("|", "/"), side, row["operation"], _cell(row), _cell(ours))
        lines.append(f"| {' | '.join(cells)} |")
    table = "\n".join(lines)
    return f"""# Beside a quorum store

Many container networks keep addresses and names in a store that needs a majority: etcd, Consul,
ZooKeeper. This page is what happens to both kinds of network in the same partitions. Five hosts run
tulle; three of them (1, 2 and 3) are also members of an etcd cluster, on which an allocator works
the way store-backed networks do: a pool record changed by compare-and-swap, a record for each name,
linearizable reads. Every host lets containers come (address, name), asks for them by name (tulle:
by DNS) and lets them go, {_rounds(rows)} operations of each kind on every side, begun the moment the cut is
made. An operation without an answer in 3 seconds has failed.

![Operations that succeeded](quorum.svg)

{table}

Times are median and worst of those that succeeded, in milliseconds.

Measured by `python -m bench quorum` (as root; it needs Debian's `etcd-server`), which writes this page. All
hosts are namespaces of one machine. What a store gives that tulle does not: a name registered on one side is
never seen differently by two readers. What it costs is in the table.
"""


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(one[key] == other[key] for key in ("situation", "side", "operation"))


def _rounds(rows: list[dict[str, Any]]) -> str:
    tried = sorted({row["tried"] for row in rows})
    return f"{tried[0]} to {tried[-1]}" if len(tried) > 1 else str(tried[0])


def _cell(row: dict[str, Any]) -> str:
    if not row["succeeded"]:
        return f"**0 of {row['tried']}**"
    return f"{row['succeeded']} of {row['tried']}, {row['median_ms']:.1f} ({row['worst_ms']:.0f})"


def _plot(rows: list[dict[str, Any]]) -> str:
    """One bar for each situation, side and system: the share of operations that succeeded."""
    groups: dict[tuple[str, str], dict[str, tuple[int, int]]] = {}
    for row in rows:
        key = (row["situation"], ", ".join(map(str, row["side"])))
        done, tried = groups.setdefault(key, {}).get(row["system"], (0, 0))
        groups[key][row["system"]] = (done + row["succeeded"], tried + row["tried"])
    parts, y = [], 30
    for (situation, side), systems in groups.items():
        parts.append(_text(0, y + _BAR, f"{situation}: hosts {side}"))
        for system, (done, tried) in systems.items():
            width = max(1, round((_WIDTH - _LABEL - 60) * done / tried))
            parts.append(
                f'<rect x="{_LABEL}" y="{y}" width="{width}" height="{_BAR - 2}" fill="{_COLOURS[system]}"/>'
            )
            parts.append(_text(_LABEL + width + 4, y + _BAR - 4, f"{100 * done / tried:.0f} %"))
            y += _BAR
        y += 10
    legend = "".join(
        f'<rect x="{_LABEL + 170 * index}" y="4" width="12" height="12" fill="{_COLOURS[system]}"/>'
        + _text(_LABEL + 16 + 170 * index, 14, name)
        for index, (system, name) in enumerate(_NAMES.items())
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y}" font-family="sans-serif" '
        f'font-size="11">{legend}{"".join(parts)}</svg>\n'
    )


def _text(x: int, y: int, text: str) -> str:
    return f'<text x="{x}" y="{y}">{text}</text>'
