"""The plugin's socket: whatever comes, the answer is JSON, and an error has a text."""

import json
from collections.abc import AsyncGenerator

import pytest
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tulle.docker.plugin import messages, server
from tulle.errors import UserError

from .conftest import Docker


@pytest.fixture
async def client(docker: Docker) -> AsyncGenerator[TestClient]:  # type: ignore[type-arg]
    async with TestClient(TestServer(server.make_app(docker.table))) as made:
        yield made


async def test_the_plugin_says_what_it_is(client: TestClient) -> None:  # type: ignore[type-arg]
    answer = await client.post("/Plugin.Activate")
    assert answer.content_type == "application/vnd.docker.plugins.v1.1+json"
    assert json.loads(await answer.read()) == {"Implements": ["NetworkDriver", "IpamDriver"]}
    answer = await client.post("/NetworkDriver.GetCapabilities", data=b"")
    assert json.loads(await answer.read()) == {"Scope": "local", "ConnectivityScope": "global"}


@pytest.mark.parametrize(
    ("call", "body", "status"),
    [
        ("NetworkDriver.Join", b"{", 400),
        ("NetworkDriver.Join", b"[]", 400),
        ("NetworkDriver.Join", b"{}", 400),
        ("NetworkDriver.CreateNetwork", b'{"NetworkID": "n", "IPv4Data": null}', 400),
        ("NetworkDriver.CreateNetwork", b'{"NetworkID": "n", "IPv4Data": [{"Pool": "x"}]}', 400),
        ("IpamDriver.RequestAddress", b'{"PoolID": "' + b"9" * 5000 + b'"}', 400),
        ("IpamDriver.ReleaseAddress", b'{"PoolID": "10.32.0.0/16", "Address": "x"}', 400),
        ("NetworkDriver.Dance", b"{}", 404),
    ],
)
async def test_an_error_has_a_text(client: TestClient, call: str, body: bytes, status: int) -> None:  # type: ignore[type-arg]
    answer = await client.post(f"/{call}", data=body)
    assert answer.status == status
    said = json.loads(await answer.read())["Err"]
    assert said
    assert "internal error" not in said
    assert len(said) < 500


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=200), field=st.text(max_size=40))
def test_bodies_are_read_or_refused(docker: Docker, body: bytes, field: str) -> None:
    texts = [body, json.dumps({"NetworkID": field, "EndpointID": field, "PoolID": field, "Address": field})]
    for kind, _ in docker.table.values():
        for text in texts:
            try:
                messages.decode(text if isinstance(text, bytes) else text.encode(), kind)
            except UserError:
                continue
