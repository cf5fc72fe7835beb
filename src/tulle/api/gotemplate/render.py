"""Fills a parsed template in."""

import inspect
from collections.abc import Iterable, Sequence
from typing import Any

from tulle.api.gotemplate.errors import TemplateError
from tulle.api.gotemplate.functions import FUNCTIONS
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
from tulle.api.gotemplate.values import is_struct, kind, show, truth

MOST_STEPS = 500_000
CHARACTERS_PER_STEP = 50
MOST_OUTPUT = 16 * 1024 * 1024
_NOTHING = object()
_SIGNATURES = {name: inspect.signature(function) for name, function in FUNCTIONS.items()}


class Renderer:
    """One rendering: the output so far, the variables in scope, and how much work is left."""

    def __init__(self, data: Any) -> None:
        self._data = data
        self._variables: list[tuple[str, Any]] = [("", data)]
        self._output: list[str] = []
        self._room = MOST_OUTPUT
        self._steps = MOST_STEPS

    def render(self, nodes: Sequence[Node]) -> str:
        """The whole output. Raises TemplateError."""
        self._nodes(nodes, self._data)
        return "".join(self._output)

    def _nodes(self, nodes: Sequence[Node], dot: Any) -> None:
        for node in nodes:
            self._step()
            if isinstance(node, Text):
                self._write(node.text)
            elif isinstance(node, Print):
                value = self._pipeline(node.pipeline, dot)
                if not node.pipeline.names:
                    self._write(show(value))
                else:
                    self._set(node.pipeline, node.pipeline.names, [value])
            else:
                known = len(self._variables)
                self._block(node, dot)
                del self._variables[known:]

    def _block(self, block: Block, dot: Any) -> None:
        value = self._pipeline(block.pipeline, dot)
        if block.kind == "range":
            self._range(block, value, dot)
            return
        if block.pipeline.names:
            self._set(block.pipeline, block.pipeline.names, [value])
        if truth(value):
            self._nodes(block.body, value if block.kind == "with" else dot)
        else:
            self._nodes(block.otherwise, dot)

    def _range(self, block: Block, value: Any, dot: Any) -> None:
        items = list(_items(value))
        names = block.pipeline.names
        for key, item in items:
            self._step()
            known = len(self._variables)
            self._set(block.pipeline, names, [key, item][-len(names) :] if names else [])
            self._nodes(block.body, item)
            del self._variables[known:]
        if not items:
            self._nodes(block.otherwise, dot)

    def _set(self, pipeline: Pipeline, names: Iterable[str], values: Iterable[Any]) -> None:
        for name, value in zip(names, values, strict=True):
            if not pipeline.assign:
                self._variables.append((name, value))
                continue
            place = max(index for index, (known, _) in enumerate(self._variables) if known == name)
            self._variables[place] = (name, value)

    def _pipeline(self, pipeline: Pipeline, dot: Any) -> Any:
        value: Any = _NOTHING
        for command in pipeline.commands:
            value = self._command(command, dot, value)
        return value

    def _command(self, command: Command, dot: Any, piped: Any) -> Any:
        self._step()
        first, *rest = command.words
        if not isinstance(first, Function):
            if rest or piped is not _NOTHING:
                raise TemplateError("a value that is not a function cannot take arguments", command.line)
            return self._operand(first, dot, command.line)
        values = [self._operand(word, dot, command.line) for word in rest]
        if piped is not _NOTHING:
            values.append(piped)
        return self._call(first.name, values, command.line)

    def _operand(self, operand: Operand, dot: Any, line: int) -> Any:
        match operand:
            case Literal(value):
                return value
            case Dot():
                return dot
            case Variable(name):
                return next(value for known, value in reversed(self._variables) if known == name)
            case Fields(base, path):
                value = self._operand(base, dot, line)
                for name in path:
                    value = _field(value, name, line)
                return value
            case Function(name):
                return self._call(name, [], line)
            case Pipeline():
                return self._pipeline(operand, dot)

    def _call(self, name: str, values: list[Any], line: int) -> Any:
        function = FUNCTIONS[name]
        try:
            _SIGNATURES[name].bind(*values)
        except TypeError:
            raise TemplateError(f"{name} cannot take {len(values)} arguments", line) from None
        result = function(*values)
        self._step(len(result) // CHARACTERS_PER_STEP if isinstance(result, str) else 0)
        return result

    def _step(self, count: int = 1) -> None:
        self._steps -= count
        if self._steps < 0:
            raise TemplateError("it takes too much work; use the JSON report and a program instead")

    def _write(self, text: str) -> None:
        self._room -= len(text)
        if self._room < 0:
            raise TemplateError("its output is too long; use the JSON report and a program instead")
        self._output.append(text)


def _items(value: Any) -> Iterable[tuple[Any, Any]]:
    if value is None:
        return ()
    if isinstance(value, list):
        return enumerate(value)
    if isinstance(value, dict) and not is_struct(value):
        return sorted(value.items())
    raise TemplateError(f"range over {kind(value)}; only lists and maps have parts")


def _field(value: Any, name: str, line: int) -> Any:
    """A field of a struct, which must exist, or the entry of a map, which is nil if it does not."""
    if isinstance(value, dict):
        if name in value or not is_struct(value):
            return value.get(name)
        raise TemplateError(f"there is no field {name}; there are {', '.join(value)}", line)
    raise TemplateError(f"{kind(value)} has no field {name}", line)
