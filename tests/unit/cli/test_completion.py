"""Completion: the set-up for each shell, and what it completes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli.conftest import Run
from tulle.cli import completion
from tulle.cli.commands import COMMANDS
from tulle.cli.personality import WEAVE


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_set_up(tulle: Run, shell: str) -> None:
    got = tulle("completion", shell)
    assert got.status == 0
    assert f"_TULLE_COMPLETE={shell}_complete" in got.out
    assert f"_WEAVE_COMPLETE={shell}_complete" in tulle("completion", shell, personality=WEAVE).out


def complete(*words: str) -> list[str]:
    """What bash would be offered for the last word."""
    program = "import sys; sys.argv[0] = 'tulle'; from tulle.cli.main import main; main()"
    environment = {
        **os.environ,
        "_TULLE_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(("tulle", *words)),
        "COMP_CWORD": str(len(words)),
    }
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    return [line.partition(",")[2] for line in done.stdout.splitlines()]


def test_commands_and_views_are_completed() -> None:
    assert complete("dns-") == [name for name in COMMANDS if name.startswith("dns-")]
    assert complete("status", "") == ["targets", "connections", "peers", "dns", "ipam", "groups"]
    assert "--ipalloc-range" in complete("launch", "--ip")


def test_containers_are_completed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import click

    for name in ("web", "db", "worker"):
        (tmp_path / name).touch()
    monkeypatch.setattr(completion, "NAMESPACES", str(tmp_path))
    context, argument = click.Context(click.Command("attach")), click.Argument(["words"])

    def offered(incomplete: str) -> list[str]:
        return [item.value for item in completion.complete_containers(context, argument, incomplete)]

    assert offered("") == ["netns:db", "netns:web", "netns:worker"]
    assert offered("netns:w") == ["netns:web", "netns:worker"]
    monkeypatch.setattr(completion, "NAMESPACES", str(tmp_path / "none"))
    assert offered("") == []
