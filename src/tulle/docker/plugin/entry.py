"""What runs first in a managed plugin: settings become flags, and the kernel's settings writable.

Docker knows a setting that nobody has set as an empty one, which here means: leave it at its default. And it
gives a plugin ten seconds to have its socket: so that is made here, and handed to the daemon as by systemd.
"""

import ctypes
import os
import sys
from collections.abc import Mapping

from tulle.api.sockets import listen_unix

SOCKET = "/run/docker/plugins/tulle.sock"
"""Inside of the plugin; config.json names it to Docker."""

HANDED_OVER, FIRST_FILE = "LISTEN_FDS", 3
"""The variable that says how many listening sockets a process has got, and the number of the first."""

MULTICAST = "TULLE_MULTICAST"
_MS_REMOUNT, _MS_BIND = 32, 4096


def main() -> None:
    """Become the daemon."""
    make_settings_writable("/proc/sys")
    listener = listen_unix(SOCKET)
    os.dup2(listener.fileno(), FIRST_FILE)
    os.set_inheritable(FIRST_FILE, True)  # dup2 leaves it as it is where both numbers are the same
    environment = settings(os.environ) | {HANDED_OVER: "1"}
    start = [sys.executable, "-c", "import sys; from tulle.cli.main import main; sys.exit(main())"]
    os.execve(sys.executable, [*start, *arguments(environment)], dict(environment))


def settings(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without the settings that nobody has set."""
    return {name: value for name, value in environment.items() if value or not name.startswith("TULLE_")}


def arguments(environment: Mapping[str, str]) -> list[str]:
    """The command line that these settings mean."""
    multicast = environment.get(MULTICAST, "true").lower() not in ("0", "false", "no", "off")
    return [
        "launch",
        "--foreground",
        "--plugin-v2",
        "--no-proxy",
        "--no-dns",
        *([] if multicast else ["--no-multicast-route"]),
    ]


def make_settings_writable(path: str) -> None:
    """Docker makes them read-only for plugins too, whose business they are. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(None, path.encode(), None, _MS_REMOUNT | _MS_BIND, None) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{path} cannot be made writable: {os.strerror(code)}")


if __name__ == "__main__":
    main()
