"""What this machine can do, found out by trying it once."""

import functools
import os
import shutil
import subprocess

import pytest

KERNEL_LACKS = "this kernel lacks "
_PROGRAMS = ("ip", "tc", "nft", "ping")


@functools.cache
def missing() -> str:
    """Why tests with network namespaces cannot run here, or an empty string when they can."""
    if os.geteuid() != 0:
        return "needs root, for network namespaces"
    absent = [program for program in _PROGRAMS if shutil.which(program) is None]
    if absent:
        return f"needs {', '.join(absent)} (scripts/setup test installs them)"
    name = f"probe-{os.getpid()}"
    added = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if added.returncode != 0:
        return f"cannot make network namespaces here: {added.stderr.strip()}"
    subprocess.run(["ip", "netns", "delete", name], check=True)
    return ""


@functools.cache
def has_link_kind(kind: str, *options: str) -> bool:
    """Whether the kernel can make a network device of this kind ("vxlan", "wireguard", ...)."""
    name = f"probe-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        command = ["ip", "-n", name, "link", "add", "probe0", "type", kind, *options]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)


def require_link_kind(kind: str, *options: str) -> None:
    """Skip the calling test when the kernel cannot make such a device; the one skip that CI accepts."""
    if not has_link_kind(kind, *options):
        pytest.skip(f"{KERNEL_LACKS}network devices of type {kind}")
