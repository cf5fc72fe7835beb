"""Requests for addresses, answered at once from owned space or kept until they can be."""

from ipaddress import IPv4Interface, IPv4Network

from tulle.errors import UserError
from tulle.instant import Instant
from tulle.ipam.asking import Asking
from tulle.ipam.config import host_range
from tulle.ipam.directory import Directory
from tulle.ipam.journal import Journal
from tulle.ipam.requests import Allocate, Claim, Prime, Request
from tulle.ipam.territory import Territory


def check_subnet(subnet: IPv4Network, universe: IPv4Network) -> None:
    """Raise UserError unless addresses can be allocated in the subnet."""
    if not subnet.subnet_of(universe):
        raise UserError(
            f"subnet {subnet} is not inside the address range {universe}; choose one inside it, or give the"
            " container an address of its own (ADDRESS/LENGTH)"
        )
    if host_range(subnet).size < 1:
        raise UserError(f"subnet {subnet} has no addresses for containers; use a /30 or a shorter prefix")


class Fulfilment:
    """Requests by ticket. Answers go to the journal."""

    def __init__(self, territory: Territory, asking: Asking, journal: Journal, directory: Directory) -> None:
        self._territory, self._asking = territory, asking
        self._journal, self._directory = journal, directory
        self.waiting: dict[int, Request] = {}
        self._closed: UserError | None = None

    def add(self, ticket: int, request: Request, now: Instant) -> None:
        """Answer the request, or keep it."""
        if self._closed is not None:
            self._journal.refuse(ticket, self._closed)
        elif not self._try(ticket, request, now):
            self.waiting[ticket] = request
            self._explain(request)

    @property
    def in_use(self) -> frozenset[int]:
        """Addresses that containers here have already and are still being claimed for them."""
        claims = (request for request in self.waiting.values() if isinstance(request, Claim))
        return frozenset(int(claim.interface) for claim in claims if claim.in_use)

    def cancel(self, ticket: int) -> None:
        """Drop a request without an answer."""
        self.waiting.pop(ticket, None)

    def close(self, reason: UserError) -> None:
        """This peer leaves: refuse everything from now on."""
        self._closed = reason
        for ticket in self.waiting:
            self._journal.refuse(ticket, reason)
        self.waiting.clear()

    def retry(self, now: Instant) -> None:
        """Something changed: see which requests can be answered now, the oldest first."""
        for ticket, request in list(self.waiting.items()):
            if self._try(ticket, request, now):
                del self.waiting[ticket]

    def _try(self, ticket: int, request: Request, now: Instant) -> bool:
        match request:
            case Allocate():
                return self._allocate(ticket, request, now)
            case Claim():
                return self._claim(ticket, request, now)
            case Prime():
                if self._territory.divided:
                    self._journal.answer(ticket, None)
                return self._territory.divided

    def _ready(self, now: Instant) -> bool:
        return self._territory.divided and self._territory.settling.settled(now)

    def _explain(self, request: Request) -> None:
        """A request that waits for peers which may never come back must not wait in silence."""
        if isinstance(request, Prime):
            return
        away = self._asking.waits_for(request.wanted, self._territory.ring)
        if away:
            names = ", ".join(map(self._directory.label, away))
            self._journal.log(
                "warning",
                f"{request} waits: the addresses it needs belong to {names}, out of reach now. If a host is"
                " gone for good, 'tulle rmpeer' takes its addresses over",
            )

    def _allocate(self, ticket: int, request: Allocate, now: Instant) -> bool:
        held = self._territory.holdings.of(request.ident, request.subnet)
        if held:
            self._journal.answer(ticket, held[0])
            return True
        if not self._ready(now):
            return False
        address = self._territory.space.first_free(request.wanted)
        if address is not None:
            interface = IPv4Interface((address, request.subnet.prefixlen))
            return self._give(ticket, request, interface)
        if self._asking.pursue(request.wanted, self._territory.ring, now):
            return False
        self._journal.refuse(ticket, self._exhausted(request))
        return True

    def _claim(self, ticket: int, request: Claim, now: Instant) -> bool:
        address = int(request.interface)
        holder = self._territory.holdings.holder(address)
        if holder is not None and holder != request.ident:
            self._journal.refuse(ticket, _taken(request, holder))
            return True
        if holder is None and address in self._territory.universe:
            if not self._ready(now):
                return False
            if not self._territory.space.owns(address):
                return self._claim_elsewhere(ticket, request, now)
        return self._give(ticket, request, request.interface)

    def _give(self, ticket: int, request: Allocate | Claim, interface: IPv4Interface) -> bool:
        self._territory.hold(request.ident, interface)
        self._asking.got(request.wanted)
        self._journal.answer(ticket, interface)
        return True

    def _claim_elsewhere(self, ticket: int, request: Claim, now: Instant) -> bool:
        if self._asking.pursue(request.wanted, self._territory.ring, now):
            return False
        owner = self._territory.owner(int(request.interface))
        label = self._directory.label(owner) if owner is not None else "nobody"
        what = f"unable to claim {request.interface} for {request.ident}"
        self._journal.refuse(ticket, UserError(f"{what}: it is in use, and owned by other peer {label}", 409))
        return True

    def _exhausted(self, request: Allocate) -> UserError:
        ring, me = self._territory.ring, self._territory.me
        owners = ", ".join(
            "this host" if peer == me else self._directory.label(peer)
            for peer in sorted(ring.free_by_owner(request.wanted))
        )
        return UserError(
            f"no address is free in {request.subnet}: all {request.wanted.size} are in use on {owners};"
            " remove containers that are not needed, or use another subnet",
            409,
        )


def _taken(request: Claim, holder: str) -> UserError:
    return UserError(
        f"unable to claim {request.interface} for {request.ident}: {holder} on this host has the address", 409
    )
