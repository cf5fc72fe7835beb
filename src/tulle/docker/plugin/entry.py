"""What runs first in a managed plugin: settings become flags, and the kernel's settings writable.

Docker knows a setting that nobody has set as an empty one, which here means: leave it at its default.
"""

import ctypes
import os
import sys
from collections.abc import Mapping

MULTICAST = "TULLE_MULTICAST"
_MS_REMOUNT, _MS_BIND = 32, 4096


def main() -> None:
    """Become the daemon."""
    make_settings_writable("/proc/sys")
    environment = settings(os.environ)
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
