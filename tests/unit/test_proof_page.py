"""The page about the simulator's results is what ``scripts/prove`` makes of the results in the checkout."""

import importlib.machinery
import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from tulle.sim.scenarios import SCENARIOS

ROOT = Path(__file__).parents[2]


@pytest.fixture
def prove() -> ModuleType:
    loader = importlib.machinery.SourceFileLoader("prove", str(ROOT / "scripts" / "prove"))
    spec = importlib.util.spec_from_loader("prove", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_the_page_is_up_to_date(prove: ModuleType) -> None:
    """If this fails: scripts/prove --page"""
    results = prove.load(ROOT / "docs" / "proof.json", False)
    assert (ROOT / "docs" / "proof.md").read_text() == prove.page(results)


def test_every_scenario_was_run_and_held(prove: ModuleType) -> None:
    """But for seeds that the page explains."""
    results = json.loads((ROOT / "docs" / "proof.json").read_text())
    assert {name for name in SCENARIOS if results[name]["seeds"] == 0} == set()
    failed = {f"`{name}`, seed {seed}:" for name in SCENARIOS for seed in results[name]["failed"]}
    assert {one for one in failed if one not in prove.FOOT} == set()
