"""Completion in shells: the set-up to evaluate, and what container names are completed with."""

import os
from typing import TYPE_CHECKING

import click

from tulle.cli.session import say

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

NAMESPACES = "/run/netns"

BASH = """\
%(complete_func)s() {
    local line=${COMP_LINE:0:COMP_POINT} response completion type value
    local word=${line##*[[:space:]]}
    local before_colon=${word%%"${word##*:}"}
    local -a words
    read -ra words <<< "$line"
    [[ -n $word ]] || words+=("")
    response=$(env COMP_WORDS="$line" COMP_CWORD=$((${#words[@]} - 1)) %(complete_var)s=bash_complete "$1")
    COMPREPLY=()
    while IFS=, read -r type value; do
        case $type in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain) COMPREPLY+=("${value#"$before_colon"}") ;;
        esac
    done <<< "$response"
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""
"""What click makes for bash, but bash takes words apart at colons, which container names and peers have: the
words are taken from the line instead, and of an answer only what follows the last colon is given back."""


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
    if shell == "bash":
        maker = type("Bash", (maker,), {"source_template": BASH})
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
