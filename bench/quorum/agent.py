"""The same four operations asked of the tulle daemon of a host."""

import http.client
from urllib.parse import quote

import dns.exception
import dns.message
import dns.query
import dns.rdatatype

from bench.quorum.store import PATIENCE, Unavailable
from lab.host import Host

_RESOLVER = "169.254.53.53"


class TulleClient:
    """What a container engine asks of the daemon on its host; names are asked of its resolver, by DNS."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def allocate(self, ident: str) -> str:
        """A free address for a container."""
        return self._ask("POST", f"/ip/{ident}").strip().partition("/")[0]

    def release(self, ident: str) -> None:
        """Give a container's address back."""
        self._ask("DELETE", f"/ip/{ident}")

    def register(self, ident: str, name: str, address: str) -> None:
        """Make a name known."""
        self._ask("PUT", f"/name/{ident}/{address}?fqdn={quote(name + '.tulle.internal')}")

    def resolve(self, name: str) -> str | None:
        """The address of a name."""
        query = dns.message.make_query(f"{name}.tulle.internal.", dns.rdatatype.A)
        try:
            answer = dns.query.udp(query, _RESOLVER, timeout=PATIENCE)
        except (dns.exception.Timeout, OSError) as error:
            raise Unavailable(name) from error
        return next((str(item) for found in answer.answer for item in found), None)

    def _ask(self, method: str, path: str) -> str:
        try:
            status, text = self._host.http(method, path)
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(path) from error
        if status >= 300:
            raise Unavailable(f"{status} {text}")
        return text
