"""What the API answers when something is wrong: a fitting status, and always exactly one line."""

import asyncio
import logging
from typing import Any

import aiohttp
import pytest
from yarl import URL

from api.conftest import Ask
from api.fake_daemon import FakeDaemon
from tulle.api.answers import one_line
from tulle.api.daemon import RequestCancelled
from tulle.errors import StorageError, UserError

WRONG: list[tuple[str, str, int, str]] = [
    ("GET", "/nothing", 404, "there is nothing at /nothing"),
    ("GET", "/status/weather", 404, "there is no status of 'weather'; there are targets"),
    ("PATCH", "/connect", 405, "PATCH does not apply to /connect; use POST"),
    ("POST", "/connect", 400, "no peer is given"),
    ("POST", "/connect?peer=a%20b", 400, "'a b' is not a peer"),
    ("POST", "/connect?peer=h2:99999", 400, "'h2:99999' is not a peer"),
    ("POST", "/forget", 400, "no peer is given"),
    ("POST", "/ip/c1/10.33.0.1/24", 400, "did you mean 10.33.0.0/24?"),
    ("POST", "/ip/c1/10.33.0.0/33", 400, "'10.33.0.0/33' is not of the form"),
    ("POST", "/ip/c1/10.33.0/24", 400, "is not of the form"),
    ("POST", "/ip/" + "x" * 256, 400, "cannot name a container"),
    ("POST", "/ip/a%0Ab", 400, "cannot name a container"),
    ("PUT", "/ip/c1/10.32.0.0/12", 400, "is the network address of 10.32.0.0/12"),
    ("PUT", "/ip/c1/224.0.0.1/4", 400, "is not an address that a container can have"),
    ("DELETE", "/ip/c1/10.32.0", 400, "'10.32.0' is not an IPv4 address"),
    ("PUT", "/name/c1/10.32.0.1", 400, "'' is not a host name"),
    ("PUT", "/name/c1/here?fqdn=web.weave.local", 400, "'here' is not an IPv4 address"),
    ("DELETE", "/name?fqdn=a..b", 400, "'a..b' is not a host name"),
    ("GET", "/dns/lookup", 400, "'' is not a host name"),
    ("GET", "/ps?container=@web", 400, "'@web' is not a container"),
    ("POST", "/expose/10.2.1.9/x", 400, "'10.2.1.9/x' is not of the form"),
    ("GET", "/report?format=%7B%7B", 400, "template line 1: an action is not closed"),
    ("GET", "/report?format=%7B%7B.Nope%7D%7D", 400, "there is no field Nope"),
]


@pytest.mark.parametrize(
    ("method", "path", "status", "words"), WRONG, ids=[f"{r[0]} {r[1][:40]}" for r in WRONG]
)
async def test_wrong_requests(
    ask: Ask, daemon: FakeDaemon, method: str, path: str, status: int, words: str
) -> None:
    got = await ask(method, URL(path, encoded=True))
    assert got.status == status
    assert words in got.text
    assert got.text.count("\n") == 1
    assert daemon.calls == []


BODIES: list[tuple[str, Any, str]] = [
    ("/attach", b"", "missing required field `container`"),
    ("/attach", b"{", "the body of the request is not as expected"),
    ("/attach", b"[]", "Expected `object`, got `array`"),
    ("/attach", b"[" * 100_000, "the body of the request is not as expected"),
    ("/attach", b'{"container": 5}', "Expected `str`, got `int`"),
    ("/attach", b'{"container": "netns:web", "colour": 1}', "unknown field `colour`"),
    ("/attach", b'{"container": "@web"}', "'@web' is not a container"),
    ("/attach", b'{"container": "netns:web", "addresses": ["net:10.0.0.1/24"]}', "did you mean 10.0.0.0/24?"),
    ("/attach", b'{"container": "netns:web", "hostname": "a_b!"}', "is not a host name"),
    ("/attach", b'{"container": "netns:web", "extra_hosts": ["db"]}', "'db' is not of the form NAME:IP"),
    ("/expose", b'{"addresses": [%s]}' % b",".join([b'"net:default"'] * 257), "256 are the most"),
    ("/hide", b'{"addresses": ["x"]}', "'x' is not of the form"),
    ("/dns/add", b'{"hostname": "ext"}', "without a container both an address and a name are needed"),
    (
        "/dns/add",
        b'{"addresses": ["10.0.0.1"], "hostname": "a.example.com"}',
        "is not in our domain weave.local.",
    ),
    ("/dns/remove", b'{"addresses": ["10.0.0.1"]}', "without a container a name is needed"),
]


@pytest.mark.parametrize(("path", "body", "words"), BODIES)
async def test_wrong_bodies(ask: Ask, daemon: FakeDaemon, path: str, body: bytes, words: str) -> None:
    got = await ask("POST", path, data=body)
    assert got.status == 400
    assert words in got.text
    assert got.text.count("\n") == 1
    assert daemon.calls == []


async def test_a_body_that_is_too_large(ask: Ask) -> None:
    got = await ask("POST", "/attach", data=b"x" * 300_000)
    assert got.status == 413
    assert got.text.count("\n") == 1


@pytest.mark.parametrize("path", ["/ring", "/ip", "/ip/c1", "/ipinfo/defaultsubnet", "/ipinfo/tracker"])
async def test_without_allocation_its_rows_are_not_there(ask: Ask, daemon: FakeDaemon, path: str) -> None:
    daemon.default_subnet = None
    got = await ask("GET", path)
    assert (got.status, "turned off" in got.text) == (404, True)
    assert (await ask("POST", "/ip/c1")).status == 404
    assert (await ask("PUT", "/ip/c1/10.32.0.1/12")).status == 404
    assert (await ask("DELETE", "/ip/c1")).status == 404
    assert daemon.calls == []


@pytest.mark.parametrize(
    "path", ["/name", "/domain", "/dns-address", "/dns-address-port", "/dns/lookup?name=x"]
)
async def test_without_dns_its_rows_are_not_there(ask: Ask, daemon: FakeDaemon, path: str) -> None:
    daemon.dns = None
    got = await ask("GET", path)
    assert (got.status, "turned off" in got.text) == (404, True)
    assert (await ask("PUT", "/name/c1/10.32.0.1?fqdn=a.weave.local")).status == 404
    assert (await ask("DELETE", "/name")).status == 404
    assert daemon.calls == []


async def test_the_daemons_refusal_is_passed_on_in_one_line(ask: Ask, daemon: FakeDaemon) -> None:
    daemon.error = UserError("address 10.32.0.9 belongs\n  to h2", 409)
    got = await ask("PUT", "/ip/c1/10.32.0.9/12")
    assert (got.status, got.text) == (409, "address 10.32.0.9 belongs to h2\n")


async def test_a_full_disk_has_its_own_status(ask: Ask, daemon: FakeDaemon) -> None:
    daemon.error = StorageError("no space left on device")
    got = await ask("POST", "/ip/c1")
    assert (got.status, got.text) == (
        507,
        "nothing was changed, as the state could not be written: no space left on device\n",
    )


async def test_a_container_that_went_away_is_not_an_error(ask: Ask, daemon: FakeDaemon) -> None:
    daemon.error = RequestCancelled()
    got = await ask("POST", "/ip/c1?check-alive=true")
    assert (got.status, got.text) == (200, "cancelled")


async def test_what_nobody_expected_goes_into_the_log_alone(
    ask: Ask, daemon: FakeDaemon, caplog: pytest.LogCaptureFixture
) -> None:
    daemon.error = ZeroDivisionError("secret detail")
    with caplog.at_level(logging.ERROR):
        got = await ask("GET", "/ring")
    assert (got.status, got.text) == (500, "internal error, see the log\n")
    assert "secret detail" in caplog.text


async def test_status_is_not_there_until_the_daemon_is_ready(ask: Ask, daemon: FakeDaemon) -> None:
    daemon.ready = False
    got = await ask("GET", "/status")
    assert got.status == 503
    assert got.text.startswith("not ready yet: ")
    daemon.ready = True
    assert (await ask("GET", "/status")).status == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/ip/c1"), ("PUT", "/ip/c1/10.32.0.9/12"), ("GET", "/ring"), ("POST", "/attach")],
)
async def test_a_client_that_hangs_up_cancels_its_request(
    session: aiohttp.ClientSession, daemon: FakeDaemon, method: str, path: str
) -> None:
    daemon.hold = asyncio.Event()
    body = {"container": "netns:web"} if path == "/attach" else None
    request = asyncio.create_task(session.request(method, path, json=body).__aenter__())
    await daemon.asked.wait()
    request.cancel()
    await daemon.cancelled.wait()


def test_one_line_holds_whatever_comes() -> None:
    assert one_line(" a\n\tb\x00c\u2028d ") == "a b c d"
