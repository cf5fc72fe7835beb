"""A daemon process for the command line to start: the real API with a fake daemon behind it.

Told what to do like the real one: by arguments and standard input. The nickname says how it behaves:
``cannot`` ends at once with a reason, ``silent`` ends without one.
"""

import asyncio
import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from api.fake_daemon import FakeDaemon

from tulle.api.server import ApiServer
from tulle.daemon.options import parse_options


class EndingDaemon(FakeDaemon):
    """Ends when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.ending = asyncio.Event()

    async def stop(self) -> None:
        await super().stop()
        self.ending.set()

    async def reset(self, force: bool) -> None:
        await super().reset(force)
        self.ending.set()


async def serve(socket: str) -> None:
    daemon = EndingDaemon()
    server = ApiServer(daemon, socket)
    await server.start()
    await daemon.ending.wait()
    await server.stop()


def main() -> int:
    document = json.load(sys.stdin)
    options = parse_options(document["flags"])
    if options.nickname == "cannot":
        print("cannot listen on port 6783: another program has it", flush=True)
        return 1
    if options.nickname == "silent":
        return 3
    secret = "TULLE_PASSWORD" in os.environ
    seen = {"password": options.password, "secret": secret, "background": document["background"]}
    print(json.dumps(seen), file=sys.stderr, flush=True)
    asyncio.run(serve(sys.argv[1]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
