"""The files by which a container that is a named network namespace finds names: resolv.conf and hosts.

``ip netns exec NAME`` and its like lay the files of ``/etc/netns/NAME`` over those of ``/etc``.
"""

import logging
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

from tulle.api.daemon import AttachRequest, DnsService
from tulle.errors import UserError
from tulle.host import resolv_conf
from tulle.host.resolv_conf import NETNS_DIRECTORY

log = logging.getLogger(__name__)

_HOSTS_MARK = "# Written by tulle, and removed by it when this namespace is detached.\n"


class ContainerFiles:
    """Writes and removes the files of named namespaces; other containers have none."""

    def __init__(self, dns: DnsService | None, host_conf: str) -> None:
        self._dns = dns
        self._host_conf = Path(host_conf)

    def write(self, request: AttachRequest, addresses: Sequence[IPv4Interface]) -> None:
        """Write what the request asks for. A file that cannot be written is only said in the log."""
        name = _namespace_name(request.container.ident)
        if name is None:
            return
        try:
            if self._dns is not None and not request.without_dns:
                self._write_resolv_conf(name, self._dns)
            if request.rewrite_hosts or request.extra_hosts:
                names = self._own_names(request.hostname or name)
                own = [(names, one.ip) for one in addresses if request.rewrite_hosts]
                _write_hosts(name, [*own, *request.extra_hosts])
        except (OSError, UserError) as error:
            log.warning(
                "%s: the files for its names could not be written: %s", request.container.ident, error
            )

    def renew(self, ident: str) -> None:
        """Correct a resolv.conf of ours that was written when the resolver was elsewhere, or is off now."""
        name = _namespace_name(ident)
        if name is None or not resolv_conf.is_ours(name):
            return
        try:
            if self._dns is None or self._dns.port != 53:
                resolv_conf.remove_for_namespace(name)
            else:
                self._write_resolv_conf(name, self._dns)
        except (OSError, UserError) as error:
            log.warning("%s: its resolv.conf could not be renewed: %s", ident, error)

    def resolving_name(self, ident: str) -> str | None:
        """The name of a namespace that was told of the resolver; None for other containers."""
        name = _namespace_name(ident)
        return name if name is not None and resolv_conf.is_ours(name) else None

    def remove(self, ident: str) -> None:
        """Remove what was written for a container."""
        name = _namespace_name(ident)
        if name is None:
            return
        try:
            hosts = NETNS_DIRECTORY / name / "hosts"
            had_hosts = hosts.exists() and hosts.read_text().startswith(_HOSTS_MARK)
            if had_hosts:
                hosts.unlink()
            had_resolv_conf = resolv_conf.remove_for_namespace(name)
            if had_hosts and not had_resolv_conf and not any(hosts.parent.iterdir()):
                hosts.parent.rmdir()
        except (OSError, UserError) as error:
            log.warning("%s: the files for its names could not be removed: %s", ident, error)

    def _own_names(self, hostname: str) -> str:
        """What a hosts file calls the container itself: its name in full, and the first label alone."""
        short = hostname.rstrip(".")
        if self._dns is None:
            return short
        domain = self._dns.domain.rstrip(".")
        full = short if short.lower().endswith(f".{domain}") else f"{short}.{domain}"
        return f"{full} {full[: -len(domain) - 1]}"

    def _write_resolv_conf(self, name: str, dns: DnsService) -> None:
        if dns.port != 53:
            log.warning("%s gets no resolv.conf: such files cannot name port %s", name, dns.port)
            return
        text = resolv_conf.for_container(str(dns.address), dns.domain, resolv_conf.read(self._host_conf))
        if not resolv_conf.write_for_namespace(name, text):
            log.warning("/etc/netns/%s/resolv.conf is there already and not ours; it stays as it is", name)


def _write_hosts(name: str, entries: Iterable[tuple[str, IPv4Address]]) -> None:
    path = NETNS_DIRECTORY / name / "hosts"
    if path.exists() and not path.read_text().startswith(_HOSTS_MARK):
        log.warning("%s is there already and not ours; it stays as it is", path)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["127.0.0.1\tlocalhost", "::1\tlocalhost", *(f"{ip}\t{host}" for host, ip in entries)]
    path.write_text(_HOSTS_MARK + "\n".join(lines) + "\n")


def _namespace_name(ident: str) -> str | None:
    kind, _, name = ident.partition(":")
    return name if kind == "netns" and name and "/" not in name else None
