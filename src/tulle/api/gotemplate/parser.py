"""Builds the nodes of a template from its tokens, by recursive descent."""

import ast
import re
from collections.abc import Iterator
from typing import Any

from tulle.api.gotemplate import lexer
from tulle.api.gotemplate.errors import TemplateError
from tulle.api.gotemplate.functions import FUNCTIONS
from tulle.api.gotemplate.lexer import Action, Token
from tulle.api.gotemplate.nodes import (
    Block,
    Command,
    Dot,
    Fields,
    Function,
    Literal,
    Node,
    Operand,
    Pipeline,
    Print,
    Text,
    Variable,
)

DEEPEST = 50
_BLOCKS = ("if", "with", "range")
_UNSUPPORTED = ("define", "template", "block", "break", "continue")
_CONSTANTS = {"true": True, "false": False, "nil": None}
_GO_ESCAPES = re.compile(
    r"\\(?:[abfnrtv\\'\"]|x[0-9a-fA-F]{2}|[0-7]{3}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|(.?))"
)


def parse(template: str) -> tuple[Node, ...]:
    """The nodes of a template. Raises TemplateError."""
    return _Parser(template).template()


class _Parser:
    """Reads pieces one after the other; ``_names`` are the variables known where it stands."""

    def __init__(self, template: str) -> None:
        self._pieces: Iterator[lexer.Text | Action] = lexer.lex(template)
        self._names = [""]
        self._depth = 0

    def template(self) -> tuple[Node, ...]:
        nodes, end = self._nodes()
        if end is not None:
            raise TemplateError(f"{{{{{end.tokens[0].text}}}}} stands outside of any block", end.line)
        return nodes

    def _nodes(self) -> tuple[tuple[Node, ...], Action | None]:
        """Nodes up to the ``end`` or ``else`` of the block around them, and that action (None: no more)."""
        nodes: list[Node] = []
        for piece in self._pieces:
            if isinstance(piece, lexer.Text):
                if piece.text:
                    nodes.append(Text(piece.text))
                continue
            first = piece.tokens[0] if piece.tokens else None
            if first is None:
                raise TemplateError("an action is empty", piece.line)
            if first.kind == "word" and first.text in ("end", "else"):
                return tuple(nodes), piece
            if first.kind == "word" and first.text in _UNSUPPORTED:
                raise TemplateError(f"{first.text} is not supported here", piece.line)
            if first.kind == "word" and first.text in _BLOCKS:
                nodes.append(self._block(first.text, piece, piece.tokens[1:]))
            else:
                nodes.append(Print(self._whole_pipeline(piece, piece.tokens)))
        return tuple(nodes), None

    def _block(self, kind: str, action: Action, header: tuple[Token, ...]) -> Block:
        self._depth += 1
        if self._depth > DEEPEST:
            raise TemplateError("blocks are nested too deeply", action.line)
        known = len(self._names)
        pipeline = self._whole_pipeline(action, header, is_range=kind == "range")
        body, end = self._nodes()
        otherwise: tuple[Node, ...] = ()
        if end is not None and end.tokens[0].text == "else":
            otherwise, end = self._otherwise(kind, end)
        if end is None:
            raise TemplateError(f"{{{{{kind}}}}} has no {{{{end}}}}", action.line)
        if end.tokens[0].text == "else":
            raise TemplateError(f"{{{{{kind}}}}} has more than one {{{{else}}}}", end.line)
        if len(end.tokens) > 1:
            raise TemplateError(f"unexpected {end.tokens[1].text!r} after {end.tokens[0].text}", end.line)
        del self._names[known:]
        self._depth -= 1
        return Block(kind, pipeline, body, otherwise)

    def _otherwise(self, kind: str, action: Action) -> tuple[tuple[Node, ...], Action | None]:
        """What follows ``else``, and the closing action; ``else if`` shares it with the ``if`` before."""
        rest = action.tokens[1:]
        if not rest:
            return self._nodes()
        if rest[0].text != kind or kind == "range":
            raise TemplateError(f"unexpected {rest[0].text!r} after else", action.line)
        nested = self._block(kind, action, rest[1:])
        return (nested,), Action((rest[0],), action.line)

    def _whole_pipeline(self, action: Action, tokens: tuple[Token, ...], is_range: bool = False) -> Pipeline:
        reader = _Pipelines(tokens, action.line, self._names)
        pipeline = reader.declaration(is_range)
        reader.expect_end()
        if pipeline.names and not pipeline.assign:
            self._names += pipeline.names
        return pipeline


class _Pipelines:
    """Reads the pipeline of one action."""

    def __init__(self, tokens: tuple[Token, ...], line: int, names: list[str]) -> None:
        self._tokens = tokens
        self._at = 0
        self._line = line
        self._names = names
        self._depth = 0

    def declaration(self, is_range: bool) -> Pipeline:
        """A pipeline, which may set one variable (two in a range)."""
        kinds = [token.kind for token in self._tokens[:4]]
        texts = [token.text for token in self._tokens[:4]]
        count = 0
        if kinds[:1] == ["variable"] and texts[1:2] in ([":="], ["="]):
            count = 1
        elif is_range and kinds[0:3:2] == ["variable", "variable"] and texts[1] == ",":
            count = 2 if texts[3:4] in ([":="], ["="]) else 0
        if not count:
            return self._pipeline()
        names = tuple(text[1:] for text in texts[0 : 2 * count : 2])
        assign = texts[2 * count - 1] == "="
        if assign:
            for name in names:
                self._known(name)
        self._at = 2 * count
        return Pipeline(self._pipeline().commands, names, assign)

    def expect_end(self) -> None:
        if self._at < len(self._tokens):
            raise self._error(f"unexpected {self._tokens[self._at].text!r}")

    def _pipeline(self) -> Pipeline:
        self._depth += 1
        if self._depth > DEEPEST:
            raise self._error("parentheses are nested too deeply")
        commands = [self._command()]
        while self._take("|"):
            commands.append(self._command())
        self._depth -= 1
        return Pipeline(tuple(commands))

    def _command(self) -> Command:
        words: list[Operand] = []
        while self._at < len(self._tokens) and self._tokens[self._at].text not in ("|", ")"):
            if words and not self._tokens[self._at].spaced:
                raise self._error(f"a space is missing before {self._tokens[self._at].text!r}")
            words.append(self._operand())
        if not words:
            raise self._error("a value is missing")
        return Command(tuple(words), self._line)

    def _operand(self) -> Operand:
        base = self._base()
        path: list[str] = []
        while self._at < len(self._tokens):
            token = self._tokens[self._at]
            if token.kind != "field" or token.spaced:
                break
            path.append(token.text[1:])
            self._at += 1
        return Fields(base, tuple(path)) if path else base

    def _base(self) -> Operand:
        token = self._tokens[self._at]
        self._at += 1
        if token.kind == "field":
            return Fields(Dot(), (token.text[1:],))
        if token.kind == "variable":
            return Variable(self._known(token.text[1:]))
        if token.kind == "word":
            return self._word(token.text)
        if token.text == ".":
            return Dot()
        if token.text == "(":
            inner = self._pipeline()
            if not self._take(")"):
                raise self._error("a closing parenthesis is missing")
            return inner
        if token.kind in ("string", "raw", "char", "number"):
            return Literal(self._constant(token))
        raise self._error(f"unexpected {token.text!r}")

    def _word(self, word: str) -> Operand:
        if word in _CONSTANTS:
            return Literal(_CONSTANTS[word])
        if word not in FUNCTIONS:
            raise self._error(f"there is no function {word!r}; there are {', '.join(sorted(FUNCTIONS))}")
        return Function(word)

    def _constant(self, token: Token) -> Any:
        text = token.text
        if token.kind == "raw":
            return text[1:-1]
        if token.kind == "number":
            return self._number(text)
        for escape in _GO_ESCAPES.finditer(text[1:-1]):
            if escape[1] is not None:
                raise self._error(f"unknown escape {escape[0]!r} in {text}")
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            raise self._error(f"{text} is not a string") from None
        if token.kind == "string":
            return value
        if len(value) != 1:
            raise self._error(f"{text} is not one character")
        return ord(value)

    def _number(self, text: str) -> int | float:
        integer = re.fullmatch(r"[+-]?(0[xX][0-9a-fA-F_]+|[0-9_]+)", text)
        octal = integer is not None and re.match(r"[+-]?0[0-9_]", text)
        try:
            return int(text, 8 if octal else 0) if integer else float(text)
        except ValueError:
            raise self._error(f"{text} is not a number") from None

    def _known(self, name: str) -> str:
        if name not in self._names:
            raise self._error(f"the variable ${name} is not defined")
        return name

    def _take(self, mark: str) -> bool:
        found = self._at < len(self._tokens) and self._tokens[self._at].text == mark
        self._at += found
        return found

    def _error(self, text: str) -> TemplateError:
        return TemplateError(text, self._line)
