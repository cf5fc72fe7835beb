"""Commands that scripts written for Weave Net may call and that are not here: each says so."""

import click

from tulle.cli.session import note

_START_YOURSELF = "start it with `docker`, on a network of this or after `eval $(env)`, or `attach` it later"
_ONE_DAEMON = "there is one daemon with everything in it; use `launch` and `stop`"

REMOVED = {
    "run": _START_YOURSELF,
    "start": _START_YOURSELF,
    "restart": _START_YOURSELF,
    "launch-router": _ONE_DAEMON,
    "stop-router": _ONE_DAEMON,
    "launch-dns": _ONE_DAEMON,
    "stop-dns": _ONE_DAEMON,
    "launch-proxy": _ONE_DAEMON,
    "stop-proxy": _ONE_DAEMON,
    "launch-plugin": _ONE_DAEMON,
    "stop-plugin": _ONE_DAEMON,
    "docker-bridge-ip": "names are not served on Docker's bridge; `dns-args` prints where they are",
    "create-bridge": "`launch` makes the bridge",
    "bridge-type": "there is only one type of bridge",
    "attach-bridge": "other bridges are not joined to the network; `expose` the host and route instead",
    "setup-cni": "there is no CNI plugin yet",
}

NEEDLESS = {"setup": "nothing needs to be set up before `launch`"}
"""What scripts may go on calling: it succeeds, having nothing to do."""


def needless_command(name: str) -> click.Command | None:
    """A hidden command that has nothing to do and says so; None for other names."""
    reason = NEEDLESS.get(name)
    if reason is None:
        return None
    return click.Command(name, callback=lambda: note(reason), hidden=True)


def removed_command(name: str) -> click.Command | None:
    """A hidden command that takes anything and refuses; None for names that never were."""
    reason = REMOVED.get(name)
    if reason is None:
        return None

    def refuse(words: tuple[str, ...]) -> None:
        group = click.get_current_context().parent
        raise click.UsageError(f"there is no command {name!r}: {reason}", group)

    return click.Command(
        name,
        callback=refuse,
        params=[click.Argument(["words"], nargs=-1, type=click.UNPROCESSED)],
        hidden=True,
        add_help_option=False,
        context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    )
