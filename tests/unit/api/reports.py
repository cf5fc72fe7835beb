"""Reports to test with: those that Weave Net 2.8.1 gave, and small ones of our own."""

import json
from pathlib import Path
from typing import Any

import msgspec

from tulle.api.report import Report

DATA = Path(__file__).parents[2] / "data" / "api"


def recorded(name: str) -> Report:
    """A report that the original made. Its nulls stand for empty lists and absent parts."""
    return msgspec.convert(_without_null(json.loads((DATA / f"report-{name}.json").read_text())), Report)


def _without_null(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_null(part) for key, part in value.items() if part is not None}
    if isinstance(value, list):
        return [_without_null(part) for part in value]
    return value


def troubled() -> Report:
    """A report of our own in which everything that can be wrong is wrong."""
    return msgspec.convert(json.loads((DATA / "report-troubled.json").read_text()), Report, strict=True)
