"""Run every bench and write docs/performance.md. As root, on a machine with nothing else to do."""

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from bench.docker.page import write as write_docker
from bench.quorum.page import write as write_quorum
from bench.scale_page import write as write_scale

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "performance.md"
MESH_GOALS = {20: (3, 2), 40: (10, 10)}
"""By the number of daemons: seconds and megabytes at most."""
PARTS = ("idle", "allocate", "attach", "mesh_start", "dns", "datapath", "sleeve", "docker")


class Line(NamedTuple):
    """One promise and what was measured: a figure, the goal in words, and whether it was met."""

    what: str
    figure: str
    goal: str
    met: bool


def main() -> int:
    """Measure the parts named on the command line (all of them if none), and write them into the page."""
    chosen = sys.argv[1:] or list(PARTS)
    results: dict[str, Any] = {}
    for part in chosen:
        print(f"bench {part} ...", flush=True)
        began = time.monotonic()
        results[part] = _run(part)
        print(f"bench {part}: {time.monotonic() - began:.0f} s")
    lines = [line for part in chosen for line in LINES[part](results[part])]
    print(_table(lines))
    if "docker" in results:
        write_docker(results["docker"], PAGE.parent)
    if "quorum" in results:
        write_quorum(results["quorum"], PAGE.parent)
    if "scale" in results:
        write_scale(results["scale"], PAGE.parent)
    known = _known() | {part: results[part] for part in chosen if part in PARTS}
    known["code"] = known.get("code", {}) | {part: _code() for part in chosen if part in PARTS}
    if set(known) >= set(PARTS):
        PAGE.write_text(_page(known))
        print(f"wrote {PAGE.relative_to(ROOT)}")
    return 0 if all(line.met for line in lines) else 1


def _known() -> dict[str, Any]:
    """What was measured before, by part, as the page has it."""
    _, fence, rest = PAGE.read_text().partition("```json\n") if PAGE.exists() else ("", "", "")
    found: dict[str, Any] = json.loads(rest.partition("```")[0]) if fence else {}
    return found


def _code() -> str:
    """The commit that is measured."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def _run(part: str) -> Any:
    """One part; "quorum" and "scale" are not among those of every run, and have pages of their own."""
    module = __import__(f"bench.{part}", fromlist=["run"])
    return module.run()


def _idle(result: Any) -> list[Line]:
    return [
        _at_most("`tulle launch` until it answers, seconds", result["ready_s"], 1.5),
        _at_most("resident memory with 2 peers, MB", result["resident_mb"], 70),
        _at_most("processor time with 2 peers, % of a core", result["cpu_percent"], 0.3),
    ]


def _allocate(result: Any) -> list[Line]:
    few, many = result["per_second_100_held"], result["per_second_5000_held"]
    what = f"durable allocations over the API: {many:,.0f}/s with 5,000 held against {few:,.0f}/s with 100"
    return [_at_least(what, result["ratio"], 0.8)]


def _attach(result: Any) -> list[Line]:
    what = f"attach, median {result['attach']:.1f} ms, against `ip -batch` doing the same"
    return [_at_most(what, result["ratio"], 3)]


def _mesh_start(result: Any) -> list[Line]:
    lines = []
    for size in result["sizes"]:
        count = int(size["daemons"])
        seconds, megabytes = MESH_GOALS[count]
        what = f"{count} daemons started at once: last answer to full mesh, seconds"
        lines.append(_at_most(what, size["mesh_s"], seconds))
        lines.append(_at_most("TCP between them until then, MB", size["tcp_bytes"] / 1e6, megabytes))
    return lines


def _dns(result: Any) -> list[Line]:
    return [
        _at_least(
            f"DNS, {row['case']}, {row['names']:,} names: {row['tulle_qps']:,.0f}/s against dnsmasq",
            row["ratio"],
            0.9,
        )
        for row in result["rows"]
    ]


def _datapath(result: Any) -> list[Line]:
    return [Line(*line) for line in result["lines"]]


def _sleeve(result: Any) -> list[Line]:
    return [Line(*line) for line in result["lines"]]


def _docker(result: Any) -> list[Line]:
    return [Line(*line) for line in result["lines"]]


def _quorum(result: Any) -> list[Line]:
    ours = [row for row in result["rows"] if row["system"] == "tulle"]
    share = sum(row["succeeded"] for row in ours) / sum(row["tried"] for row in ours)
    return [_at_least("operations that succeed on every side of every partition, share", share, 1)]


def _scale(result: Any) -> list[Line]:
    largest = result["sizes"][-1]
    peers, megabytes = largest["peers"], largest["one"]["memory_bytes"]
    return [
        _at_most(f"{peers} peers: one state after a cold start, virtual seconds", largest["cold_s"], 10),
        _at_most(f"{peers} peers, idle: kB per second and peer", largest["idle_bytes"] / 60 / 1e3, 2),
        _at_most(f"{peers} peers, 10,000 names: memory of one, MB", megabytes / 1e6, 100),
        _at_least("simulated events per second, thousands", result["bare_events_per_s"] / 1e3, 100),
    ]


LINES: dict[str, Callable[[Any], list[Line]]] = {
    "idle": _idle,
    "allocate": _allocate,
    "attach": _attach,
    "mesh_start": _mesh_start,
    "dns": _dns,
    "datapath": _datapath,
    "sleeve": _sleeve,
    "docker": _docker,
    "quorum": _quorum,
    "scale": _scale,
}


def _at_most(what: str, figure: float, limit: float) -> Line:
    return Line(what, f"{figure:.2f}", f"at most {limit:g}", figure <= limit)


def _at_least(what: str, figure: float, limit: float) -> Line:
    return Line(what, f"{figure:.2f}", f"at least {limit:g}", figure >= limit)


def _table(lines: list[Line]) -> str:
    rows = ["| what | measured | goal | |", "|---|---|---|---|"]
    rows += [
        f"| {line.what} | {line.figure} | {line.goal} | {'met' if line.met else '**not met**'} |"
        for line in lines
    ]
    return "\n".join(rows)


def _page(results: dict[str, Any]) -> str:
    kernel = platform.release().split("-")[0]
    machine = f"Linux {kernel}, Python {platform.python_version()}, {os.cpu_count()} cores"
    lines = [line for part in PARTS for line in LINES[part](results[part])]
    code = ", ".join(f"{part} `{results['code'].get(part, 'earlier')}`" for part in PARTS)
    return f"""# Performance

Measured by `make bench` ({machine}; all hosts are namespaces of one machine and share its cores). Every
figure that compares is a ratio against a baseline in the same run, taken in turns. Run it yourself on an idle
machine: it takes about half an hour and writes this page. `python -m bench docker` measures one part anew.

{_table(lines)}

What each bench does is said at the top of its file in `bench/`. The parts and the code they were measured
with: {code}. All that was measured:

```json
{json.dumps(results, indent=1, default=str)}
```
"""


if __name__ == "__main__":
    sys.exit(main())
