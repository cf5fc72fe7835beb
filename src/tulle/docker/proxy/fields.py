"""Objects of Docker's API, of which only some fields are known here.

The engine takes field names in any case, and some old clients write them in others than its documentation.
"""

from collections.abc import Sequence
from typing import Any

from tulle.errors import UserError

Json = dict[str, Any]


def key_of(thing: Json, name: str) -> str:
    """How ``thing`` itself spells the field ``name``; where it has none, ``name``."""
    if name in thing:
        return name
    return next((key for key in thing if key.lower() == name.lower()), name)


def text(thing: Json, name: str) -> str:
    """A field that is text; the empty one where it is absent. Raises UserError if it is something else."""
    value = thing.get(key_of(thing, name))
    if value is None:
        return ""
    if not isinstance(value, str):
        raise UserError(f"{name} must be text")
    return value


def words(thing: Json, name: str) -> list[str] | None:
    """A list of texts, or a text alone, which stands for a list of one; None where it is absent."""
    value = thing.get(key_of(thing, name))
    if isinstance(value, str):
        return [value]
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise UserError(f"{name} must be a list of texts")
    return value


def part(thing: Json, name: str) -> Json:
    """An object inside ``thing``, which is put there, empty, where it is absent."""
    key = key_of(thing, name)
    value = thing.get(key)
    if value is None:
        value = thing[key] = {}
    if not isinstance(value, dict):
        raise UserError(f"{name} must be an object")
    return value


def put(thing: Json, name: str, value: str | Sequence[str]) -> None:
    """Set a field, however it is spelt."""
    thing[key_of(thing, name)] = value if isinstance(value, str) else list(value)
