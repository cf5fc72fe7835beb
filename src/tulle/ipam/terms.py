"""What the hosts of one network must have in common for addresses to stay unique.

Two hosts with different ranges, or whose ranges were divided independently, would hand out the same
addresses; their rings can never be merged. So they are kept apart from the handshake on.
"""

from hashlib import blake2b
from ipaddress import IPv4Address, summarize_address_range

from tulle.ipam.ring import Range, Ring
from tulle.mesh.terms import Term

RANGE_FEATURE = "AddressRange"
DIVISION_FEATURE = "AddressDivision"

OTHER_RANGE = (
    "its address range is {theirs} but ours is {ours}: the two hosts were started with different ranges;"
    " restart the wrong one with the same --ipalloc-range as the others"
)
OTHER_DIVISION = (
    "its address range was divided separately from ours (different seeds): two clusters that each started on"
    " their own have met; run 'tulle reset' on the hosts of one of them, then launch those again as peers of"
    " the other"
)


def terms(ring: Ring) -> tuple[Term, ...]:
    """The range, and once it is divided, by whom that was done."""
    ours = written(ring.range)
    of_range = Term(RANGE_FEATURE, ours, OTHER_RANGE.replace("{ours}", ours))
    if not ring.seeds:
        return (of_range,)
    return of_range, Term(DIVISION_FEATURE, _digest(ring), OTHER_DIVISION)


def other_range(mine: Range, theirs: Range) -> str:
    """What to say of a ring that divides another range."""
    return OTHER_RANGE.replace("{theirs}", written(theirs)).replace("{ours}", written(mine))


def written(piece: Range) -> str:
    """A range as operators write it: ``10.32.0.0/12`` where that can be."""
    networks = list(summarize_address_range(IPv4Address(piece.start), IPv4Address(piece.end - 1)))
    return str(networks[0] if len(networks) == 1 else piece)


def _digest(ring: Ring) -> str:
    """Stands for the peers that the range was first divided among."""
    names = b"".join(seed.to_bytes(6, "big") for seed in ring.seeds)
    return blake2b(names, digest_size=8).hexdigest()
