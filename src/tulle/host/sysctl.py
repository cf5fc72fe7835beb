"""Kernel settings of the network namespace of the calling thread."""

from collections.abc import Mapping
from pathlib import Path

from tulle.errors import UserError

_ROOT = Path("/proc/sys/net")


def read(name: str) -> str | None:
    """The value of a setting below ``net`` (``ipv4/ip_forward``), or None where the kernel lacks it."""
    try:
        return (_ROOT / name).read_text().strip()
    except FileNotFoundError:
        return None


def trigger(name: str) -> None:
    """Have the kernel do what writing to this setting means. Raises UserError if it refuses."""
    try:
        (_ROOT / name).write_text("1")
    except OSError as error:
        raise UserError(f"the kernel setting net/{name} could not be used: {error.strerror}", 500) from error


def write(settings: Mapping[str, str]) -> None:
    """Set what the kernel has of ``settings`` and is not so yet; what it lacks (no IPv6, say) is left out.

    Raises UserError if a value is refused, as on a read-only /proc/sys.
    """
    for name, value in settings.items():
        if read(name) in (None, value):
            continue
        try:
            (_ROOT / name).write_text(value)
        except OSError as error:
            raise UserError(
                f"the kernel setting net/{name} could not be set to {value}: {error.strerror}; /proc/sys must"
                " be writable for the daemon",
                500,
            ) from error
