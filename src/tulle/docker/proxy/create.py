"""What the proxy changes in a request to create a container, so that it joins before its command runs."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tulle.api.addresses import AddressSpec, parse_spec
from tulle.api.daemon import DnsService
from tulle.docker.proxy.fields import Json, key_of, part, put, text, words
from tulle.docker.proxy.options import ProxyOptions, derived_hostname
from tulle.errors import UserError

INSIDE = "/.tulle"
"""Where a container finds the wait helper and the gate; wait.c has it too."""

HELPER = f"{INSIDE}/wait"
VARIABLES = ("TULLE_CIDR", "WEAVE_CIDR")
"""Say which addresses a container is to have; the first one that is set counts."""

_LONGEST_HOSTNAME = 63
_BRIDGED = ("", "default", "bridge", "none")
"""Network modes in which our interface has its place; others are a network plugin's, or no own network."""


@dataclass(frozen=True, slots=True)
class Joining:
    """How containers join. ``directory`` holds the helper; ``search`` are the domains the host searches."""

    options: ProxyOptions
    directory: str
    dns: DnsService | None
    search: Sequence[str] = ()

    @property
    def resolver(self) -> DnsService | None:
        """The DNS server to give to containers; None: they keep what they have."""
        return None if self.dns is None or self.dns.port != 53 or self.options.without_dns else self.dns


def addresses_wanted(
    environment: Sequence[str], network_mode: str, no_default: bool
) -> tuple[AddressSpec, ...] | None:
    """The addresses for a container: none given means one of the default subnet; None: leave it alone.

    Raises UserError if what its environment says is no address.
    """
    if network_mode not in _BRIDGED:
        return None
    given = {name: value for name, _, value in (entry.partition("=") for entry in environment)}
    for variable in VARIABLES:
        if variable in given:
            value = given[variable].strip()
            if value == "none":
                return None
            try:
                return tuple(parse_spec(word) for word in value.split())
            except UserError as error:
                raise UserError(f"{variable}: {error}") from None
    return None if no_default else ()


def rewritten(asked: Json, image: Mapping[str, object], name: str, joining: Joining) -> Json | None:
    """The container to ask the engine for; None to ask for the very one that the client did.

    ``image`` is the configuration of its image, and ``name`` the container's, empty if the client gave none.
    Raises UserError for addresses that are none.
    """
    body = copy.deepcopy(asked)
    pictured = dict(image)
    environment = [*(words(pictured, "Env") or ()), *(words(body, "Env") or ())]
    host = part(body, "HostConfig")
    mode = text(host, "NetworkMode")
    if addresses_wanted(environment, mode, joining.options.no_default_ipalloc) is None:
        return None
    if not _put_helper_first(body, pictured):
        return None
    _let_in(host, joining)
    _name(body, name, joining)
    return body


def rewritten_host_config(asked: Json, joining: Joining) -> Json:
    """The HostConfig that an old client sends with a start: it replaces that of the creation."""
    body = copy.deepcopy(asked)
    inner = key_of(body, "HostConfig") in body  # the engine takes it either way
    _let_in(part(body, "HostConfig") if inner else body, joining)
    return body


def rewritten_commit(asked: Json | None, container: Json) -> Json:
    """What to make an image of a container with: its command is the container's own, without the helper.

    ``asked`` is the configuration that the client wants, ``container`` that of the container.
    """
    body = copy.deepcopy(container if asked is None else asked)
    if asked is None or not words(body, "Entrypoint"):
        put(body, "Entrypoint", (words(container, "Entrypoint") or [])[1:])
        put(body, "Cmd", words(body, "Cmd") or words(container, "Cmd") or [])
    return body


def _put_helper_first(body: Json, image: Json) -> bool:
    """Whether there is a command at all; where there is none, the engine's own error is the right one."""
    entrypoint, command = words(body, "Entrypoint"), words(body, "Cmd")
    if not entrypoint:  # the engine would fill these in, but not once there is an entry point
        if not command:
            command = words(image, "Cmd")
        if entrypoint is None:
            entrypoint = words(image, "Entrypoint")
    if entrypoint == [""]:
        entrypoint = []
    if not entrypoint and not command:
        return False
    if not entrypoint or entrypoint[0] != HELPER:
        entrypoint = [HELPER, *(entrypoint or ())]
    put(body, "Entrypoint", entrypoint)
    if command is not None:
        put(body, "Cmd", command)
    return True


def _let_in(host: Json, joining: Joining) -> None:
    """Mount the helper, and set the resolver."""
    binds = [bind for bind in words(host, "Binds") or () if f":{INSIDE}" not in bind]
    put(host, "Binds", [*binds, f"{joining.directory}:{INSIDE}:ro"])
    resolver = joining.resolver
    if resolver is None:
        return
    address = str(resolver.address)
    others = [server for server in words(host, "Dns") or () if server != address]
    put(host, "Dns", [address, *others])
    if not words(host, "DnsSearch"):
        put(host, "DnsSearch", list(dict.fromkeys([resolver.domain.rstrip("."), *joining.search])))


def _name(body: Json, name: str, joining: Joining) -> None:
    """A host name for a container that was given none, under our domain."""
    resolver = joining.resolver
    if resolver is None or text(body, "Hostname"):
        return
    labels = {key: str(value) for key, value in part(body, "Labels").items()}
    hostname = derived_hostname(joining.options, name, labels)
    if hostname and len(hostname) <= _LONGEST_HOSTNAME:
        put(body, "Hostname", hostname)
        put(body, "Domainname", resolver.domain.rstrip("."))
