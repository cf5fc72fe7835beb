"""Running ``nft``: JSON commands in, one transaction each time; JSON lists out."""

import asyncio
import json
import shutil
import subprocess
from collections.abc import Sequence
from typing import Any

from tulle.errors import UserError

Command = dict[str, Any]
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_LIMIT = 30
"""Seconds after which a run that does not end is given up."""


class NftRefused(Exception):
    """``nft`` did not do what it was told; the text is its own first line."""


def find_nft() -> str:
    """The path of the program. Raises UserError if it is not installed."""
    path = shutil.which("nft", path=_PATH)
    if path is None:
        raise UserError(
            "nft is not installed, and without it the host's ports cannot be guarded; install the package"
            " nftables",
            503,
        )
    return path


async def apply(commands: Sequence[Command]) -> None:
    """Have all commands done, or none. Raises NftRefused, or UserError if there is no nft."""
    await asyncio.to_thread(apply_here, commands)


def apply_here(commands: Sequence[Command]) -> None:
    """As ``apply``, in the namespace of the calling thread, which waits for it."""
    _run(["-f", "-"], json.dumps({"nftables": list(commands)}))


async def list_table(family: str, name: str) -> list[Command] | None:
    """What is in a table, as nft's JSON objects, or None if there is no such table."""
    try:
        listed = await asyncio.to_thread(_run, ["list", "table", family, name], "")
    except NftRefused as error:
        if "No such file or directory" in str(error):
            return None
        raise
    return list(json.loads(listed)["nftables"])


async def list_chain(family: str, table: str, name: str) -> list[Command]:
    """What is in a chain, as nft's JSON objects. Raises NftRefused if there is no such chain."""
    listed = await asyncio.to_thread(_run, ["list", "chain", family, table, name], "")
    return list(json.loads(listed)["nftables"])


async def list_chains() -> list[Command]:
    """Every chain there is, as nft's JSON objects."""
    return list(json.loads(await asyncio.to_thread(_run, ["list", "chains"], ""))["nftables"])


def _run(arguments: Sequence[str], text: str) -> str:
    try:
        done = subprocess.run(
            [find_nft(), "-j", *arguments],
            input=text,
            capture_output=True,
            text=True,
            timeout=_LIMIT,
            env={"PATH": _PATH, "LC_ALL": "C"},
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NftRefused(f"nft did not end within {_LIMIT} s") from None
    if done.returncode != 0:
        raise NftRefused(_first_line(done.stderr))
    return done.stdout


def _first_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[0] if lines else "nft failed and said nothing"
