"""The old iptables, where it is in use: a second packet filter in the kernel, which nft does not show.

Where its FORWARD chain drops by default, as Docker makes it do, and the kernel shows bridged packets to the
IP layer, containers do not reach each other. So what concerns the bridge is accepted at its head, as in the
chains of ``tulle.host.foreign``. Only its own program can speak to it; who has filled it has that program.
"""

import asyncio
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tulle.host.admitted import FIRST_WORD, MARK, Admitted
from tulle.host.marks import ROUTED, STRANGE
from tulle.host.nft import NftRefused

_TABLES_IN_USE = Path("/proc/thread-self/net/ip_tables_names")
_PROGRAM = "iptables-legacy"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PATIENCE = 10
"""Seconds to wait for others who are changing the tables."""

Rule = tuple[str, ...]


async def admit(admitted: Admitted) -> None:
    """Have it accepted, in the right place. Raises NftRefused."""
    await asyncio.to_thread(_change, accepts(admitted))


async def withdraw() -> None:
    """Take our accepts out again. Raises NftRefused."""
    await asyncio.to_thread(_change, [])


def accepts(admitted: Admitted) -> list[Rule]:
    """The rules, the way that the program lists them."""
    bridge, networks = admitted.bridge, admitted.exposed
    rules = [("-i", bridge, "-o", bridge, *_end(f"within {bridge}"))]
    if networks:
        rules.append(("-i", bridge, "-m", "mark", "!", "--mark", hex(STRANGE), *_end(f"out of {bridge}")))
    rules += [("-d", str(network), "-o", bridge, *_end(f"into {network}")) for network in networks]
    if admitted.routed:
        rules.append(("-i", bridge, *_marked(ROUTED), *_end(f"outward of {bridge}")))
        rules.append(("-o", bridge, *_marked(ROUTED), *_end(f"homeward of {bridge}")))
    return rules


def changes(listed: str, wanted: Sequence[Rule]) -> list[Rule]:
    """What to tell the program after it has listed the chain: nothing where all stands in its place.

    Where the chain does not drop by default, there is no place for it.
    """
    words = [tuple(shlex.split(line)) for line in listed.splitlines()]
    there = [rule[2:] for rule in words if rule[:2] == ("-A", "FORWARD")]
    ours = [rule for rule in there if _is_ours(rule)]
    if ("-P", "FORWARD", "DROP") not in words:
        wanted = []
    start = max((number for number, rule in enumerate(there, 1) if FIRST_WORD in rule), default=0)
    if there[start : start + len(wanted)] == ours == list(wanted):
        return []
    others_before = sum(not _is_ours(rule) for rule in there[:start])
    return [
        *(("-D", "FORWARD", *rule) for rule in ours),
        *(("-I", "FORWARD", str(others_before + 1), *rule) for rule in reversed(wanted)),
    ]


def _marked(mark: int) -> Rule:
    return ("-m", "mark", "--mark", hex(mark))


def _end(what: str) -> Rule:
    return ("-m", "comment", "--comment", MARK + what, "-j", "ACCEPT")


def _is_ours(rule: Rule) -> bool:
    return any(word.startswith(MARK) for word in rule)


def _change(wanted: Sequence[Rule]) -> None:
    program = shutil.which(_PROGRAM, path=_PATH)
    if program is None or not _in_use():
        return
    for change in changes(_run(program, "-S", "FORWARD"), wanted):
        _run(program, *change)


def _in_use() -> bool:
    """Whether anybody has used the old filter table here; asking the program would itself make one."""
    try:
        return "filter" in _TABLES_IN_USE.read_text().split()
    except OSError:
        return False


def _run(program: str, *arguments: str) -> str:
    command = [program, "-w", str(_PATIENCE), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=2 * _PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NftRefused(f"{_PROGRAM} does not answer: {error}") from error
    if done.returncode:
        raise NftRefused(f"{_PROGRAM}: {done.stderr.strip()}")
    return done.stdout
