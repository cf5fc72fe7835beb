"""Two peers arrange to meet: they exchange keys and addresses over the mesh, then both send at once.

A NAT lets in what answers to something that was sent. So if both ends send to each other at the same time,
each opens its own NAT for the other. The end with the lower name leads: it makes an *offer*, the other
*answers*, the leader says *go* and waits for as long as that takes to arrive; then both try all addresses of
the other (the sleeve does that, told by ``Introduce``). What does not succeed is tried again, ever more
patiently, and soon when either end learns of new addresses of its own, or when a path that worked is lost.

Whoever speaks here comes over the mesh, but may be any peer's voice and lie. So an offer costs a bounded
amount of work, attempts with one peer keep a distance, and at most ``MAX_SHORTCUTS`` are under way or in use.
If more are wanted, those go first to whom frames go: they get the place of one that is idle.
"""

import math
from collections.abc import Mapping, Set
from dataclasses import dataclass
from random import Random

from tulle.datapath.sleeve.orders import Endpoint, NativePath
from tulle.instant import Instant
from tulle.mesh.channel import NO_KEYS, Keys, Merged, Outgoing, Unicast
from tulle.mesh.peername import PeerName
from tulle.mesh.ratelimit import TokenBucket
from tulle.node.rendezvous.agreement import End, agree, public_key
from tulle.node.rendezvous.candidates import Whereabouts
from tulle.node.rendezvous.encounter import (
    IDLE_SECONDS,
    PAUSE_SECONDS,
    Agreed,
    Encounter,
    EncounterView,
    Path,
    Talk,
)
from tulle.node.rendezvous.messages import KEY_SIZE, Answer, Go, Message, Nudge, Offer, Origin, decode, encode

CHANNEL = "tulle-rendezvous"
MAX_SHORTCUTS = 128

CROWDED = f"there are {MAX_SHORTCUTS} shortcuts already"

SETTLE_SECONDS = 1.5
"""A peer that has just come up is dialled first; if that succeeds nothing is to be arranged."""

PENDING_SECONDS = 10.0
"""The same for a peer to which there is a link by which no frames pass just now: mostly that mends itself."""

ANSWER_SECONDS = 5.0
TRY_SECONDS = 6.0
LONGEST_LEAD = 1.0
"""How long the leader waits after its "go", at most."""

STABLE_SECONDS = 30.0
"""A path that lasted this long was a success, and is sought again at once when it is lost."""

_BURST, _PER_SECOND = 20, 10


@dataclass(frozen=True, slots=True)
class Introduce:
    """Send to all these endpoints from now on, until one works; in place of any earlier path to the peer."""

    peer: PeerName
    path: NativePath
    endpoints: tuple[Endpoint, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """Give up the path to this peer."""

    peer: PeerName


class Rendezvous:
    """The channel and the state of all encounters. ``rng`` makes keys."""

    name = CHANNEL

    def __init__(self, me: PeerName, password: bytes | None, whereabouts: Whereabouts, rng: Random) -> None:
        self.outbox: list[Outgoing] = []
        self._me = me
        self._password = password
        self._whereabouts = whereabouts
        self._rng = rng
        self._encounters: dict[PeerName, Encounter] = {}
        self._events: list[Introduce | Part] = []
        self._pace = TokenBucket(_BURST, _PER_SECOND)
        self._deadline: float | None = math.inf
        """What ``next_deadline`` says; None when it is to be found out anew. Peers may be very many."""

    # -- the channel: messages only, no state that all share --------------------------------------------

    def encode_all(self, dialect: str, now: Instant) -> list[bytes]:
        """Nothing."""
        return []

    def encode_some(self, dialect: str, keys: Keys, now: Instant) -> list[bytes]:
        """Nothing."""
        return []

    def merge(self, dialect: str, payload: bytes, sender: PeerName, broadcast: bool, now: Instant) -> Merged:
        """Nobody has anything to say to all; what a newer peer might is not ours to judge."""
        return Merged(NO_KEYS, NO_KEYS)

    def receive(self, dialect: str, payload: bytes, src: PeerName, now: Instant) -> None:
        """A message from a peer. Raises BadMessage."""
        message = decode(payload)
        encounter = self._encounters.get(src)
        if message is None or encounter is None:
            return
        self._deadline = None
        match message:
            case Offer():
                self._offered(encounter, message, now.mono)
            case Answer():
                self._answered(encounter, message, now.mono)
            case Go(attempt):
                if encounter.talk is Talk.ANSWERED and encounter.attempt == attempt:
                    self._begin(encounter, now.mono)
            case Nudge():
                if encounter.leads and encounter.path not in (Path.TRYING, Path.MET):
                    encounter.hurry(now.mono)

    # -- told by the node ----------------------------------------------------------------------------------

    def want(
        self, reachable: Set[PeerName], linked: Set[PeerName], pending: Set[PeerName], now: Instant
    ) -> None:
        """Whom the mesh reaches, and who of them needs no shortcut because there is a link that works.

        ``pending`` are those with a link that does not work, or not yet. A shortcut that works is kept when
        the mesh loses its peer: perhaps all that both knew was a host that is being restarted.
        """
        self._deadline = None
        wanted = reachable - linked
        for peer, encounter in list(self._encounters.items()):
            encounter.reachable = peer in wanted
            if not encounter.reachable and (peer in linked or encounter.path is not Path.MET):
                self._leave(self._encounters.pop(peer))
            elif encounter.pending and peer not in pending and not encounter.tries:
                self._settle(encounter, False, now.mono)
        for peer in sorted(wanted - self._encounters.keys()):
            self._encounters[peer] = Encounter(peer, self._me < peer)
            self._settle(self._encounters[peer], peer in pending, now.mono)

    def moved(self, now: Instant) -> None:
        """Our own addresses are others than before: what was hopeless may be possible now."""
        self._deadline = None
        for encounter in self._encounters.values():
            encounter.backoff.reset()
            if encounter.path in (Path.NONE, Path.LOST):
                encounter.hurry(now.mono)

    def met(self, peer: PeerName, now: Instant) -> None:
        """The path to this peer works (again)."""
        self._deadline = None
        encounter = self._encounters.get(peer)
        if encounter is not None:
            encounter.path, encounter.patience = Path.MET, math.inf
            encounter.met_at, encounter.due, encounter.reason = now.mono, math.inf, ""
            encounter.silence()

    def parted(self, peer: PeerName, reason: str, now: Instant) -> None:
        """It works no longer. The sleeve goes on trying until there is another."""
        self._deadline = None
        encounter = self._encounters.get(peer)
        if encounter is None or encounter.path is not Path.MET:
            return
        if not encounter.reachable:
            self._leave(self._encounters.pop(peer))
            return
        encounter.path, encounter.reason = Path.LOST, reason
        if now.mono - encounter.met_at >= STABLE_SECONDS:
            encounter.backoff.reset()
            encounter.hurry(now.mono)
        else:
            encounter.due = now.mono + encounter.backoff.wait(self._rng, cheap=True)

    def flowed(self, relayed: Set[PeerName], direct: Mapping[PeerName, float], now: Instant) -> None:
        """Frames go to these peers over relays now, and went to those by shortcuts, at these times."""
        for peer, at in {**direct, **dict.fromkeys(relayed, now.mono)}.items():
            encounter = self._encounters.get(peer)
            if encounter is None:
                continue
            encounter.flowed_at = at
            if encounter.crowded_out and encounter.leads and peer in relayed:
                encounter.crowded_out = False
                encounter.hurry(now.mono)
                self._deadline = None

    def local_endpoints(self, peer: PeerName) -> frozenset[Endpoint]:
        """Where this peer is in its own network, as it says."""
        encounter = self._encounters.get(peer)
        return encounter.local if encounter is not None else frozenset()

    def views(self) -> list[EncounterView]:
        """How it stands with each peer without a direct link."""
        return [encounter.view() for _, encounter in sorted(self._encounters.items())]

    def collect(self) -> list[Introduce | Part]:
        """What is to be done, in order."""
        events, self._events = self._events, []
        return events

    # -- time ----------------------------------------------------------------------------------------------

    def next_deadline(self) -> float:
        """When ``tick`` has something to do."""
        if self._deadline is None:
            self._deadline = min((one.deadline for one in self._encounters.values()), default=math.inf)
        return self._deadline

    def tick(self, now: Instant) -> None:
        """Do what is due."""
        if now.mono < self.next_deadline():
            return
        self._deadline = None
        for encounter in self._encounters.values():
            if encounter.deadline <= now.mono:
                self._turn(encounter, now.mono)

    def _turn(self, encounter: Encounter, mono: float) -> None:
        if encounter.until <= mono:
            if encounter.talk is Talk.STARTING:
                self._begin(encounter, mono)
            else:
                self._gave_up_waiting(encounter, mono)
        if encounter.patience <= mono:
            encounter.path, encounter.patience = Path.NONE, math.inf
            self._events.append(Part(encounter.peer))
            self._rest(encounter, "no packets get through: a NAT or firewall at either end forbids it", mono)
        if encounter.due <= mono:
            self._speak(encounter, mono)

    def _speak(self, encounter: Encounter, mono: float) -> None:
        """Make an offer, or ask for one."""
        encounter.due = math.inf
        if not self._pace.take(mono):
            encounter.due = self._pace.ready_at(mono)
        elif not encounter.leads:
            self._say(encounter, Nudge(), mono)
        elif not self._has_room(encounter, mono):
            encounter.crowded_out = True
            self._rest(encounter, CROWDED, mono)
        else:
            encounter.talk, encounter.until = Talk.OFFERED, mono + ANSWER_SECONDS
            encounter.attempt = self._rng.getrandbits(64)
            encounter.private = self._rng.randbytes(KEY_SIZE)
            encounter.tries += 1
            own = self._whereabouts.candidates()
            self._say(encounter, Offer(encounter.attempt, public_key(encounter.private), own), mono)

    # -- the talk ------------------------------------------------------------------------------------------

    def _offered(self, encounter: Encounter, offer: Offer, mono: float) -> None:
        hasty = mono < encounter.heard_at + PAUSE_SECONDS
        if encounter.leads or hasty or not self._pace.take(mono) or not self._has_room(encounter, mono):
            return
        encounter.silence()
        encounter.heard_at = mono
        encounter.attempt = offer.attempt
        encounter.private = self._rng.randbytes(KEY_SIZE)
        self._agree(encounter, offer)
        encounter.talk, encounter.until = Talk.ANSWERED, mono + ANSWER_SECONDS
        encounter.tries += 1
        own = self._whereabouts.candidates()
        self._say(encounter, Answer(offer.attempt, public_key(encounter.private), own), mono)

    def _answered(self, encounter: Encounter, answer: Answer, mono: float) -> None:
        if encounter.talk is not Talk.OFFERED or encounter.attempt != answer.attempt:
            return
        self._agree(encounter, answer)
        lead = min((mono - encounter.said_at) / 2, LONGEST_LEAD)
        encounter.talk, encounter.until = Talk.STARTING, mono + lead
        self._say(encounter, Go(encounter.attempt), mono)

    def _agree(self, encounter: Encounter, theirs: Offer | Answer) -> None:
        """Keys and addresses of the attempt. Raises BadMessage."""
        me = End(self._me, public_key(encounter.private))
        path = agree(encounter.private, me, End(encounter.peer, theirs.key), self._password)
        told = self._whereabouts.believable(theirs.candidates)
        encounter.local = frozenset(one.endpoint for one in told if one.origin is Origin.LOCAL)
        encounter.agreed = Agreed(path, tuple(dict.fromkeys(one.endpoint for one in told)))

    def _begin(self, encounter: Encounter, mono: float) -> None:
        """Both ends send now."""
        agreed = encounter.agreed
        assert agreed is not None
        encounter.silence()
        encounter.due = math.inf
        encounter.path, encounter.patience = Path.TRYING, mono + TRY_SECONDS
        encounter.reason = "both ends try"
        self._events.append(Introduce(encounter.peer, agreed.path, agreed.endpoints))

    def _gave_up_waiting(self, encounter: Encounter, mono: float) -> None:
        encounter.silence()
        if encounter.path is not Path.MET:
            self._rest(encounter, "the peer does not answer offers", mono)

    def _rest(self, encounter: Encounter, reason: str, mono: float) -> None:
        """Nothing came of it: the leader tries again later."""
        encounter.reason = reason
        encounter.due = mono + encounter.backoff.wait(self._rng, cheap=False) if encounter.leads else math.inf

    def _settle(self, encounter: Encounter, pending: bool, mono: float) -> None:
        """Wait a little before the first offer."""
        encounter.pending = pending
        pause = PENDING_SECONDS if pending else SETTLE_SECONDS
        begin = mono + pause * (0.5 + self._rng.random())
        encounter.said_at = begin - PAUSE_SECONDS
        encounter.due = begin if encounter.leads else math.inf

    def _leave(self, encounter: Encounter) -> None:
        if encounter.path is not Path.NONE:
            self._events.append(Part(encounter.peer))

    def _has_room(self, encounter: Encounter, mono: float) -> bool:
        """Whether there may be a shortcut to this peer. If frames go to it, an idle one makes room."""
        others = [other for other in self._encounters.values() if other is not encounter]
        if sum(other.is_under_way for other in others) < MAX_SHORTCUTS:
            return True
        idle = [other for other in others if other.is_idle(mono)]
        if not idle or mono - encounter.flowed_at > IDLE_SECONDS:
            return False
        self._give_up(min(idle, key=lambda other: (other.flowed_at, other.peer)), mono)
        return True

    def _give_up(self, encounter: Encounter, mono: float) -> None:
        """Its place is needed for another."""
        encounter.silence()
        encounter.path, encounter.met_at, encounter.crowded_out = Path.NONE, math.inf, True
        self._events.append(Part(encounter.peer))
        self._rest(encounter, CROWDED, mono)

    def _say(self, encounter: Encounter, message: Message, mono: float) -> None:
        encounter.said_at = mono
        self.outbox.append(Unicast(encounter.peer, encode(message)))
