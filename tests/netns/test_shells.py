"""Completion in real shells: what stands on the line after the tab key was pressed."""

import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.lab import unique_prefix
from lab.namespace import Namespace

PATIENCE = 30.0
SHELLS = {
    "bash": (
        ["bash", "--norc", "-i"],
        'eval "$(tulle completion bash)"; bind -x \'"\\C-xs": show\'',
        "$READLINE_LINE",
    ),
    "zsh": (
        ["zsh", "-f", "-i"],
        'autoload -Uz compinit && compinit -D -u; eval "$(tulle completion zsh)"'
        '; zle -N show; bindkey "^Xs" show',
        "$BUFFER",
    ),
}


@pytest.fixture(scope="module")
def namespace() -> Iterator[str]:
    made = Namespace(f"{unique_prefix()}only")
    made.create()
    yield made.name
    made.end()


def environment() -> dict[str, str]:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "TERM": "dumb", "ZDOTDIR": "/nonexistent", "PS1": "> "}


class Shell:
    """An interactive shell on a terminal of its own, with completion set up."""

    def __init__(self, name: str, shown: Path) -> None:
        self._shown = shown
        command, setup, line = SHELLS[name]
        self._pid, self._terminal = pty.fork()
        if self._pid == 0:
            os.execvpe(command[0], command, environment())
        self._type(f'show() {{ printf %s "{line}" >{shown}.new; mv {shown}.new {shown}; }}; {setup}\n')
        self._type(f"printf ready >{shown}\n")
        self._await()

    def completed(self, line: str) -> str:
        """What the tab key makes of this line."""
        self._type(line + "\t")
        self._type("\x18s")
        text = self._await()
        self._type("\x15")
        return text.strip()

    def end(self) -> None:
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        os.close(self._terminal)

    def _type(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def _await(self) -> str:
        deadline = time.monotonic() + PATIENCE
        while not (self._shown.exists() and self._shown.read_text()):
            assert time.monotonic() < deadline, "the shell does not answer"
            if select.select([self._terminal], [], [], 0.05)[0]:
                os.read(self._terminal, 65536)
        text = self._shown.read_text()
        self._shown.unlink()
        return text


@pytest.mark.parametrize("name", SHELLS)
def test_the_tab_key_completes_commands_options_and_containers(
    name: str, namespace: str, tmp_path: Path
) -> None:
    if shutil.which(name) is None:
        pytest.skip(f"no {name} here")
    shell = Shell(name, tmp_path / "line")
    try:
        assert shell.completed("tulle statu") == "tulle status"
        assert shell.completed("tulle launch --no-disc") == "tulle launch --no-discovery"
        assert shell.completed(f"tulle attach netns:{namespace[:-1]}") == f"tulle attach netns:{namespace}"
    finally:
        shell.end()


def test_fish_is_offered_the_same(namespace: str) -> None:
    if shutil.which("fish") is None:
        pytest.skip("no fish here")

    def offered(line: str) -> str:
        script = f'tulle completion fish | source; complete -C "{line}"'
        command = ["fish", "--no-config", "-c", script]
        done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True)
        return done.stdout

    assert offered("tulle statu").startswith("status\t")
    assert "--no-discovery" in offered("tulle launch --no-disc")
    assert offered(f"tulle attach netns:{namespace[:-1]}") == f"netns:{namespace}\n"
