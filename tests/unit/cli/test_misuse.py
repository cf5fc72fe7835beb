"""Commands given wrongly: one line, exit status 2, and the daemon is never asked."""

import contextlib
import io
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cli.conftest import Run
from tulle.cli.commands import COMMANDS
from tulle.cli.main import run
from tulle.cli.personality import TULLE, WEAVE

WRONG = [
    ("nonsense", "tulle: No such command 'nonsense'"),
    ("--nonsense status", "No such option"),
    ("status nonsense", "is not one of 'targets', 'connections'"),
    ("status --nonsense", "tulle status: No such option"),
    ("connect", "name at least one peer"),
    ("connect h2:0", "'h2:0' is not a peer"),
    ("connect h2:x", "'h2:x' is not a peer"),
    ("connect 10.0.0.300", "'10.0.0.300' is not a peer"),
    ("connect 0.0.0.0", "'0.0.0.0' is not a peer"),
    ("connect fe80::1", "'fe80::1' is not a peer"),
    ("connect -h2", "No such option"),
    ("forget", "Missing argument"),
    ("rmpeer", "Missing argument"),
    ("attach", "Missing argument"),
    ("attach 10.2.1.1/24", "which container?"),
    ("attach net:default", "which container?"),
    ("attach @web", "'@web' is not a container"),
    ("attach netns:", "'netns:' does not name a network namespace"),
    ("attach netns:a/b", "'netns:a/b' does not name"),
    ("attach netns:..", "does not name"),
    ("attach pid:0", "'pid:0' does not name a process"),
    ("attach pid:x", "'pid:x' does not name a process"),
    ("attach pid:99999999999999999999", "does not name a process"),
    ("attach /", "'/' is not the path"),
    ("attach 10.2.1.0/24 netns:web", "is the network address of 10.2.1.0/24"),
    ("attach 10.2.1.255/24 netns:web", "is the broadcast address of 10.2.1.0/24"),
    ("attach 10.2.1.1 netns:web", "is not of the form address/prefix-length"),
    ("attach 10.2.1.1/33 netns:web", "is not of the form"),
    ("attach 10.2.1.1/-1 netns:web", "is not of the form"),
    ("attach net:10.2.1.1/24 netns:web", "did you mean 10.2.1.0/24?"),
    ("attach net:all netns:web", "is not of the form"),
    ("attach mac:1 netns:web", "'mac:1' is not an address"),
    ("attach 127.0.0.1/8 netns:web", "is not an address that a container can have"),
    ("attach --hostname a..b netns:web", "'a..b' is not a host name"),
    ("attach --add-host db netns:web", "'' is not a host name"),
    ("attach --add-host db:x netns:web", "'x' is not an IPv4 address"),
    ("expose net:x", "is not of the form"),
    ("expose -h", "requires an argument"),
    ("expose -h -", "'-' is not a host name"),
    ("hide web", "is not of the form"),
    ("dns-add", "Missing argument"),
    ("dns-add 10.0.0.1", "give -h NAME"),
    ("dns-add 10.0.0.1/24 netns:web", "'10.0.0.1/24' is not an IPv4 address"),
    ("dns-remove 10.0.0.1", "give -h NAME"),
    ("dns-lookup", "Missing argument"),
    ("dns-lookup a..b", "'a..b' is not a host name"),
    ("ps @web", "'@web' is not a container"),
    ("completion tcsh", "is not one of 'bash', 'zsh', 'fish'"),
    ("--socket= status", "must not be empty"),
    ("--state-dir= status", "must not be empty"),
    (f"--socket /{'x' * 107} status", "is too long"),
]


@pytest.mark.parametrize(("line", "words"), WRONG, ids=[row[0][:50] for row in WRONG])
def test_wrong_command_lines(tulle: Run, line: str, words: str) -> None:
    got = tulle(*line.split())
    assert (got.status, got.out) == (2, "")
    assert words in got.err
    assert got.err.count("\n") == 1
    assert "--help`)\n" in got.err


WORDS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        [*COMMANDS, "--json", "-f", "-h", "--socket", "--help", "--", "-", "netns:x", "ip:", "{{"]
    ),
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=st.lists(WORDS, max_size=5), weave=st.booleans())
def test_no_words_whatever_show_a_traceback(tmp_path: Path, words: list[str], weave: bool) -> None:
    """``launch`` and ``reset`` are left to other tests: they act even where no daemon runs."""
    words = [word for word in words if word not in ("launch", "reset")]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = run(WEAVE if weave else TULLE, words)
    assert status in (0, 1, 2)
    assert "Traceback" not in err.getvalue()
    assert "internal error" not in err.getvalue()
    assert status == 0 or err.getvalue()
    assert os.listdir(tmp_path) == []
