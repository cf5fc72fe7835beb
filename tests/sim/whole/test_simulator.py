"""The simulator itself: the same run is the same run, and what is wrong is found and said."""

import os
import subprocess
import sys

from tulle.sim.run import run
from tulle.sim.scenarios import SCENARIOS

TRACE = (
    "from tulle.sim.run import run; from tulle.sim.scenarios import SCENARIOS;"
    "print(run(SCENARIOS['chaos'], 7).trace)"
)


def test_a_run_is_the_same_every_time() -> None:
    first, second = run(SCENARIOS["chaos"], 7), run(SCENARIOS["chaos"], 7, told=True)
    assert first.trace == second.trace
    assert (first.events, first.seconds) == (second.events, second.seconds)
    assert run(SCENARIOS["chaos"], 8).trace != first.trace


def test_a_run_is_the_same_in_every_process() -> None:
    traces = {
        subprocess.run(
            [sys.executable, "-c", TRACE],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert traces == {run(SCENARIOS["chaos"], 7).trace + "\n"}
