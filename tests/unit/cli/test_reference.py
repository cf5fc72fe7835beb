"""The documentation of the commands: made from them, and everything else written about them works."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from tulle.cli.commands import COMMANDS, Cli
from tulle.cli.flags import FLAGS
from tulle.cli.personality import TULLE
from tulle.cli.reference import reference
from tulle.daemon.options import LISTS, PARSERS, SWITCHES

ROOT = Path(__file__).parents[3]


def test_the_reference_is_up_to_date() -> None:
    """If this fails: python -m tulle.cli.reference > docs/commands.md"""
    assert (ROOT / "docs" / "commands.md").read_text() == reference()


def test_every_command_is_in_it() -> None:
    text = reference()
    assert all(f"\n## {name}\n" in text for name in COMMANDS)


def test_every_flag_of_a_daemon_can_be_given() -> None:
    """The socket and the state directory are options of every command."""
    assert {flag.field for flag in FLAGS} | {"socket", "state_dir"} == {*PARSERS, *SWITCHES, *LISTS} - {
        "peers"
    }


def written_commands() -> Iterator[tuple[str, str]]:
    """Command lines in the code blocks of the documentation."""
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        text = path.read_text() if path.exists() and path.name != "commands.md" else ""
        for block in re.findall(r"^ *```[a-z]*\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE):
            for line in block.splitlines():
                found = re.match(r"\s*(?:[$#] )?(?:sudo )?(?:\S*/)?tulle( .*)?$", line)
                if found:
                    yield path.name, (found[1] or "").strip()


@pytest.mark.parametrize(("where", "line"), list(written_commands()))
def test_commands_in_the_documentation_exist(where: str, line: str) -> None:
    words = shlex.split(line.partition("|")[0].partition(">")[0], comments=True)
    with Cli(TULLE).make_context("tulle", words) as context:
        name, command, rest = Cli(TULLE).resolve_command(context, [*context._protected_args, *context.args])
        assert command is not None
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(command, "callback", None)
            command.make_context(name, rest, parent=context, resilient_parsing=False)


def test_help_texts_fit_the_width() -> None:
    program = Cli(TULLE)
    with click.Context(program, info_name="tulle", obj=None, max_content_width=100) as root:
        for name in COMMANDS:
            command = program.get_command(root, name)
            assert command is not None
            with click.Context(command, info_name=name, parent=root) as context:
                assert max(map(len, command.get_help(context).splitlines())) <= 100
