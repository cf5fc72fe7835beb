"""The root file system of the lab's containers: one static busybox, with a link for each of its applets."""

import functools
import io
import subprocess
import tarfile
import tempfile
from pathlib import Path

BUSYBOX = Path("/usr/bin/busybox")
_DIRECTORIES = ("bin", "etc", "root", "tmp", "var")


@functools.cache
def image_archive() -> Path:
    """A tar archive for ``docker import``, made once in the life of this process and removed at its end."""
    archive = tempfile.NamedTemporaryFile(prefix="tulle-lab-image-", suffix=".tar")  # noqa: SIM115
    with tarfile.open(archive.name, "w") as tar:
        for name in _DIRECTORIES:
            tar.addfile(_entry(name, tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755))
        tar.add(BUSYBOX, "bin/busybox")
        for applet in subprocess.run(
            [BUSYBOX, "--list"], capture_output=True, text=True, check=True
        ).stdout.split():
            if applet != "busybox":
                link = _entry(f"bin/{applet}", tarfile.SYMTYPE, 0o777)
                link.linkname = "busybox"
                tar.addfile(link)
        for name, text in (("passwd", "root:x:0:0:root:/root:/bin/sh\n"), ("group", "root:x:0:\n")):
            file = _entry(f"etc/{name}", tarfile.REGTYPE, 0o644)
            file.size = len(text)
            tar.addfile(file, io.BytesIO(text.encode()))
    _kept.append(archive)
    return Path(archive.name)


_kept: list[object] = []
"""Temporary files that must not be removed before the process ends."""


def _entry(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type = kind
    entry.mode = mode
    return entry
