"""How requests are answered: one line of text for people, JSON for programs, never a traceback."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web

from tulle.api.daemon import RequestCancelled
from tulle.errors import StorageError, UserError

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def text(content: str, status: int = 200) -> web.Response:
    """A plain text answer."""
    return web.Response(text=content, status=status)


def done() -> web.Response:
    """Success with nothing to say."""
    return web.Response(status=204)


def as_json(value: Any) -> web.Response:
    """A JSON answer of anything that msgspec encodes."""
    return web.Response(body=msgspec.json.encode(value), content_type="application/json")


def refusal(content: str, status: int) -> web.Response:
    """An error: always exactly one line."""
    return text(one_line(content) + "\n", status)


def one_line(content: str) -> str:
    """The text with line breaks and control characters turned into spaces."""
    return " ".join("".join(char if char.isprintable() else " " for char in content).split())


@web.middleware
async def errors_in_one_line(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turns whatever a handler raises into one line and a fitting status."""
    try:
        return await handler(request)
    except asyncio.CancelledError:
        raise
    except RequestCancelled:
        return text("cancelled")
    except UserError as error:
        return refusal(str(error), error.status)
    except StorageError as error:
        log.error("%s %s: %s", request.method, request.path, error)
        return refusal(f"nothing was changed, as the state could not be written: {error}", 507)
    except web.HTTPException as error:
        return _http_error(request, error)
    except Exception:
        log.exception("%s %s failed", request.method, request.path)
        return refusal("internal error, see the log", 500)


def _http_error(request: web.Request, error: web.HTTPException) -> web.Response:
    path = request.path[:200]
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        return refusal(f"{request.method} does not apply to {path}; use {allowed}", 405)
    if error.status == 404:
        return refusal(f"there is nothing at {path}", 404)
    return refusal(error.reason, error.status)
