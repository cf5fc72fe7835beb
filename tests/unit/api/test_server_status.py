"""Rows that look, and the addresses that serve nothing else."""

import json
import socket
from pathlib import Path

import aiohttp
import msgspec
import pytest

from api.conftest import Ask
from api.fake_daemon import FakeDaemon
from tulle.api import views
from tulle.api.listen import TcpAddress, UnixAddress, parse_listen
from tulle.api.report import ContainerReport
from tulle.api.server import ApiServer
from tulle.errors import UserError


@pytest.mark.parametrize("view", list(views.VIEWS))
async def test_each_view_is_served(ask: Ask, daemon: FakeDaemon, view: str) -> None:
    got = await ask("GET", f"/status/{view}")
    assert (got.status, got.content_type) == (200, "text/plain")
    assert got.text == views.VIEWS[view](daemon.current)


async def test_the_summary_is_served(ask: Ask, daemon: FakeDaemon) -> None:
    assert (await ask("GET", "/status")).text == views.status(daemon.current)


@pytest.mark.parametrize("accept", ["application/json", "*/*"])
async def test_the_report_is_json(ask: Ask, daemon: FakeDaemon, accept: str) -> None:
    got = await ask("GET", "/report", headers={"Accept": accept})
    assert got.content_type == "application/json"
    assert json.loads(got.text) == msgspec.to_builtins(daemon.current)
    assert got.text.startswith('{\n    "Ready": true')


async def test_the_report_fills_in_a_template(ask: Ask) -> None:
    got = await ask("GET", "/report", params={"format": "{{range .Router.Peers}}{{.NickName}},{{end}}"})
    assert (got.status, got.text) == (200, "h1,h2,h3,")


async def test_metrics_are_text(ask: Ask) -> None:
    got = await ask("GET", "/metrics")
    assert (got.status, got.content_type) == (200, "text/plain")
    assert "weave_max_ips 1.048576e+06" in got.text


async def test_containers_are_listed(ask: Ask, daemon: FakeDaemon) -> None:
    daemon.current = msgspec.structs.replace(
        daemon.current,
        containers=[
            ContainerReport(container="weave:expose", mac="02:00:00:00:00:aa", addresses=["10.32.0.5/12"]),
            ContainerReport(container="netns:web", mac="02:00:00:00:00:bb", addresses=["10.32.0.1/12"]),
        ],
    )
    both = "weave:expose 02:00:00:00:00:aa 10.32.0.5/12\nnetns:web 02:00:00:00:00:bb 10.32.0.1/12\n"
    assert (await ask("GET", "/ps")).text == both
    assert (await ask("GET", "/ps?container=/run/netns/web")).text == both.splitlines()[1] + "\n"
    assert (await ask("GET", "/ps?container=weave:expose")).text == both.splitlines()[0] + "\n"
    as_json = await ask("GET", "/ps?container=netns:web", headers={"Accept": "application/json"})
    assert [entry["MAC"] for entry in json.loads(as_json.text)] == ["02:00:00:00:00:bb"]


def left_in(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_each_address_serves_its_rows(daemon: FakeDaemon, tmp_path: Path) -> None:
    http, status = free_port(), free_port()
    server = ApiServer(
        daemon,
        str(tmp_path / "tulle.sock"),
        http=parse_listen(f"127.0.0.1:{http}"),
        status=parse_listen(f"127.0.0.1:{status}"),
        metrics=UnixAddress(str(tmp_path / "metrics.sock")),
    )
    await server.start()
    try:
        async with aiohttp.ClientSession() as session:

            async def code(method: str, url: str) -> int:
                async with session.request(method, url) as response:
                    return response.status

            assert await code("POST", f"http://127.0.0.1:{http}/ip/c1") == 200
            assert await code("GET", f"http://127.0.0.1:{http}/status") == 200
            for path in ("status", "status/ipam", "report", "metrics"):
                assert await code("GET", f"http://127.0.0.1:{status}/{path}") == 200
            assert await code("POST", f"http://127.0.0.1:{status}/ip/c1") == 404
            assert await code("POST", f"http://127.0.0.1:{status}/stop") == 404
        connector = aiohttp.UnixConnector(path=str(tmp_path / "metrics.sock"))
        async with aiohttp.ClientSession("http://tulle", connector=connector) as session:
            assert await code("GET", "/metrics") == 200
            assert await code("GET", "/status") == 404
    finally:
        await server.stop()
    assert left_in(tmp_path) == []


async def test_web_pages_are_kept_away_from_tcp(daemon: FakeDaemon, tmp_path: Path) -> None:
    port = free_port()
    server = ApiServer(daemon, str(tmp_path / "tulle.sock"), http=parse_listen(f"127.0.0.1:{port}"))
    await server.start()
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
            for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
                async with session.post("/stop", headers=headers) as response:
                    assert response.status == 403
                    assert (await response.text()).count("\n") == 1
        assert daemon.calls == []
    finally:
        await server.stop()


async def test_a_taken_port_leaves_nothing_behind(daemon: FakeDaemon, tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        address = parse_listen(f"127.0.0.1:{holder.getsockname()[1]}")
        assert isinstance(address, TcpAddress)
        server = ApiServer(daemon, str(tmp_path / "tulle.sock"), http=address)
        with pytest.raises(UserError, match="another program has it") as caught:
            await server.start()
    assert caught.value.status == 409
    assert left_in(tmp_path) == []
