"""``tulle simulate``: whole clusters in this process, and all that can go wrong. It needs no daemon."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tulle.errors import UserError

if TYPE_CHECKING:
    from tulle.sim.whatif import Question

_RATE = re.compile(r"(\d+(?:\.\d+)?)(?:/(s|min|h))?\Z", re.ASCII)
_PER_MINUTE = {"s": 60.0, "min": 1.0, "h": 1 / 60, None: 1.0}
_SHARE = re.compile(r"(\d+(?:\.\d+)?)(%?)\Z", re.ASCII)
MOST_PEERS = 1000


class Rate(click.ParamType[float]):
    """Something per minute: ``5/min``, ``1/s``, ``30/h``."""

    name = "RATE"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Times per minute."""
        match = _RATE.match(str(value))
        if match is None:
            self.fail(f"{value!r} is not a rate; write it like 5/min, 1/s or 30/h", param, ctx)
        return float(match[1]) * _PER_MINUTE[match[2]]


class Share(click.ParamType[float]):
    """A part of the whole: ``40%`` or ``0.4``."""

    name = "SHARE"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """From 0 to 1."""
        match = _SHARE.match(str(value))
        share = float(match[1]) / (100 if match[2] else 1) if match else 2.0
        if share > 1:
            self.fail(f"{value!r} is not a share; write it like 40% or 0.4", param, ctx)
        return share


@click.command()
@click.option("--list", "only_list", is_flag=True, help="List the scenarios and what they show.")
@click.option("--all", "everything", is_flag=True, help="Run every scenario.")
@click.option("--seed", type=click.IntRange(0), default=0, metavar="N", help="The first seed; 0 by default.")
@click.option("--seeds", type=click.IntRange(1), default=1, metavar="N", help="How many seeds to run.")
@click.option("--peers", type=click.IntRange(1, MOST_PEERS), metavar="N", help="A cluster of this size.")
@click.option("--churn", type=Rate(), metavar="RATE", help="Daemons killed and started again: 5/min.")
@click.option("--launches", type=Rate(), metavar="RATE", help="Containers started; 60/min by default.")
@click.option(
    "--partition", type=Share(), metavar="SHARE", help="Hosts cut off for a third of the time: 40%."
)
@click.option("--minutes", type=click.FloatRange(0.1, 1440), metavar="N", help="How long; 3 by default.")
@click.option("--links", type=click.IntRange(0), metavar="N", help="Links that each host makes; 0: to all.")
@click.option("--report", type=click.Path(dir_okay=False), metavar="FILE", help="Write a page of HTML.")
@click.argument("scenarios", nargs=-1, metavar="[SCENARIO...]")
def simulate(
    only_list: bool,
    everything: bool,
    seed: int,
    seeds: int,
    peers: int | None,
    churn: float | None,
    launches: float | None,
    partition: float | None,
    minutes: float | None,
    links: int | None,
    report: str | None,
    scenarios: tuple[str, ...],
) -> None:
    """Simulate clusters: see what becomes of one like yours, or try to break the product.

    With --peers, a cluster of that size lives for some minutes. Otherwise scenarios are run, each with its
    seeds; the same scenario and seed give the same run. A failure is shown with the shortest schedule found
    for it, and what every daemon believed.
    """
    from tulle.cli import simulation

    if only_list:
        simulation.list_scenarios()
        return
    wishes = {
        "churn": churn,
        "launches": launches,
        "partition": partition,
        "minutes": minutes,
        "links": links,
    }
    given = {name: value for name, value in wishes.items() if value is not None}
    if peers is None and given:
        raise click.UsageError(f"--{min(given)} needs --peers")
    if (peers is not None) + bool(scenarios) + everything != 1:
        raise click.UsageError("give either scenarios (see --list), or --all, or --peers")
    path = _writable(report)
    if peers is not None:
        good = simulation.ask(_question(peers, given), seed, path)
    else:
        good = simulation.try_all(scenarios, range(seed, seed + seeds), path)
    if not good:
        raise UserError("something that must always hold did not: see above")


def _question(peers: int, given: dict[str, float]) -> "Question":
    from tulle.sim.whatif import Question

    links = given.pop("links", None)
    return Question(peers=peers, links=None if links is None else int(links), **given)


def _writable(report: str | None) -> Path | None:
    if report is None:
        return None
    path = Path(report)
    if not path.absolute().parent.is_dir():
        raise UserError(f"cannot write {report}: there is no such directory")
    return path
