"""Flags and variables of Weave Net's script: each is taken, noted or refused, and none of them in silence."""

import pytest

from cli.conftest import Run
from tulle.cli import background
from tulle.cli.flags import FLAGS
from tulle.cli.personality import TULLE, WEAVE
from tulle.cli.weave_flags import IMPOSSIBLE, NEEDLESS, RENAMED, UNUSED_VARIABLES, modern
from tulle.daemon.options import LaunchOptions, parse_options


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> list[LaunchOptions]:
    """What daemons would have been started with."""
    seen: list[LaunchOptions] = []
    monkeypatch.setattr(background, "start_daemon", lambda flags, *_: seen.append(parse_options(flags)))
    for name in UNUSED_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return seen


def test_old_names_mean_the_new_flags(tulle: Run, launched: list[LaunchOptions]) -> None:
    words = ["--weave-bridge", "br1", "-iprange", "10.9.0.0/16", "--connlimit=7", "-nodiscovery", "h2"]
    assert tulle("launch", *words, personality=WEAVE).err == ""
    (options,) = launched
    assert (options.bridge, str(options.ipalloc_range), options.conn_limit) == ("br1", "10.9.0.0/16", 7)
    assert options.no_discovery
    assert options.peers == ("h2",)


def test_new_names_exist() -> None:
    known = {flag.spelling for flag in FLAGS}
    assert {*RENAMED.values()} <= known
    assert not known & {*RENAMED, *NEEDLESS, *IMPOSSIBLE}
    assert modern(["--iprange=x", "--mtu", "1"]) == ["--ipalloc-range=x", "--mtu", "1"]


@pytest.mark.parametrize("name", sorted(NEEDLESS))
@pytest.mark.parametrize("personality", [TULLE, WEAVE], ids=["tulle", "weave"])
def test_needless_flags_are_noted(
    tulle: Run, launched: list[LaunchOptions], name: str, personality: object
) -> None:
    value = [] if NEEDLESS[name].takes is None else ["1"]
    got = tulle("launch", name, *value, "h2", personality=personality)
    assert got.status == 0
    assert got.err == f"note: {name} changes nothing: {NEEDLESS[name].why}\n"
    assert launched[0].peers == ("h2",)


@pytest.mark.parametrize("name", sorted(IMPOSSIBLE))
def test_impossible_flags_are_refused(tulle: Run, launched: list[LaunchOptions], name: str) -> None:
    value = [] if IMPOSSIBLE[name].takes is None else ["1"]
    got = tulle("launch", name, *value, personality=WEAVE)
    assert (got.status, got.out, launched) == (2, "", [])
    assert got.err.startswith(f"weave launch: there is no {name}: ")
    assert got.err.count("\n") == 1


def test_variables_that_change_nothing_are_noted(
    tulle: Run, launched: list[LaunchOptions], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in UNUSED_VARIABLES:
        monkeypatch.setenv(name, "1")
    assert tulle("launch").err == ""
    noted = tulle("launch", personality=WEAVE).err.splitlines()
    assert [line.split()[1] for line in noted] == list(UNUSED_VARIABLES)


@pytest.mark.parametrize(
    ("variable", "value", "field", "meant"),
    [
        ("WEAVE_PORT", "7001", "port", 7001),
        ("WEAVE_MTU", "8916", "mtu", 8916),
        ("WEAVE_PASSWORD", "wabbit", "password", "wabbit"),
        ("WEAVE_NO_FASTDP", "1", "no_fastdp", True),
        ("WEAVE_HTTP_ADDR", "127.0.0.1:6784", "http_addr", None),
        ("WEAVE_STATUS_ADDR", "127.0.0.1:6782", "status_addr", None),
        ("WEAVE_METRICS_ADDR", "127.0.0.1:6781", "metrics_addr", None),
    ],
)
def test_variables_of_the_script_are_heeded(
    tulle: Run,
    launched: list[LaunchOptions],
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
    field: str,
    meant: object,
) -> None:
    monkeypatch.setenv(variable, value)
    assert tulle("launch", personality=WEAVE).status == 0
    found = getattr(launched[0], field)
    assert found == meant if meant is not None else str(found) == value
