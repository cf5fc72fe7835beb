"""The report keeps the original's shape, so that what was written for it goes on working."""

import json
from typing import Any

import msgspec
import pytest

from api.reports import DATA, recorded, troubled
from tulle.api.report import established_info, to_json

NOT_OURS = {
    ".Router.CaptureStats",
    ".VersionCheck.Success",
    ".VersionCheck.NewVersion",
    ".VersionCheck.NextCheckAt",
}
"""What only the original's capture mechanism and its calls home have."""


def missing(theirs: Any, ours: Any, path: str = "") -> list[str]:
    """Keys and values of the original's report that ours lacks. Its null is our empty list or no part."""
    if path in NOT_OURS:
        return []
    if isinstance(theirs, dict) and isinstance(ours, dict):
        return [
            text
            for key, value in theirs.items()
            for text in (missing(value, ours.get(key, f"no {key}"), f"{path}.{key}"))
        ]
    if isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        return [
            text
            for number, (one, other) in enumerate(zip(theirs, ours, strict=True))
            for text in missing(one, other, f"{path}[{number}]")
        ]
    if theirs == ours or (theirs is None and ours in ([], None, "no sleeve")):
        return []
    return [f"{path}: {theirs!r} became {ours!r}"]


@pytest.mark.parametrize("name", ["three-peers", "peer-dead", "encrypted"])
def test_every_key_of_the_original_comes_back(name: str) -> None:
    theirs = json.loads((DATA / f"report-{name}.json").read_text())
    assert missing(theirs, json.loads(to_json(recorded(name)))) == []


def test_json_there_and_back() -> None:
    report = troubled()
    assert msgspec.json.decode(to_json(report), type=type(report)) == report


@pytest.mark.parametrize(
    ("carrier", "encrypted", "text"),
    [
        ("fastdp", None, "fastdp 02:00:00:00:00:02(h2)"),
        ("sleeve", True, "encrypted   sleeve 02:00:00:00:00:02(h2)"),
        ("fastdp", False, "unencrypted fastdp 02:00:00:00:00:02(h2)"),
        ("", None, "02:00:00:00:00:02(h2)"),
    ],
)
def test_a_connection_is_described_like_the_original_does(
    carrier: str, encrypted: bool | None, text: str
) -> None:
    assert established_info(carrier, "02:00:00:00:00:02", "h2", encrypted) == text
