"""How Go sees values: what is true, what they are called, and how they are printed."""

import math
from typing import Any


def is_struct(value: Any) -> bool:
    """Whether a dict stands for a Go struct: its keys are field names, which start with a capital."""
    return isinstance(value, dict) and bool(value) and all(key[:1].isupper() for key in value)


def truth(value: Any) -> bool:
    """What ``if`` makes of a value: empty and zero are false, a struct never is."""
    return bool(value)


def kind(value: Any) -> str:
    """The value's type in an error message."""
    if value is None:
        return "nil"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int"
    if isinstance(value, float):
        return "float64"
    if isinstance(value, str):
        return "string"
    if isinstance(value, list):
        return "list"
    return "struct" if is_struct(value) else "map"


def show(value: Any, nil: str = "<no value>") -> str:
    """The value as ``{{...}}`` and ``%v`` print it; inside of other values nil is ``<nil>``."""
    if value is None:
        return nil
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return show_float(value)
    if isinstance(value, list):
        return f"[{' '.join(show(part, '<nil>') for part in value)}]"
    if is_struct(value):
        return "{" + " ".join(show(part, "<nil>") for part in value.values()) + "}"
    if isinstance(value, dict):
        parts = (f"{key}:{show(value[key], '<nil>')}" for key in sorted(value))
        return f"map[{' '.join(parts)}]"
    return str(value)


def show_float(value: float) -> str:
    """The shortest digits that give the value back; an exponent below 1e-4 and from 1e21 on."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if value == 0 or 1e-4 <= abs(value) < 1e21:
        text = format(value, "f") if "e" in repr(value) else repr(value)
        return text.rstrip("0").rstrip(".") if "." in text else text
    mantissa, exponent = repr(value).split("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent):+03d}"
