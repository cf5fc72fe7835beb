"""The peers that the operator named, kept for ``launch --resume``."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

_KIND, _KEY = "daemon", "targets"


@dataclass(frozen=True, slots=True)
class TargetsRecord:
    """The list, to be kept."""

    kind: str
    key: str
    value: bytes


def targets_record(targets: Sequence[str]) -> TargetsRecord:
    """What to save."""
    return TargetsRecord(_KIND, _KEY, msgspec.json.encode(list(targets)))


def restored_targets(records: Iterable[tuple[str, str, bytes]]) -> list[str]:
    """The targets of a previous life; none if there are none that make sense."""
    for kind, key, value in records:
        if (kind, key) == (_KIND, _KEY):
            try:
                return msgspec.json.decode(value, type=list[str])
            except msgspec.MsgspecError:
                return []
    return []
