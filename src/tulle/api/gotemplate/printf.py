"""``printf`` with the verbs that make sense for report values."""

import json
import re
from typing import Any

from tulle.api.gotemplate.errors import TemplateError
from tulle.api.gotemplate.values import kind, show

WIDEST = 1000
_VERB = re.compile(r"%(?P<flags>[-+# 0]*)(?P<width>\d+)?(?:\.(?P<precision>\d*))?(?P<verb>.)?", re.DOTALL)


def printf(template: Any, *values: Any) -> str:
    """The template with a value for each of its verbs; mistakes show in the output, as in Go."""
    if not isinstance(template, str):
        raise TemplateError(f"printf takes a format string first, not {kind(template)}")
    waiting = list(values)
    text = _VERB.sub(lambda match: _one(match, waiting), template)
    if waiting:
        extra = ", ".join(f"{kind(value)}={show(value, '<nil>')}" for value in waiting)
        text += f"%!(EXTRA {extra})"
    return text


def _one(match: re.Match[str], waiting: list[Any]) -> str:
    verb = match["verb"]
    if verb is None:
        return "%!(NOVERB)"
    if verb == "%":
        return "%"
    if not waiting:
        return f"%!{verb}(MISSING)"
    width, precision = _limit(match["width"]), _limit(match["precision"])
    value = waiting.pop(0)
    text = _format(verb, match["flags"], precision if match["precision"] is not None else None, value)
    if "-" in match["flags"]:
        return text.ljust(width)
    if "0" in match["flags"] and kind(value) in ("int", "float64"):
        return text.zfill(width)
    return text.rjust(width)


def _limit(digits: str | None) -> int:
    number = int(digits[:9]) if digits else 0
    if number > WIDEST:
        raise TemplateError(f"a width of {number} in printf is more than {WIDEST}")
    return number


def _format(verb: str, flags: str, precision: int | None, value: Any) -> str:
    what = kind(value)
    number = what in ("int", "float64")
    sign = "+" if "+" in flags and number and value >= 0 else ""
    if verb == "v" or (verb == "s" and what not in ("int", "float64", "bool", "nil")):
        text = show(value, "<nil>")
        return sign + (text if precision is None or what != "string" else text[:precision])
    if verb == "d" and what == "int":
        return sign + str(value)
    if verb in "xX" and what in ("int", "string"):
        text = format(value, "x") if what == "int" else value.encode().hex()
        return text.upper() if verb == "X" else text
    if verb in "eEfFgG" and what == "float64":
        if verb in "gG" and precision is None:
            return sign + show(value)
        return sign + format(value, f".{6 if precision is None else precision}{verb}")
    if verb == "t" and what == "bool":
        return show(value)
    if verb == "q" and what == "string":
        return json.dumps(value, ensure_ascii=False)
    if verb == "T":
        return what
    return f"%!{verb}({what}={show(value, '<nil>')})" if what != "nil" else f"%!{verb}(<nil>)"
