"""The page about Weave Net's commands is true: what it calls taken is taken, and nothing is left out."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from tulle.cli.commands import COMMANDS, Cli
from tulle.cli.personality import WEAVE
from tulle.cli.removed import NEEDLESS as NEEDLESS_COMMANDS
from tulle.cli.removed import REMOVED
from tulle.cli.weave_flags import IMPOSSIBLE, NEEDLESS, RENAMED, UNUSED_VARIABLES

PAGE = (Path(__file__).parents[3] / "docs" / "weave-commands.md").read_text()
OURS = ("simulate", "completion")
"""Commands that Weave Net never had."""

COLUMNS = {"taken": 1, "noted": 2, "refused": 3}


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def flags(column: str) -> Iterator[str]:
    """The flags in a column of the table of launch's flags."""
    for row in section("Flags of launch").splitlines():
        if row.startswith("| ") and not row.startswith("| Group"):
            yield from re.findall(r"`(--?[A-Za-z][\w-]*)", row.split("|")[1 + COLUMNS[column]])


@pytest.fixture(scope="module")
def known() -> set[str]:
    program = Cli(WEAVE)
    with click.Context(program, obj=None) as context:
        command = program.get_command(context, "launch")
        assert command is not None
        return {spelling for param in command.params for spelling in (*param.opts, *RENAMED)}


def test_flags_that_are_taken(known: set[str]) -> None:
    taken = {flag for flag in flags("taken") if flag not in NEEDLESS}
    assert taken - known == set()
    assert not taken & {*NEEDLESS, *IMPOSSIBLE}
    assert len(taken) > 40


def test_flags_that_are_not() -> None:
    aliases = {"--pktdebug"}
    assert set(flags("noted")) == {*NEEDLESS} - aliases
    assert {flag for flag in flags("refused") if flag != "--ipalloc-init"} == {*IMPOSSIBLE}


def test_every_command_has_its_row() -> None:
    rows = section("Commands")
    missing = [
        name
        for name in {*COMMANDS, *REMOVED, *NEEDLESS_COMMANDS}.difference(OURS)
        if not re.search(rf"`(?:weave |stop-\.\.\.)?{re.escape(name)}[ `\[]", rows)
        and not name.startswith("stop-")
    ]
    assert missing == []


def test_variables_that_change_nothing() -> None:
    noted = next(row for row in section("Variables").splitlines() if row.endswith("| noted |"))
    assert set(re.findall(r"`(\w+)`", noted)) == {*UNUSED_VARIABLES}
