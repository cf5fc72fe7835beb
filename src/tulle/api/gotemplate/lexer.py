"""Cuts a template into text and actions, and an action into tokens."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from tulle.api.gotemplate.errors import TemplateError

LONGEST_TEMPLATE = 65_536

_OPEN = re.compile(r"\{\{(?P<trim>-(?=\s))?")
_COMMENT = re.compile(r"\s*/\*.*?\*/\s*?(?P<trim>(?<=\s)-)?\}\}", re.DOTALL)
_TOKEN = re.compile(
    r"""
      (?P<space>\s+)
    | (?P<string>"(?:[^"\\\n]|\\.)*")
    | (?P<raw>`[^`]*`)
    | (?P<char>'(?:[^'\\\n]|\\.)+')
    | (?P<number>[+-]?(?:0[xX][0-9a-fA-F_]+|(?:\d[\d_]*(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?))
    | (?P<field>\.[A-Za-z_]\w*)
    | (?P<variable>\$\w*)
    | (?P<word>[A-Za-z_]\w*)
    | (?P<declare>:=)
    | (?P<mark>[=|(),.])
    """,
    re.VERBOSE,
)


class Token(NamedTuple):
    """``kind`` is a group of the token grammar; ``spaced`` tells whether white space stands before it."""

    kind: str
    text: str
    line: int
    spaced: bool


@dataclass(frozen=True, slots=True)
class Text:
    """Copied to the output as it is."""

    text: str


@dataclass(frozen=True, slots=True)
class Action:
    """What stands between ``{{`` and ``}}``."""

    tokens: tuple[Token, ...]
    line: int


def lex(template: str) -> Iterator[Text | Action]:
    """Text and actions in turn; trim marks are already applied. Raises TemplateError."""
    if len(template) > LONGEST_TEMPLATE:
        raise TemplateError(f"it is longer than {LONGEST_TEMPLATE} characters")
    position, trim = 0, False
    while opening := _OPEN.search(template, position):
        text = template[position : opening.start()]
        text = text.lstrip() if trim else text
        yield Text(text.rstrip() if opening["trim"] else text)
        line = template.count("\n", 0, opening.start()) + 1
        comment = _COMMENT.match(template, opening.end())
        if comment:
            position, trim = comment.end(), bool(comment["trim"])
            continue
        tokens, position, trim = _action(template, opening.end(), line)
        yield Action(tokens, line)
    text = template[position:]
    yield Text(text.lstrip() if trim else text)


def _action(template: str, position: int, line: int) -> tuple[tuple[Token, ...], int, bool]:
    """The tokens up to the closing braces, the position after them, and whether they trim what follows."""
    tokens: list[Token] = []
    spaced = False
    while True:
        if template.startswith("}}", position):
            return tuple(tokens), position + 2, False
        if spaced and template.startswith("-}}", position):
            return tuple(tokens), position + 3, True
        match = _TOKEN.match(template, position)
        if match is None:
            if position >= len(template):
                raise TemplateError("an action is not closed with }}", line)
            raise TemplateError(f"unexpected {template[position]!r} in an action", line)
        kind = match.lastgroup or ""
        if kind != "space":
            tokens.append(Token(kind, match[0], line, spaced))
        spaced = kind == "space"
        line += match[0].count("\n")
        position = match.end()
