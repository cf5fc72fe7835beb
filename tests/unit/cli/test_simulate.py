"""``tulle simulate``: what it runs, what it shows, and how it says that something failed."""

from pathlib import Path

import click
import pytest

from cli.conftest import Run
from tulle.cli.simulate import Rate, Share
from tulle.sim.checks import Resolves
from tulle.sim.operations import Crash
from tulle.sim.plan import Plan
from tulle.sim.scenario import SCENARIOS, Scenario
from tulle.sim.settings import Settings


def _broken(plan: Plan) -> None:
    plan.cluster(Settings(hosts=2, start_spread=0.1))
    plan.wait(1)
    plan.do(Crash(2), Resolves("nobody", 1))


@pytest.mark.parametrize(("text", "per_minute"), [("5/min", 5), ("2/s", 120), ("30/h", 0.5), ("1.5", 1.5)])
def test_rates(text: str, per_minute: float) -> None:
    assert Rate().convert(text, None, None) == per_minute


@pytest.mark.parametrize(("text", "share"), [("40%", 0.4), ("0.4", 0.4), ("100%", 1), ("0", 0)])
def test_shares(text: str, share: float) -> None:
    assert Share().convert(text, None, None) == share


@pytest.mark.parametrize("text", ["", "x", "5/day", "-1", "5%"])
def test_what_is_no_rate(text: str) -> None:
    with pytest.raises(click.BadParameter, match="write it like 5/min"):
        Rate().convert(text, None, None)


@pytest.mark.parametrize("text", ["", "140%", "1.1", "-0.5", "half"])
def test_what_is_no_share(text: str) -> None:
    with pytest.raises(click.BadParameter, match="write it like 40%"):
        Share().convert(text, None, None)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "give either scenarios"),
        ("--all chaos", "give either scenarios"),
        ("--churn 5/min", "--churn needs --peers"),
        ("--peers 0", "is not in the range"),
    ],
)
def test_misuse(tulle: Run, words: str, said: str) -> None:
    got = tulle("simulate", *words.split())
    assert got.status == 2
    assert said in got.err


def test_a_scenario_that_there_is_not(tulle: Run) -> None:
    got = tulle("simulate", "nonsense")
    assert got.status == 1
    assert "there is no scenario nonsense" in got.err


def test_the_list_has_every_scenario(tulle: Run) -> None:
    got = tulle("simulate", "--list")
    assert got.status == 0
    assert all(name in got.out for name in SCENARIOS)


def test_a_cluster_of_ones_own(tulle: Run, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    got = tulle("simulate", "--peers", "3", "--minutes", "0.2", "--partition", "40%", "--report", str(page))
    assert got.status == 0
    assert "Containers started" in got.out
    assert "share of the others that a host reaches" in got.out
    assert "<svg" in page.read_text()
    assert "http" not in page.read_text()


def test_a_report_that_cannot_be_written_is_said_before_anything_runs(tulle: Run) -> None:
    got = tulle("simulate", "chaos", "--report", "/nowhere/page.html")
    assert got.status == 1
    assert "no such directory" in got.err


def test_a_failure_comes_with_its_schedule_and_beliefs(tulle: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SCENARIOS, "broken", Scenario("broken", "is broken", (), _broken, 0))
    got = tulle("simulate", "broken", "--seed", "3")
    assert got.status == 1
    assert "broken, seed 3: nobody has 0 addresses on h" in got.out
    assert "The shortest schedule found (2 steps" in got.out
    assert "Crash" not in got.out
    assert "knows nobody; frames pass to nobody" in got.out
