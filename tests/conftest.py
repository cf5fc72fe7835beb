"""Rules of the whole suite: which tests need a kernel, who may skip, and how hypothesis behaves.

Tests under ``netns``, ``e2e`` and ``docker`` need root and network namespaces; of each directory one runs
at a time. Elsewhere they are skipped with the reason; with ``CI=true`` such a skip is a failure, unless the
kernel itself lacks the feature (see ``lab.probe``).
"""

import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from lab import Lab, machine, probe

_CI = os.environ.get("CI") == "true"
_KERNEL_DIRECTORIES = {"netns", "e2e", "docker"}

hypothesis.settings.register_profile("default", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("ci" if _CI else "default")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        parts = item.path.relative_to(here).parts if item.path.is_relative_to(here) else ()
        if parts and parts[0] in _KERNEL_DIRECTORIES:
            item.add_marker(pytest.mark.netns)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    from lab.scheduling import KernelTestsApart

    return KernelTestsApart(config, log)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("netns") and (reason := machine.missing()):
        pytest.skip(reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a test that skips where it could have run has hidden something: make it fail."""
    report = yield
    made = getattr(item, "funcargs", {}).get("lab")
    if report.failed and isinstance(made, Lab):
        report.sections.append(("what the daemons logged", made.logs()))
    if _CI and report.skipped and not hasattr(report, "wasxfail"):
        reason = str(call.excinfo.value) if call.excinfo else ""
        if item.get_closest_marker("netns") and not reason.startswith(probe.KERNEL_LACKS):
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid} may not be skipped with CI=true: {reason}"
    return report


@pytest.fixture
def lab() -> Generator[Lab]:
    """A lab of its own for the test; everything in it is gone afterwards."""
    with Lab() as made:
        yield made
