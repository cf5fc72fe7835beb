"""The functions that a template can call. All take plain values and raise TemplateError."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from tulle.api.gotemplate.errors import TemplateError
from tulle.api.gotemplate.printf import printf
from tulle.api.gotemplate.values import kind, show, truth


def _and(first: Any, *others: Any) -> Any:
    return next((value for value in (first, *others[:-1]) if not truth(value)), (first, *others)[-1])


def _or(first: Any, *others: Any) -> Any:
    return next((value for value in (first, *others[:-1]) if truth(value)), (first, *others)[-1])


def _not(value: Any) -> bool:
    return not truth(value)


def _len(value: Any) -> int:
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, (list, dict)):
        return len(value)
    raise TemplateError(f"len of {kind(value)}, which has no length")


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        value = _element(value, key)
    return value


def _element(value: Any, key: Any) -> Any:
    if isinstance(value, (list, str)):
        if isinstance(key, bool) or not isinstance(key, int):
            raise TemplateError(f"index with {kind(key)}; a {kind(value)} takes a number")
        raw: list[Any] | bytes = value if isinstance(value, list) else value.encode()
        if not 0 <= key < len(raw):
            raise TemplateError(f"index {key} is out of range: there are {len(raw)}")
        return raw[key]
    if isinstance(value, dict):
        if not isinstance(key, str):
            raise TemplateError(f"index with {kind(key)}; a {kind(value)} takes a string")
        return value.get(key)
    raise TemplateError(f"index of {kind(value)}, which has no parts")


def _slice(value: Any, *bounds: Any) -> Any:
    if not isinstance(value, (list, str)):
        raise TemplateError(f"slice of {kind(value)}, which has no parts")
    if len(bounds) > 2 or not all(type(bound) is int for bound in bounds):
        raise TemplateError("slice takes a value and up to two numbers")
    low = bounds[0] if bounds else 0
    high = bounds[1] if len(bounds) == 2 else len(value)
    if not 0 <= low <= high <= len(value):
        raise TemplateError(f"slice {low}:{high} is out of range: there are {len(value)}")
    return value[low:high]


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _print(*values: Any) -> str:
    """Spaces go between operands when neither is a string."""
    text = ""
    for position, value in enumerate(values):
        both_plain = position and not isinstance(value, str) and not isinstance(values[position - 1], str)
        text += (" " if both_plain else "") + show(value, "<nil>")
    return text


def _println(*values: Any) -> str:
    return " ".join(show(value, "<nil>") for value in values) + "\n"


def _comparable(one: Any, other: Any) -> None:
    groups = [
        "number" if isinstance(value, (int, float)) and not isinstance(value, bool) else kind(value)
        for value in (one, other)
    ]
    if any(group in ("list", "map", "struct") for group in groups):
        raise TemplateError(f"{kind(one)} and {kind(other)} cannot be compared")
    if groups[0] != groups[1] and "nil" not in groups:
        raise TemplateError(f"{kind(one)} and {kind(other)} cannot be compared: their types differ")


def _eq(first: Any, *others: Any) -> bool:
    if not others:
        raise TemplateError("eq takes two values or more")
    for other in others:
        _comparable(first, other)
    return first in others


def _ne(one: Any, other: Any) -> bool:
    return not _eq(one, other)


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def ordered(one: Any, other: Any) -> bool:
        _comparable(one, other)
        if one is None or other is None or isinstance(one, bool):
            raise TemplateError(f"{kind(one)} and {kind(other)} have no order")
        return compare(one, other)

    return ordered


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "and": _and,
    "or": _or,
    "not": _not,
    "len": _len,
    "index": _index,
    "slice": _slice,
    "json": _json,
    "print": _print,
    "println": _println,
    "printf": printf,
    "eq": _eq,
    "ne": _ne,
    "lt": _ordered(lambda one, other: bool(one < other)),
    "le": _ordered(lambda one, other: bool(one <= other)),
    "gt": _ordered(lambda one, other: bool(one > other)),
    "ge": _ordered(lambda one, other: bool(one >= other)),
}
