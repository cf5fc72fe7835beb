"""Whether a daemon that the mesh has lost still runs: asked at its own door before what it has is given away.

A host that is off and one that is cut off look alike from here. But a machine that answers "nobody listens"
is neither: its daemon is gone, and if it comes back it hears at once what became of its addresses.
"""

import asyncio
import contextlib
from enum import Enum, auto

from tulle.errors import UserError
from tulle.mesh.addresses import format_address
from tulle.mesh.events import Address

PATIENCE = 3.0
"""Seconds to wait for an answer."""


class Door(Enum):
    """What came of knocking."""

    OPEN = auto()
    CLOSED = auto()
    SILENT = auto()


async def knock(address: Address) -> Door:
    """Try to connect there."""
    try:
        async with asyncio.timeout(PATIENCE):
            _, writer = await asyncio.open_connection(*address)
    except ConnectionRefusedError:
        return Door.CLOSED
    except OSError:
        return Door.SILENT
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return Door.OPEN


def objection(who: str, address: Address | None, door: Door) -> UserError | None:
    """Why its addresses must not be taken unless somebody forces it; None if nothing speaks against it."""
    force = (
        "If you know that it is gone for good, repeat with --force; if it runs, addresses go out twice then"
    )
    if address is None:
        return UserError(
            f"it is not known where {who} was, so it cannot be asked whether it runs. {force}", 409
        )
    where = format_address(address)
    if door is Door.SILENT:
        return UserError(
            f"neither {who} nor its machine answers at {where}: it may be off, or run and be cut off from"
            f" here. {force}",
            409,
        )
    if door is Door.OPEN:
        return UserError(
            f"{who} answers at {where}: it runs, though the mesh does not reach it. Run 'tulle reset' there,"
            f" or see what 'tulle status connections' says. {force}",
            409,
        )
    return None
