"""What every command has at hand: whom it talks to, and how it speaks to its user."""

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from tulle.api.client import Client
from tulle.cli.personality import Personality
from tulle.errors import UserError

DEFAULT_SOCKET = "/run/tulle/tulle.sock"
DEFAULT_STATE_DIR = "/var/lib/tulle"
Parsed = TypeVar("Parsed")


@dataclass(slots=True)
class Session:
    """One run of the command."""

    personality: Personality
    socket: str = DEFAULT_SOCKET
    state_dir: str = DEFAULT_STATE_DIR

    @property
    def client(self) -> Client:
        """The daemon that was meant."""
        return Client(self.socket, self.personality.command)


pass_session = click.make_pass_decorator(Session)


class Word(click.ParamType[Any]):
    """A word that is checked by a function raising UserError, and passed on as it was written."""

    def __init__(self, name: str, check: Callable[[str], object]) -> None:
        self.name = name
        self._check = check

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The word itself, once it is known to be right."""
        checked(self._check, str(value), ctx)
        return value


def checked(check: Callable[[str], Parsed], text: str, ctx: click.Context | None = None) -> Parsed:
    """The parsed text; an error becomes a usage error: one line, exit status 2."""
    try:
        return check(text)
    except UserError as error:
        raise click.UsageError(str(error), ctx) from None


def say(text: str) -> None:
    """Output that the user asked for."""
    click.echo(text, nl=not text.endswith("\n") if text else False)


def say_json(value: Any) -> None:
    """Output for programs."""
    click.echo(json.dumps(value, indent=4))


def note(text: str) -> None:
    """Something the user should know that is not the result."""
    click.echo(text, err=True)


def say_addresses(answer: dict[str, list[str]], as_json: bool) -> None:
    """The addresses of an answer: bare and in one line, or as they came."""
    if as_json:
        say_json(answer)
    elif answer["addresses"]:
        say(" ".join(address.partition("/")[0] for address in answer["addresses"]))


def json_option() -> Callable[[Callable[..., None]], Callable[..., None]]:
    """``--json`` for commands that print state."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def add_common_options(command: click.Command, fields: Iterable[str]) -> None:
    """Let ``--socket`` and ``--state-dir`` also stand behind the name of the command."""
    known = {param.name for param in command.params}
    for field in fields:
        if field not in known:
            command.params.append(common_option(field, None))


def common_option(field: str, personality: Personality | None) -> click.Option:
    """One of the options that say which daemon is meant; the environment counts only with a personality."""
    told = {
        "socket": f"Control socket of the daemon.  [default: {DEFAULT_SOCKET}]",
        "state_dir": f"Directory of the daemon's state and log.  [default: {DEFAULT_STATE_DIR}]",
    }[field]
    return click.Option(
        ["--" + field.replace("_", "-"), field],
        metavar="PATH",
        help=told,
        envvar=f"{personality.environment}_{field.upper()}" if personality else None,
        show_envvar=personality is not None,
        expose_value=False,
        callback=_remember,
    )


def _remember(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value is None:
        return
    from tulle.api.listen import check_socket_path

    path = os.path.abspath(value) if value else value
    if param.name == "socket":
        checked(check_socket_path, path, ctx)
    elif not path or "\0" in path:
        raise click.UsageError("the state directory must not be empty or hold a NUL", ctx)
    setattr(ctx.obj, param.name or "", path)
