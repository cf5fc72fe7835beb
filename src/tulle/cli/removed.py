"""Commands that scripts written for Weave Net may call and that are not here: each says so."""

import click

_START_YOURSELF = "start the container with your own tools, then `attach` it"
_ONE_DAEMON = "there is one daemon with everything in it; use `launch` and `stop`"
_NO_DOCKER = "this version does not work with Docker"

REMOVED = {
    "run": _START_YOURSELF,
    "start": _START_YOURSELF,
    "restart": _START_YOURSELF,
    "launch-router": _ONE_DAEMON,
    "stop-router": _ONE_DAEMON,
    "launch-dns": _ONE_DAEMON,
    "stop-dns": _ONE_DAEMON,
    "launch-proxy": _NO_DOCKER,
    "stop-proxy": _NO_DOCKER,
    "launch-plugin": _NO_DOCKER,
    "stop-plugin": _NO_DOCKER,
    "env": _NO_DOCKER,
    "config": _NO_DOCKER,
    "docker-bridge-ip": _NO_DOCKER,
    "create-bridge": "`launch` makes the bridge",
    "bridge-type": "there is only one type of bridge",
    "attach-bridge": "this version does not join other bridges to the network",
    "setup": "nothing needs to be set up before `launch`",
    "setup-cni": "this version has no CNI plugin",
}


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
