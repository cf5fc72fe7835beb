"""The part of Go's template language that reports are queried with: ``report -f '{{.Router.Name}}'``.

Fields, variables, ``range``, ``if``, ``with`` and their ``else``, pipelines, trim marks, comments, and the
functions in ``functions.py`` (``json`` among them). There are no user-defined templates, no loop control,
and no methods, since the data has none. Work and output are bounded, as templates come from outside.
"""

from typing import Any

from tulle.api.gotemplate.errors import TemplateError
from tulle.api.gotemplate.parser import parse
from tulle.api.gotemplate.render import Renderer

__all__ = ["TemplateError", "render"]


def render(template: str, data: Any) -> str:
    """The template filled in with data made of dicts, lists and plain values. Raises TemplateError."""
    return Renderer(data).render(parse(template))
