"""The daemon's process: flags in on standard input, one line out if it cannot begin."""

import asyncio
import json
import logging
import os
import sys
from logging.handlers import RotatingFileHandler
from typing import Any

from tulle.daemon.options import LaunchOptions, parse_options
from tulle.errors import StorageError, UserError
from tulle.host.direct import DirectLoop

LOG_BYTES, LOG_FILES = 10_000_000, 3
FORMAT = "%(asctime)s %(levelname)s %(message)s"


def main() -> int:
    """Run a daemon to its end. Exit status 2: flags that cannot be used; 1: it could not begin."""
    try:
        order: dict[str, Any] = json.load(sys.stdin)
        background, flags = bool(order["background"]), order["flags"]
    except (ValueError, KeyError, TypeError):
        return _fail("this is the daemon itself; start it with 'tulle launch'", 2)
    try:
        options = parse_options(flags)
    except UserError as error:
        return _fail(str(error), 2)
    _set_up_logging(options, background)
    for chatty in ("asyncio", "aiohttp"):  # at debug level they report every odd request with a traceback
        logging.getLogger(chatty).setLevel(max(logging.INFO, logging.getLogger().level))
    try:
        with asyncio.Runner(loop_factory=DirectLoop) as runner:
            runner.run(_run(options, background))
    except (UserError, StorageError) as error:
        logging.getLogger("tulle").error("%s", error)
        return _fail(str(error), 1) if background else 1
    except Exception:
        logging.getLogger("tulle").exception("the daemon ends because of a mistake in it")
        return _fail("the daemon failed; its log says how", 1) if background else 1
    return 0


def _set_up_logging(options: LaunchOptions, background: bool) -> None:
    """In the background into a file that cannot fill the disk, otherwise to stderr."""
    handler: logging.Handler = (
        RotatingFileHandler(options.log_path, maxBytes=LOG_BYTES, backupCount=LOG_FILES)
        if background
        else logging.StreamHandler(sys.stderr)
    )
    logging.raiseExceptions = False  # a full disk must not turn each line that is lost into a traceback
    logging.basicConfig(handlers=[handler], level=options.log_level.upper(), format=FORMAT)


async def _run(options: LaunchOptions, background: bool) -> None:
    from tulle.daemon.life import live

    ready = asyncio.Event()
    life = asyncio.ensure_future(live(options, ready))
    waiting = asyncio.ensure_future(ready.wait())
    await asyncio.wait({life, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if background and not life.done():
        _let_go()
    await life


def _let_go() -> None:
    """Whoever started us waits no longer: keep nothing of theirs open."""
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1):
        os.dup2(null, stream)
    os.close(null)


def _fail(text: str, status: int) -> int:
    print(text, flush=True)
    return status
