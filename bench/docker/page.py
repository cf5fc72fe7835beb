"""What was measured beside Docker's overlay, as docs/docker-overlay.md."""

from pathlib import Path
from typing import Any

_OTHERS = ("overlay", "tulle")


def write(result: dict[str, Any], docs: Path) -> None:
    """Write the page. ``result`` holds every part."""
    (docs / "docker-overlay.md").write_text(_page(result))


def _page(result: dict[str, Any]) -> str:
    return f"""# Beside Docker's overlay

Docker has a network across hosts of its own: the overlay of a swarm. This page is what both do on the same
three engines, in the same run, asked by the same commands. The engines are all managers of the swarm (so
that it survives the loss of one), the overlay is attachable, and neither is encrypted.

## When hosts are cut off from each other

On every host of every side, the moment the cut is made: `docker network create`, `docker run` on the network
that was there before, finding the new container by name from another one of that host, `docker rm`. A swarm
needs a majority of its managers for the first two; each side of tulle goes on by itself, and what both sides
did merges when they meet.

{_partitions(result["partitions"])}

A cell is how many hosts succeeded, and the median in seconds; where nobody did, after how long the last one
was refused or gave up. Both systems are asked at the same time, and after the heal when the swarm has a
leader again. The twenty seconds in tulle's column are the swarm's: an engine that is a member asks it whether
the name of a new network is free, whatever its driver.

## Speed

| what | overlay | tulle |
|---|---|---|
{_traffic(result["traffic"])}
{_crowd(result["crowd"])}

Where Docker runs, the host's iptables see what passes bridges (`net.bridge.bridge-nf-call-iptables`). The
overlay's bridge lies in a namespace of its own; tulle's frames between hosts go
[past the bridge](concepts/data-path.md#packet-filters-and-tools-at-the-bridge).

## Features

| | Docker's overlay | tulle |
|---|---|---|
| Needs | a swarm: managers, a majority of which can talk to each other | nothing |
| `docker run` on it | `--attachable` networks, by way of a manager | every network |
| Processes that are not Docker's, and the host itself | no | `tulle attach`, `tulle expose` |
| Hosts behind NAT, or without a direct way to each other | no | yes: shortcuts, relays |
| Multicast | no | yes, only to hosts that listen |
| Load balancing | virtual address (IPVS) or DNS | DNS |
| Encryption | IPsec, `--opt encrypted` | `--password` |
| Isolation | each network is a segment of its own | networks are subnets of one segment |

Measured by `python -m bench docker` (as root; it needs Debian's `docker.io`), which writes this page. All
hosts are namespaces of one machine and share its cores.
"""


def _partitions(rows: list[dict[str, Any]]) -> str:
    lines = ["| situation | hosts | operation | overlay | tulle |", "|---|---|---|---|---|"]
    for row in rows:
        if row["system"] == "overlay":
            ours = next(one for one in rows if one["system"] == "tulle" and _same(one, row))
            side = ", ".join(map(str, row["side"]))
            cells = (row["situation"], side, f"`{row['operation']}`", _cell(row), _cell(ours))
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(one[key] == other[key] for key in ("situation", "side", "operation"))


def _cell(row: dict[str, Any]) -> str:
    if row["succeeded"]:
        return f"{row['succeeded']} of {row['tried']}, {row['median_s']:.1f} s"
    return f"**0 of {row['tried']}**, {row['refused_after_s']:.1f} s"


def _traffic(figures: dict[str, dict[str, float]]) -> str:
    rows = []
    for name, figure in figures.items():
        unit = "" if name.startswith("ping") else ", Gbit/s"
        cells = " | ".join(f"{figure[side]:.3g}" for side in ("baseline", "ours"))
        rows.append(f"| {name} between containers of two engines{unit} | {cells} |")
    return "\n".join(rows)


def _crowd(figures: dict[str, dict[str, float]]) -> str:
    told = {
        "started_s": "containers started at once on three engines, seconds to the last answer",
        "known_s": "until every host knows all their names, seconds",
        "refused": "starts that were refused meanwhile, and tried again",
    }
    rows = [
        f"| {what} | {' | '.join(f'{figures[system][key]:.3g}' for system in _OTHERS)} |"
        for key, what in told.items()
    ]
    return "\n".join(rows)
