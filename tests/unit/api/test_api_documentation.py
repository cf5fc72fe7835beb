"""docs/http-api.md tells of every row of the API, and of no other."""

import re
from pathlib import Path

from api.fake_daemon import FakeDaemon
from tulle.api.server import control_routes, status_routes

PAGE = (Path(__file__).parents[3] / "docs" / "http-api.md").read_text()


def rows(text: str) -> set[str]:
    return set(re.findall(r"`((?:GET|POST|PUT|DELETE) /[^`?]*)`", text))


def test_every_row_is_documented() -> None:
    assert rows(PAGE) == {f"{route.method} {route.path}" for route in control_routes(FakeDaemon())}


def test_stars_are_right() -> None:
    starred = rows("\n".join(re.findall(r"^\| (`GET [^`]*`) \* ", PAGE, re.MULTILINE)))
    assert starred == {f"{route.method} {route.path}" for route in status_routes(FakeDaemon())}
