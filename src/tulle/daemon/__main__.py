"""``python -m tulle.daemon``: a daemon process, told what to do on standard input (cli.background)."""

import json
import os
import sys
from typing import Any

from tulle.errors import StorageError, UserError


def main() -> int:
    """Read the flags, run the daemon to its end, and return the exit status."""
    document = _read_flags()
    if document is None:
        print("tulle.daemon: this is started by `tulle launch`, not by hand", file=sys.stderr)
        return 2
    sys.path[:] = [os.path.abspath(place) for place in sys.path]
    os.chdir("/")
    try:
        from tulle.daemon.main import run
        from tulle.daemon.options import parse_options

        run(parse_options(document["flags"]))
    except (UserError, StorageError, OSError) as error:
        _tell(" ".join(str(error).split()), document["background"])
        return 1
    return 0


def _read_flags() -> dict[str, Any] | None:
    if sys.stdin is None or sys.stdin.isatty():
        return None
    try:
        document = json.load(sys.stdin)
    except ValueError:
        return None
    finally:
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)
    return document if isinstance(document, dict) and {"flags", "background"} <= document.keys() else None


def _tell(text: str, background: bool) -> None:
    """Into the log, and to whoever started us in the background and still listens."""
    print(f"tulle: {text}", file=sys.stderr)
    if background:
        try:
            print(text, flush=True)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


if __name__ == "__main__":
    sys.exit(main())
