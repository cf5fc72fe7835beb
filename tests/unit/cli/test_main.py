"""The entry point as a process: names, speed of start, closed pipes and interrupts."""

import os
import subprocess
import sys
from pathlib import Path
from queue import SimpleQueue

import pytest

from tulle.cli import waiting
from tulle.cli.main import main
from tulle.cli.personality import TULLE, WEAVE, personality_of
from tulle.errors import UserError


@pytest.mark.parametrize(
    ("program", "personality"),
    [
        ("tulle", TULLE),
        ("/usr/bin/weave", WEAVE),
        ("/opt/weave/bin/tulle", TULLE),
        ("", TULLE),
        ("x.py", TULLE),
    ],
)
def test_the_name_decides(program: str, personality: object) -> None:
    assert personality_of(program) is personality


def process(code: str, *words: str, **options: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # type: ignore[call-overload, no-any-return]
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=False, **options
    )


RUN = "from tulle.cli.main import main; main()"


def test_as_a_process(tmp_path: Path) -> None:
    got = process(RUN, "--socket", str(tmp_path / "none"), "status")
    assert (got.returncode, got.stdout) == (1, "")
    assert got.stderr.startswith("tulle: the daemon is not running")


def test_words_that_are_not_text(tmp_path: Path) -> None:
    got = subprocess.run([sys.executable, "-c", RUN, b"\xff\xfe"], capture_output=True, check=False)
    assert got.returncode == 2
    assert got.stderr.count(b"\n") == 1


def test_a_reader_that_goes_away_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)
    got = subprocess.run(
        [sys.executable, "-c", RUN, "help", "launch"], stdout=write, stderr=subprocess.PIPE, check=False
    )
    os.close(write)
    assert (got.returncode, got.stderr) == (1, b"")


def test_commands_start_light() -> None:
    """No command imports what only a daemon needs; a test of time would fail on a busy machine instead."""
    code = (
        "import sys; from tulle.cli.main import run, TULLE\n"
        "run(TULLE, ['--socket', '/nonexistent/x', 'status']); print(*sys.modules)"
    )
    heavy = {
        "aiohttp",
        "asyncio",
        "msgspec",
        "rich",
        "prometheus_client",
        "pyroute2",
        "dns",
        "cryptography",
        "nacl",
    }
    loaded = set(
        process(code.replace("run, TULLE", "run; from tulle.cli.personality import TULLE")).stdout.split()
    )
    assert "click" in loaded
    assert not loaded & heavy


def test_an_interrupt_ends_quietly(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tulle.cli.commands.Cli.main", interrupted)
    monkeypatch.setattr(sys, "argv", ["tulle", "prime"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 130
    assert capsys.readouterr().err == "tulle: interrupted\n"


def test_an_error_of_ours_is_one_line_with_a_way_to_see_more(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("by\nzero")

    monkeypatch.setattr("tulle.cli.commands.Cli.main", broken)
    monkeypatch.setattr(sys, "argv", ["weave", "status"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 1
    expected = "weave: internal error, ZeroDivisionError: by zero; set WEAVE_DEBUG=1 to see where\n"
    assert capsys.readouterr().err == expected
    monkeypatch.setenv("WEAVE_DEBUG", "1")
    with pytest.raises(SystemExit):
        main()
    assert "Traceback" in capsys.readouterr().err


class SlowClient:
    """Knows why things take long; ``text`` None: does not answer."""

    def __init__(self, text: str | None) -> None:
        self._text = text

    def get(self, *_: str) -> str:
        if self._text is None:
            raise UserError("nobody there")
        return self._text


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "        Service: ipam\n         Status: awaiting consensus (quorum: 2, known: 1)\n",
            " (awaiting consensus (quorum: 2, known: 1))",
        ),
        ("        Service: ipam\n         Status: ready\n", ""),
        ("        Service: router\n", ""),
        (None, ""),
    ],
)
def test_long_waits_are_explained(monkeypatch: pytest.MonkeyPatch, text: str | None, reason: str) -> None:
    monkeypatch.setattr(waiting, "PATIENCE", 0.0)
    told: SimpleQueue[str] = SimpleQueue()
    with waiting.explained(SlowClient(text), "an address", told.put):  # type: ignore[arg-type]
        assert told.get() == f"still waiting for an address{reason}; Ctrl-C gives up"


def test_short_waits_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    with waiting.explained(SlowClient(None), "an address", told.append):  # type: ignore[arg-type]
        pass
    assert told == []
