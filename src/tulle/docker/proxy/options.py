"""What ``launch`` can be told about the proxy."""

import re
from dataclasses import dataclass

from tulle.api.listen import ListenAddress
from tulle.errors import UserError

DEFAULT_MATCH, DEFAULT_REPLACEMENT = "(.*)", "$1"
_GROUP = re.compile(r"\$(?:(\w+)|\{(\w+)\}|(\$))")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyOptions:
    """How containers that are made through the proxy join.

    ``proxy_listen``: where it listens; empty: the usual place. ``without_dns`` leaves resolver and host name
    alone. ``tls``: clients on TCP must speak it; ``tlsverify``: and show a certificate of ``tlscacert``.
    """

    no_proxy: bool = False
    proxy_listen: tuple[ListenAddress, ...] = ()
    hostname_from_label: str = ""
    hostname_match: str = DEFAULT_MATCH
    hostname_replacement: str = DEFAULT_REPLACEMENT
    rewrite_inspect: bool = False
    no_default_ipalloc: bool = False
    no_rewrite_hosts: bool = False
    no_multicast_route: bool = False
    without_dns: bool = False
    tls: bool = False
    tlsverify: bool = False
    tlscacert: str = ""
    tlscert: str = ""
    tlskey: str = ""


SWITCHES = (
    "no_proxy",
    "rewrite_inspect",
    "no_default_ipalloc",
    "no_rewrite_hosts",
    "no_multicast_route",
    "without_dns",
    "tls",
    "tlsverify",
)


def hostname_match(pattern: str) -> str:
    """The pattern, if it is one. Raises UserError."""
    try:
        re.compile(pattern)
    except re.error as error:
        raise UserError(f"{pattern!r} is not a regular expression: {error}") from None
    return pattern


def derived_hostname(options: ProxyOptions, name: str, labels: dict[str, str]) -> str:
    """The host name of a container that was given none; empty where there is nothing to derive it from."""
    if options.hostname_from_label:
        label = labels.get(options.hostname_from_label, "")
        if label:
            return label
    if not name:
        return ""
    made, at, end = "", 0, -1
    for found in re.finditer(options.hostname_match, name):
        if found.start() == found.end() == end:
            continue  # nothing, right behind something that matched
        made += name[at : found.start()] + _expanded(options.hostname_replacement, found)
        at = end = found.end()
    return made + name[at:]


def _expanded(replacement: str, found: re.Match[str]) -> str:
    """The replacement with ``$1``, ``${1}`` and ``${name}`` filled in; what there is not is empty."""

    def group(reference: re.Match[str]) -> str:
        if reference[3]:
            return "$"
        name = reference[1] or reference[2]
        try:
            return found[int(name) if name.isdigit() else name] or ""
        except IndexError:
            return ""

    return _GROUP.sub(group, replacement)
