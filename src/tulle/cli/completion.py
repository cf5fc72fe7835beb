"""Completion in shells: the set-up to evaluate, and what container names are completed with."""

import os
from typing import TYPE_CHECKING

import click

from tulle.cli.session import say

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

NAMESPACES = "/run/netns"


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the set-up for completion in a shell.

    For bash, put this into ~/.bashrc: eval "$(tulle completion bash)"
    """
    from click.shell_completion import get_completion_class

    root = ctx.find_root()
    program = root.info_name or root.command.name or ""
    maker = get_completion_class(shell)
    assert maker is not None
    variable = f"_{program.replace('-', '_').upper()}_COMPLETE"
    say(maker(root.command, {}, program, variable).source())


def complete_containers(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> "list[CompletionItem]":
    """The named network namespaces of this machine."""
    from click.shell_completion import CompletionItem

    try:
        names = sorted(os.listdir(NAMESPACES))
    except OSError:
        return []
    words = [f"netns:{name}" for name in names]
    return [CompletionItem(word) for word in words if word.startswith(incomplete)]
