"""HTTP requests and answers on a stream, as far as the proxy has to understand them.

A request is read to the end of its head; what to do with it is decided then. One connection carries one
request: ``Connection: close`` is put into each, so that from the end of the head on a connection can be
copied without knowing how bodies are framed, and whatever a client sends later comes on a new connection.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qs

import h11

from tulle.docker.proxy.stream import Stream
from tulle.errors import UserError

LONGEST_HEAD = 1 << 16
LONGEST_BODY = 1 << 23
"""Bytes of a body that has to be understood; others have no limit."""

Headers = Sequence[tuple[bytes, bytes]]


class Malformed(UserError):
    """What somebody sent is not HTTP, or is too long; ``status`` is for the client."""


@dataclass(slots=True)
class Request:
    """A request whose head was read from a client. ``begun`` is what came with it of the body."""

    method: str
    target: str
    headers: Headers
    version: bytes
    begun: bytes
    parser: h11.Connection = field(repr=False)

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    def asked(self, name: str) -> str:
        """The first value of a name in the query; empty if there is none."""
        return parse_qs(self.target.partition("?")[2]).get(name, [""])[0]

    def head(self) -> bytes:
        """The head for the engine: as it came, except that the connection is for this request alone."""
        kept = [(name, value) for name, value in self.headers if name.lower() != b"connection"]
        upgrade = any(name.lower() == b"upgrade" for name, _ in self.headers)
        kept.append((b"Connection", b"Upgrade, close" if upgrade else b"close"))
        return _head(f"{self.method} {self.target} HTTP/".encode("latin-1") + self.version, kept)

    def with_body(self, body: bytes) -> bytes:
        """The whole request, with another body than it came with."""
        framing = (b"content-length", b"transfer-encoding", b"expect")
        kept = [(name, value) for name, value in self.headers if name.lower() not in framing]
        kept.append((b"Content-Length", str(len(body)).encode()))
        return replace(self, headers=kept).head() + body

    async def read_body(self, client: Stream) -> bytes:
        """All of the body, which this takes from the stream. Raises Malformed."""
        if self.parser.they_are_waiting_for_100_continue:
            await client.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        return await _body(self.parser, client, "request")


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer."""

    status: int
    headers: Headers
    body: bytes
    reason: bytes = b""

    def encode(self) -> bytes:
        """Its bytes, as the last answer on a connection."""
        framing = (b"connection", b"content-length", b"transfer-encoding")
        kept = [(name, value) for name, value in self.headers if name.lower() not in framing]
        if self.status >= 200 and self.status not in (204, 304):
            kept.append((b"Content-Length", str(len(self.body)).encode()))
        kept.append((b"Connection", b"close"))
        return _head(b"HTTP/1.1 %d %b" % (self.status, self.reason), kept) + self.body


async def read_request(client: Stream) -> Request | None:
    """The next request of a client; None when there is none. Raises Malformed."""
    parser = h11.Connection(h11.SERVER, max_incomplete_event_size=LONGEST_HEAD)
    event = await _next(parser, client, "request")
    if not isinstance(event, h11.Request):
        return None
    return Request(
        method=event.method.decode("latin-1"),
        target=event.target.decode("latin-1"),
        headers=event.headers.raw_items(),
        version=event.http_version,
        begun=parser.trailing_data[0],
        parser=parser,
    )


async def read_answer(engine: Stream, method: str) -> Answer:
    """The engine's answer to a request. Raises Malformed."""
    parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=LONGEST_HEAD)
    parser.send(h11.Request(method=method, target="/", headers=[("Host", "docker"), ("Connection", "close")]))
    parser.send(h11.EndOfMessage())
    while True:
        event = await _next(parser, engine, "answer")
        if isinstance(event, h11.Response):
            body = await _body(parser, engine, "answer")
            return Answer(event.status_code, event.headers.raw_items(), body, event.reason)
        if not isinstance(event, h11.InformationalResponse) or event.status_code == 101:
            raise Malformed("Docker ended the connection without an answer", 502)


def refusal(status: int, message: str) -> Answer:
    """An error as the engine itself writes it, so that clients show it as the engine's."""
    body = json.dumps({"message": message}).encode() + b"\n"
    reason = {400: b"Bad Request", 409: b"Conflict", 413: b"Request Entity Too Large", 502: b"Bad Gateway"}
    return Answer(
        status, [(b"Content-Type", b"application/json")], body, reason.get(status, b"Internal Server Error")
    )


async def _body(parser: h11.Connection, stream: Stream, what: str) -> bytes:
    parts: list[bytes] = []
    size = 0
    while isinstance(event := await _next(parser, stream, what), h11.Data):
        parts.append(bytes(event.data))
        size += len(event.data)
        if size > LONGEST_BODY:
            raise Malformed(f"this {what} is longer than {LONGEST_BODY} bytes", 413)
    if not isinstance(event, h11.EndOfMessage):
        raise Malformed(f"the {what} ended too early", 400 if what == "request" else 502)
    return b"".join(parts)


async def _next(parser: h11.Connection, stream: Stream, what: str) -> object:
    try:
        while (event := parser.next_event()) is h11.NEED_DATA:
            parser.receive_data(await stream.receive())
    except h11.RemoteProtocolError as error:
        status = error.error_status_hint if what == "request" else 502
        raise Malformed(f"this {what} is not HTTP as it should be: {error}", status) from None
    return event


def _head(first: bytes, headers: Headers) -> bytes:
    return b"\r\n".join([first, *(name + b": " + value for name, value in headers), b"", b""])
