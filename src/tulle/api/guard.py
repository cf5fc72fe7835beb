"""Keeps web pages away from the API's TCP ports.

A browser on this machine can be made to send requests here by any page it shows: by a form (then it says
where the page came from) or by a name that resolves to our address (then it asks for that name). Programs
do neither: they use an address or localhost, and give no origin.
"""

import socket
from ipaddress import ip_address
from urllib.parse import urlsplit

from aiohttp import web

from tulle.api.answers import Handler, refusal


@web.middleware
async def no_web_pages(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuses what a foreign web page caused; unix sockets are out of their reach."""
    connection = request.transport.get_extra_info("socket") if request.transport else None
    if connection is None or connection.family == socket.AF_UNIX:
        return await handler(request)
    reason = foreign(
        request.headers.get("Host"), request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site")
    )
    return refusal(reason, 403) if reason else await handler(request)


def foreign(host: str | None, origin: str | None, fetch_site: str | None) -> str | None:
    """Why a request with these headers is refused; None if it is not."""
    if host is not None and not _is_plain(host):
        return "the request names a host other than an address or localhost; use http://127.0.0.1:PORT"
    if origin is not None and (host is None or origin.lower() != f"http://{host.lower()}"):
        return "the request comes from a web page of another site"
    if fetch_site not in (None, "none", "same-origin"):
        return "the request comes from a web page of another site"
    return None


def _is_plain(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname
        if name == "localhost":
            return True
        return name is not None and ip_address(name) is not None
    except ValueError:
        return False
