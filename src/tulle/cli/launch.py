"""``launch``: checks the flags, then starts the daemon in the background or becomes it."""

import os
from collections.abc import Callable
from typing import Any

import click

from tulle.cli.flags import launch_options
from tulle.cli.personality import WEAVE, Personality
from tulle.cli.session import DEFAULT_SOCKET, DEFAULT_STATE_DIR, Session, note, say
from tulle.cli.weave_flags import foreign_options, modern, note_unused_variables
from tulle.errors import UserError


class Launch(click.Command):
    """``launch``, which also knows the flags by their old names."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, modern(args))


def launch(personality: Personality) -> click.Command:
    """The command under one personality."""
    peers = click.Argument(["peers"], nargs=-1, metavar="[PEER...]")
    password_file = click.Option(
        ["--password-file"],
        metavar="FILE",
        help="Read the password from the first line of a file; - is stdin.",
    )
    foreground = click.Option(
        ["--foreground"], is_flag=True, help="Become the daemon and log to stderr, as systemd wants it."
    )
    scripts = click.Option(["--no-restart"], is_flag=True, hidden=True, expose_value=False)
    detect = click.Option(
        ["--no-detect-tls"], is_flag=True, help="Proxy: do not take TLS from the flags of the Docker engine."
    )
    return Launch(
        "launch",
        callback=_guarded(personality),
        params=[
            peers,
            *launch_options(personality),
            password_file,
            foreground,
            detect,
            scripts,
            *_turned_off(),
            *foreign_options(),
        ],
        help=(
            "Start the daemon and join the network.\n\nEach PEER is HOST or HOST:PORT; one of the network is "
            "enough, it tells of the others. Without any, wait to be connected to. The command returns when "
            "the daemon is ready."
        ),
    )


PARTS = ("plugin", "proxy")


def _turned_off() -> list[click.Option]:
    """Weave Net's scripts turn these parts off with ``--plugin=false`` and ``--proxy=false``."""
    return [click.Option([f"--{name}"], type=bool, metavar="BOOL", hidden=True) for name in PARTS]


def _guarded(personality: Personality) -> Callable[..., None]:
    @click.pass_context
    def callback(
        ctx: click.Context, /, password_file: str | None, foreground: bool, no_detect_tls: bool, **given: Any
    ) -> None:
        from tulle.api.listen import TcpAddress
        from tulle.daemon.options import FlagError, parse_options

        session = ctx.find_object(Session)
        assert session is not None
        flags = {name: value for name, value in given.items() if value not in (None, ())}
        for part in PARTS:
            if flags.pop(part, True) is False:
                flags[f"no_{part}"] = True
        _warn_of_password(ctx)
        if personality is WEAVE:
            note_unused_variables()
        if password_file is not None:
            flags["password"] = _read_password(ctx, password_file)
        if not no_detect_tls:
            flags |= _detected_tls(flags)
        flags = {**_defaults(session), **flags}
        try:
            options = parse_options(flags)
        except FlagError as error:
            raise click.UsageError(f"{_origin(ctx, error.flag, personality)}: {error.text}", ctx) from None
        if isinstance(options.http_addr, TcpAddress) and not options.http_addr.local_only:
            note(
                f"note: whoever can reach {options.http_addr} controls this daemon; keep others away from it"
            )
        _launch(session, flags, options.log_path, foreground)

    return callback


def _launch(session: Session, flags: dict[str, Any], log: str, foreground: bool) -> None:
    from tulle.cli import background

    pid = session.client.pid()
    if pid is not None:
        raise UserError(
            f"a daemon is already running (process {pid} answers on {session.socket}); stop it first, or "
            "give this one its own --socket and --state-dir"
        )
    secret = f"{session.personality.environment}_PASSWORD"
    if foreground:
        background.become_daemon(flags, session.socket, secret)
    background.start_daemon(flags, session.client, log, secret)
    say(f"{session.personality.command} is running; its log is {log}")


def _defaults(session: Session) -> dict[str, Any]:
    personality = session.personality
    docker = _docker_of_this_shell()
    return {
        **({"docker_api": docker} if docker else {}),
        "bridge": personality.bridge,
        "interface": personality.interface,
        "dns_domain": personality.domain,
        "plugin_name": personality.network,
        "socket": session.socket or DEFAULT_SOCKET,
        "state_dir": session.state_dir or DEFAULT_STATE_DIR,
    }


def _docker_of_this_shell() -> str | None:
    """Where this user's docker commands go, past a proxy of ours; None unless it is a socket here."""
    host = os.environ.get("ORIG_DOCKER_HOST", os.environ.get("DOCKER_HOST", ""))
    return host if host.startswith("unix:///") else None


def _detected_tls(flags: dict[str, Any]) -> dict[str, Any]:
    """TLS for the proxy as the engine of this host has it, if clients come by TCP and none was chosen."""
    from tulle.cli.docker_env import TLS_FLAGS, engine_tls_flags

    by_tcp = any(
        "/" not in word.removeprefix("=").removeprefix("tcp://") for word in flags.get("proxy_listen", ())
    )
    if not by_tcp or any(flags.get(name) for name in TLS_FLAGS):
        return {}
    found: dict[str, Any] = {}
    for flag in engine_tls_flags() or ():
        name, equals, value = flag.removeprefix("--").partition("=")
        found[name] = value if equals else True
    if not {"tlscert", "tlskey"} <= found.keys():
        return {}
    note("note: the proxy uses TLS as the Docker engine does; --no-detect-tls turns that off")
    return found


def _origin(ctx: click.Context, flag: str, personality: Personality) -> str:
    """What the user wrote: the flag, or the variable that it came from."""
    if ctx.get_parameter_source(flag) is click.core.ParameterSource.ENVIRONMENT:
        return f"{personality.environment}_{flag.upper()}"
    return "PEER" if flag == "peers" else "--" + flag.replace("_", "-")


def _warn_of_password(ctx: click.Context) -> None:
    if ctx.get_parameter_source("password") is click.core.ParameterSource.COMMANDLINE:
        note(
            "note: --password can be read by every user of this machine while this runs; see --password-file"
        )


def _read_password(ctx: click.Context, path: str) -> str:
    if ctx.params.get("password") is not None:
        raise click.UsageError("give the password once: as a file, or by --password or the environment", ctx)
    try:
        with click.open_file(path, encoding="utf-8") as source:
            password = str(source.readline()).rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise click.UsageError(f"--password-file: cannot read {path!r}: {reason.lower()}", ctx) from None
    if not password:
        raise click.UsageError(f"--password-file: the first line of {os.fspath(path)!r} is empty", ctx)
    return password
