"""What this machine can do, found out by trying it once."""

import functools
import os
import shutil
import subprocess

_PROGRAMS = ("ip", "tc", "nft", "nsenter", "unshare", "ping")


@functools.cache
def missing() -> str:
    """Why a lab of network namespaces cannot be made here, or an empty string when it can."""
    if os.geteuid() != 0:
        return "needs root, for network namespaces"
    absent = [program for program in _PROGRAMS if shutil.which(program) is None]
    if absent:
        return f"needs the programs {', '.join(absent)}, which scripts/setup installs"
    name = _probe_name()
    added = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if added.returncode != 0:
        return f"cannot make network namespaces here: {added.stderr.strip()}"
    subprocess.run(["ip", "netns", "delete", name], check=True)
    return ""


@functools.cache
def has_link_kind(kind: str, *options: str) -> bool:
    """Whether the kernel can make a network device of this kind ("vxlan", "wireguard", ...)."""
    name = _probe_name()
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        command = ["ip", "-n", name, "link", "add", "probe0", "type", kind, *options]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)


def _probe_name() -> str:
    return f"probe-{os.getpid()}"
