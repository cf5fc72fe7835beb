"""An inspected container as it is on this network, for programs that look there for its address."""

import json
from ipaddress import IPv4Interface

from tulle.api.report import ContainerReport
from tulle.docker.proxy.fields import Json


def rewritten_inspection(body: bytes, containers: list[ContainerReport]) -> bytes:
    """The engine's answer with the address that a container has here; unchanged if it has none."""
    try:
        inspected = json.loads(body)
        settings: Json = inspected["NetworkSettings"]
        ident = inspected["Id"]
    except (ValueError, RecursionError, KeyError, TypeError):
        return body
    attached = next((one for one in containers if one.container == ident and one.addresses), None)
    if attached is None or not isinstance(settings, dict):
        return body
    address = IPv4Interface(attached.addresses[0])
    settings["IPAddress"] = str(address.ip)
    settings["IPPrefixLen"] = address.network.prefixlen
    settings["MacAddress"] = attached.mac
    return json.dumps(inspected).encode()
