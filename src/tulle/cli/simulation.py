"""The work behind ``tulle simulate``: running, with a progress bar, and showing what came of it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from tulle.errors import UserError
from tulle.sim.figures import TITLES, Figures, Observer
from tulle.sim.page import page
from tulle.sim.plots import blocks, number
from tulle.sim.postmortem import examine
from tulle.sim.run import Outcome, planned, run
from tulle.sim.scenario import Scenario
from tulle.sim.scenarios import SCENARIOS
from tulle.sim.shrink import MOST_RUNS
from tulle.sim.whatif import Question

PLOT_WIDTH = 48

Rows = list[tuple[str, str]]


@dataclass(slots=True)
class Tally:
    """All runs of one scenario."""

    runs: int = 0
    failed: int = 0
    events: int = 0
    seconds: float = 0.0

    def add(self, outcome: Outcome) -> None:
        """Count one."""
        self.runs += 1
        self.failed += bool(outcome.failure)
        self.events += outcome.events
        self.seconds += outcome.seconds


def list_scenarios() -> None:
    """Print what there is."""
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    for scenario in SCENARIOS.values():
        table.add_row(scenario.name, scenario.claim)
    Console().print(table)


def try_all(names: Sequence[str], seeds: range, report: Path | None) -> bool:
    """Run scenarios with each seed; whether nothing failed. Raises UserError for names that there are not."""
    chosen = _chosen(names)
    console = Console()
    tallies = {scenario.name: Tally() for scenario in chosen}
    failures: list[tuple[Scenario, Outcome]] = []
    with _progress() as progress:
        task = progress.add_task("", total=len(chosen) * len(seeds))
        for scenario in chosen:
            for seed in seeds:
                progress.update(task, description=f"{scenario.name}, seed {seed}")
                outcome = run(scenario, seed)
                tallies[scenario.name].add(outcome)
                if outcome.failure:
                    failures.append((scenario, outcome))
                progress.advance(task)
    console.print(_table(tallies))
    stories = _examine(console, failures)
    facts = [(name, _verdict(tally)) for name, tally in tallies.items()]
    _write(report, "tulle simulate", facts, None, stories)
    return not failures


def ask(question: Question, seed: int, report: Path | None) -> bool:
    """Run a cluster of the user's own; whether nothing failed."""
    console = Console()
    scenario = question.scenario()
    settings, steps = planned(scenario, seed)
    if question.degree:
        console.print(
            f"Each of the {settings.hosts} hosts connects to {question.degree} others; --links 0 connects all"
            " to all."
        )
    began = time.monotonic()
    with _progress() as progress:
        task = progress.add_task("", total=max((step.at for step in steps), default=1.0))
        observer = Observer(lambda mono: _show_time(progress, task, mono))
        outcome = run(scenario, seed, observe=observer.watch)
    facts = _facts(question, outcome, time.monotonic() - began)
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    for name, value in facts:
        table.add_row(name, value)
    console.print(table)
    for name, text in TITLES.items():
        values = getattr(observer.figures, name)
        top = number(max(values, default=0.0))
        console.print(f"\n{text} (at most {top})\n{blocks(values, PLOT_WIDTH)}")
    stories = _examine(console, [(scenario, outcome)] if outcome.failure else [])
    _write(report, f"{question.peers} hosts, simulated", facts, observer.figures, stories)
    return not outcome.failure


def _chosen(names: Sequence[str]) -> list[Scenario]:
    unknown = [name for name in names if name not in SCENARIOS]
    if unknown:
        raise UserError(f"there is no scenario {unknown[0]}; `tulle simulate --list` shows what there is")
    return [SCENARIOS[name] for name in names or SCENARIOS]


def _progress() -> Progress:
    console = Console(stderr=True)
    return Progress(
        BarColumn(),
        TextColumn("{task.percentage:3.0f}%"),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def _show_time(progress: Progress, task: TaskID, mono: float) -> None:
    progress.update(task, completed=mono, description=f"{mono:.0f} s of virtual time")


def _examine(console: Console, failures: Sequence[tuple[Scenario, Outcome]]) -> list[list[str]]:
    """Show why each failed; the first of each scenario with its shortest schedule."""
    stories: list[list[str]] = []
    shown: set[str] = set()
    for scenario, outcome in failures:
        lines = [f"{scenario.name}, seed {outcome.seed}: {outcome.failure}"]
        if scenario.name not in shown:
            shown.add(scenario.name)
            lines = _shortest(scenario, outcome)
        stories.append(lines)
        console.print("", *lines, sep="\n", markup=False, highlight=False)
    return stories


def _shortest(scenario: Scenario, outcome: Outcome) -> list[str]:
    with _progress() as progress:
        task = progress.add_task("looking for the shortest schedule", total=MOST_RUNS)
        return examine(scenario, outcome, lambda runs: progress.update(task, completed=runs)).lines()


def _table(tallies: dict[str, Tally]) -> Table:
    table = Table("Scenario", "Runs", "Failed", "Events", "Virtual time", box=None, padding=(0, 2, 0, 0))
    for name, tally in tallies.items():
        table.add_row(
            name, str(tally.runs), str(tally.failed), f"{tally.events:,}", f"{tally.seconds / 60:.0f} min"
        )
    return table


def _verdict(tally: Tally) -> str:
    return f"{tally.runs} runs, {tally.failed} failed, {tally.events:,} events"


def _facts(question: Question, outcome: Outcome, took: float) -> Rows:
    delays = sorted(outcome.delays)
    local = f"{100 * outcome.local / outcome.granted:.1f} %" if outcome.granted else "none were asked for"
    slowest = f"{delays[len(delays) * 99 // 100]:.3g} s" if delays else "-"
    settled = ", ".join(f"{seconds:.2g} s" for seconds in outcome.settle_times)
    per_host = outcome.bytes_sent / question.peers / outcome.seconds
    return [
        ("Hosts", str(question.peers)),
        ("Virtual time", f"{outcome.seconds:.0f} s, computed in {took:.0f} s ({outcome.events:,} events)"),
        ("One state after the start, and at the end after the last fault", settled or "-"),
        (
            "Containers started",
            f"{outcome.granted}, {local} of them without a message, 99 % within {slowest}",
        ),
        ("Refused", "; ".join(outcome.refusals) or "none"),
        ("Sent by each host", f"{number(per_host)} bytes per second on average"),
        ("Verdict", outcome.failure or "nothing that must hold was ever violated"),
    ]


def _write(
    report: Path | None, title: str, facts: Rows, figures: Figures | None, stories: list[list[str]]
) -> None:
    if report is not None:
        report.write_text(page(title, facts, figures, stories))
