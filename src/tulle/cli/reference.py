"""Writes the reference of all commands: ``python -m tulle.cli.reference > docs/commands.md``.

It is made from the commands themselves, so it cannot tell anything else than they do; a test compares.
"""

import sys
from collections.abc import Iterator

import click

from tulle.cli.commands import COMMANDS, Cli
from tulle.cli.main import CANNOT, INTERRUPTED, MISUSED
from tulle.cli.personality import TULLE, WEAVE
from tulle.cli.session import DEFAULT_SOCKET, DEFAULT_STATE_DIR

_INTRODUCTION = f"""\
# Commands

<!-- Made by `python -m tulle.cli.reference`; changes belong into the commands. -->

Every command talks to the daemon of this machine over its control socket, and most print nothing when all
is well. Errors are one line on standard error that says what is wrong and what to do. The exit status is
{CANNOT} when the thing could not be done, {MISUSED} when the command was given wrongly, {INTERRUPTED} when
interrupted. With `--json`, commands that print state print JSON. `--help` explains each command.

Several daemons can run on one machine, one for each network namespace; these options tell them apart, and may
stand before or behind the name of any command that has to do with a daemon:

| option | meaning |
|---|---|
| `--socket PATH` | Control socket, `{DEFAULT_SOCKET}`; also `{TULLE.environment}_SOCKET`. |
| `--state-dir PATH` | State and log, `{DEFAULT_STATE_DIR}`; also `{TULLE.environment}_STATE_DIR`. |

Started under the name `{WEAVE.command}` (a symbolic link does it) the program uses the names that Weave Net's
script uses: bridge `{WEAVE.bridge}`, interface `{WEAVE.interface}`, domain `{WEAVE.domain}` and variables
`{WEAVE.environment}_...` instead of `{TULLE.environment}_...`.
"""


def reference() -> str:
    """The whole page."""
    program = Cli(TULLE)
    with click.Context(program, info_name=TULLE.command, obj=None) as root:
        parts = [_INTRODUCTION, *(_command(program, root, name) for name in COMMANDS)]
    return "\n".join(parts)


def _command(program: Cli, root: click.Context, name: str) -> str:
    command = program.get_command(root, name)
    assert command is not None
    with click.Context(command, info_name=name, parent=root) as context:
        usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
        lines = [f"## {name}", "", "```", usage, "```", "", *_paragraphs(command.help)]
        lines += _options(command, context)
        lines += _paragraphs(command.epilog)
    return "\n".join(lines)


def _paragraphs(text: str | None) -> Iterator[str]:
    for paragraph in (text or "").strip().split("\n\n"):
        if paragraph:
            yield " ".join(paragraph.split())
            yield ""


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    records = [
        record
        for param in command.get_params(context)
        if isinstance(param, click.Option)
        and not {"--help", "--socket", "--state-dir"} & set(param.opts)
        and (record := param.get_help_record(context)) is not None
    ]
    if not records:
        return
    yield "| option | meaning |"
    yield "|---|---|"
    for option, meaning in records:
        yield f"| `{_cell(option)}` | {_cell(meaning)} |"
    yield ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    sys.stdout.write(reference())
