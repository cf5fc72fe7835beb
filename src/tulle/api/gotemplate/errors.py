"""What is wrong with a template, in words for its author."""

from tulle.errors import UserError


class TemplateError(UserError):
    """The template cannot be parsed or filled in; one line that says where and why."""

    def __init__(self, text: str, line: int | None = None) -> None:
        where = f" line {line}" if line is not None else ""
        super().__init__(f"template{where}: {text}", 400)
