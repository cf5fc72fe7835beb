"""Inspected containers show their address here."""

import json

import pytest

from tulle.api.report import ContainerReport
from tulle.docker.proxy.inspect import rewritten_inspection

HERE = [ContainerReport(container="ab", mac="02:00:00:00:00:01", addresses=["10.32.0.5/12", "10.40.0.1/16"])]


def test_an_attached_one() -> None:
    body = json.dumps({"Id": "ab", "NetworkSettings": {"IPAddress": "172.17.0.2", "Ports": {}}}).encode()
    settings = json.loads(rewritten_inspection(body, HERE))["NetworkSettings"]
    assert settings == {
        "IPAddress": "10.32.0.5", "IPPrefixLen": 12, "MacAddress": "02:00:00:00:00:01", "Ports": {}
    }  # fmt: skip


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"Id": "cd", "NetworkSettings": {}}', b'{"Id": "ab", "NetworkSettings": 3}']
)
def test_others_stay_as_they_are(body: bytes) -> None:
    assert rewritten_inspection(body, HERE) == body
