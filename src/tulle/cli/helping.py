"""``help`` and ``help COMMAND``."""

import click

from tulle.cli.session import say


@click.command("help")
@click.argument("command", required=False)
@click.pass_context
def help_command(ctx: click.Context, command: str | None) -> None:
    """Explain a command, or list all commands."""
    group = ctx.parent
    assert group is not None
    assert isinstance(group.command, click.Group)
    if command is None:
        say(group.get_help())
        return
    found = group.command.get_command(group, command)
    if found is None:
        raise click.UsageError(f"there is no command {command!r}", group)
    with click.Context(found, info_name=command, parent=group) as inner:
        say(found.get_help(inner))
