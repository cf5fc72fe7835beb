"""Which requests over TCP are taken for the work of a web page."""

import pytest

from tulle.api.guard import foreign

OURS = [
    (None, None, None),
    ("127.0.0.1:6784", None, None),
    ("localhost:6784", None, None),
    ("LOCALHOST", None, None),
    ("10.0.0.7", None, "none"),
    ("[::1]:6784", None, None),
    ("127.0.0.1:6784", "http://127.0.0.1:6784", "same-origin"),
    ("localhost:6784", "http://LocalHost:6784", None),
]
FOREIGN = [
    ("evil.example:6784", None, None),
    ("127.0.0.1.evil.example", None, None),
    ("", None, None),
    ("[", None, None),
    ("127.0.0.1:6784", "http://evil.example", None),
    ("127.0.0.1:6784", "null", None),
    ("127.0.0.1:6784", "http://127.0.0.1:80", None),
    (None, "http://127.0.0.1", None),
    ("127.0.0.1:6784", None, "cross-site"),
    ("127.0.0.1:6784", None, "same-site"),
]


@pytest.mark.parametrize("headers", OURS)
def test_programs_are_let_in(headers: tuple[str | None, str | None, str | None]) -> None:
    assert foreign(*headers) is None


@pytest.mark.parametrize("headers", FOREIGN)
def test_web_pages_are_not(headers: tuple[str | None, str | None, str | None]) -> None:
    assert foreign(*headers)
