"""The entry point: runs a command and turns whatever goes wrong into one line and an exit status.

Status 0: done. 1: it could not be done. 2: the command was given wrongly. 130: interrupted.
"""

import os
import sys
from collections.abc import Sequence
from typing import TextIO

import click

from tulle.cli.commands import Cli
from tulle.cli.personality import Personality, personality_of
from tulle.errors import UserError

CANNOT = 1
MISUSED = 2
INTERRUPTED = 130


def main() -> None:
    """Run as the program that was started, and exit."""
    personality = personality_of(sys.argv[0])
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    sys.exit(run(personality, sys.argv[1:]))


def run(personality: Personality, arguments: Sequence[str]) -> int:
    """Run one command line; returns the exit status."""
    name = personality.command
    try:
        result = Cli(personality).main(list(arguments), prog_name=name, standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return MISUSED
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx else name
        return _fail(where, f"{_one_line(error.format_message())} (see `{where} --help`)", MISUSED)
    except UserError as error:
        return _fail(name, _one_line(str(error)), CANNOT)
    except (click.Abort, KeyboardInterrupt):
        return _fail(name, "interrupted", INTERRUPTED)
    except BrokenPipeError:
        _discard(sys.stdout)
        return CANNOT
    except click.ClickException as error:
        return _fail(name, _one_line(error.format_message()), CANNOT)
    except OSError as error:
        return _fail(name, _one_line(str(error)), CANNOT)
    except Exception as error:
        if os.environ.get(f"{personality.environment}_DEBUG"):
            import traceback

            traceback.print_exc()
        hint = f"set {personality.environment}_DEBUG=1 to see where"
        return _fail(name, f"internal error, {type(error).__name__}: {_one_line(str(error))}; {hint}", CANNOT)


def _fail(where: str, text: str, status: int) -> int:
    click.echo(f"{where}: {text}", err=True)
    return status


def _one_line(text: str) -> str:
    return " ".join(text.split()).removesuffix(".")


def _discard(stream: TextIO) -> None:
    """Nobody reads any more: let the last flush at exit go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


if __name__ == "__main__":
    main()
