"""How Weave Net's peers find out whether their sleeve works, and we with them.

Heartbeats go over UDP both ways, and over TCP each end says once that it has heard one: then the way from the
other end works. Then each sends test frames: one so large that it can only arrive in fragments, and others
that must arrive whole. Test frames are Ethernet headers of zeros, told apart by their length alone.
"""

from math import inf

from tulle.datapath.carrier import EARLY, CarrierState, CarrierStatus
from tulle.datapath.heartbeat import FAST, SILENCE, SLOW
from tulle.datapath.sleeve.conversation import Fails, Setup, Tell, Utterance, Works
from tulle.datapath.sleeve.orders import AimPath, Arrival, Count, Endpoint, SendMessage
from tulle.datapath.sleeve.weave_mtu import MtuSearch
from tulle.datapath.sleeve.weave_packet import ETHERNET_HEADER, UDP_OVERHEAD, datagram_size, overlay_mtu
from tulle.datapath.tables import ShortId
from tulle.instant import Instant

CONNECTION_ESTABLISHED = 1
FRAGMENTATION_RECEIVED = 2
PMTU_VERIFIED = 3

HEARTBEAT_SIZE = 22
FRAGMENTATION_TEST = 60001
DISCOVERY = 60000
"""A frame that no path takes whole; the kernel answers with what the path takes, as far as it knows."""

REVIEW = 300.0
"""Seconds until fragmentation is tested and the kernel is asked anew."""

FRAGMENTATION_RETRY = 1.0
FRAGMENTATION_TRIES = 3
"""A single lost fragment loses the test, so it is repeated, which the original does not do."""

ANSWERS_PER_SECOND = 200
"""Tests that are answered. Without a password anybody can send some."""

ENOUGH = 400
"""Datagrams; the share lost of fewer says little. Some were refused by the other end's own kernel."""

_USUAL_SIZE = 1500 - UDP_OVERHEAD
_IPV6_EXTRA = 20


def heartbeat(conn_uid: int) -> bytes:
    """The heartbeat of a connection."""
    return bytes(ETHERNET_HEADER) + conn_uid.to_bytes(8, "big")


class WeaveConversation:
    """See ``conversation.Conversation``."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._short_id = setup.short_id
        self._endpoint = setup.candidates[0] if setup.leads and setup.candidates else None
        self._heartbeat = heartbeat(setup.conn_uid)
        self._next_heartbeat = inf
        self._confirmed = False
        """The other end has said that it heard us."""
        self._heard: float | None = None
        self._hearing = False
        """Heartbeats have passed both ways, and still come."""
        self._works = self._ever = False
        self._search = MtuSearch(overlay_mtu(_USUAL_SIZE, setup.encrypted))
        self._fragments = False
        self._fragment_tries = 0
        self._next_fragment_test = self._next_discovery = inf
        self._assume_usual_at = inf
        self._answers, self._answers_since = 0, -inf
        self._count = Count(0, 0, 0, 0)
        self._aimed: AimPath | None = None
        self._utterances: list[Utterance] = []

    # What the carrier tells

    def start(self, now: Instant) -> None:
        """Whoever dialled speaks first; the other end does not know where to until it has heard."""
        if self._endpoint is not None:
            self._next_heartbeat = now.mono
        self.tick(now)

    def short_id_changed(self, short_id: ShortId | None, now: Instant) -> None:
        """See ``Conversation``."""
        self._short_id = short_id
        self.tick(now)

    def candidates(self, found: tuple[Endpoint, ...], now: Instant) -> None:
        """See ``Conversation``; where the other end was heard counts more."""
        if self._endpoint is None and self._setup.leads and found:
            self._endpoint = found[0]
            self.start(now)

    def control(self, tag: int, payload: bytes, now: Instant) -> None:
        """What the other end says of our heartbeats and tests."""
        if tag == CONNECTION_ESTABLISHED and not self._confirmed:
            self._confirmed = True
            self._next_heartbeat = now.mono + SLOW
            self._test_path(now.mono)
        elif tag == FRAGMENTATION_RECEIVED:
            self._fragments = True
            self._fragment_tries = 0
            self._next_fragment_test = now.mono + REVIEW
        elif tag == PMTU_VERIFIED and len(payload) == 2:
            self._verified(int.from_bytes(payload, "big"), now.mono)
        self.tick(now)

    def arrived(self, arrival: Arrival, now: Instant) -> None:
        """A heartbeat, or a test to be acknowledged."""
        message = arrival.message
        if message == self._heartbeat:
            self._hear(arrival.source, now.mono)
        elif len(message) != HEARTBEAT_SIZE and self._may_answer(arrival.source, now.mono):
            if len(message) == FRAGMENTATION_TEST:
                self._utterances.append(Tell(FRAGMENTATION_RECEIVED, b""))
            elif ETHERNET_HEADER <= len(message) < FRAGMENTATION_TEST:
                mtu = len(message) - ETHERNET_HEADER
                self._utterances.append(Tell(PMTU_VERIFIED, mtu.to_bytes(2, "big")))
        self.tick(now)

    def doubt(self, now: Instant) -> None:
        """See ``Conversation``. Heartbeats cannot be asked for, but tests are acknowledged at once."""
        self._search.doubt(now.mono)
        self.tick(now)

    def stand_by(self, standing_by: bool, now: Instant) -> None:
        """See ``Conversation``. The pace is Weave Net's in any case."""

    def counted(self, count: Count, now: Instant) -> None:
        """See ``Conversation``."""
        self._count = count

    def refused(self, mtu: int, now: Instant) -> None:
        """The kernel has said what it knows of the path."""
        extra = _IPV6_EXTRA if self._endpoint is not None and ":" in self._endpoint.ip else 0
        self._assume_usual_at = inf
        self._search.limit(overlay_mtu(mtu - UDP_OVERHEAD - extra, self._setup.encrypted), now.mono)
        self.tick(now)

    def tick(self, now: Instant) -> None:
        """Send what is due, and judge."""
        self._review(now.mono)
        if self._next_heartbeat <= now.mono + EARLY:
            self._next_heartbeat = now.mono + (SLOW if self._hearing else FAST)
            self._send(self._heartbeat)
        if self._hearing:
            self._tests(now.mono)
            self._review(now.mono)
        self._aim()

    def next_deadline(self) -> float:
        """See ``Conversation``."""
        if not self._hearing:
            return self._next_heartbeat
        tests = (self._next_fragment_test, self._next_discovery, self._assume_usual_at, self._search.due())
        return min(self._next_heartbeat, self._silent_at(), *tests)

    def busy_until(self) -> float:
        """Nobody asks: such paths have links, which are not given up for others."""
        return -inf

    def status(self) -> CarrierStatus:
        """See ``Conversation``."""
        encrypted = self._setup.encrypted
        if self._works:
            mtu = self._search.in_use
            path_mtu = datagram_size(mtu, encrypted) + UDP_OVERHEAD
            return CarrierStatus(
                CarrierState.ESTABLISHED, mtu, self._search.rtt, encrypted, "", path_mtu, self._loss()
            )
        state = CarrierState.LOST if self._ever else CarrierState.TRYING
        return CarrierStatus(state, None, self._search.rtt, encrypted, self._reason())

    def observed(self) -> Endpoint | None:
        """Peers of Weave Net do not say from where they see us."""
        return None

    def collect(self) -> list[Utterance]:
        """See ``Conversation``."""
        utterances, self._utterances = self._utterances, []
        return utterances

    # Heartbeats

    def _hear(self, source: Endpoint, now: float) -> None:
        first = self._heard is None or now - self._heard > SILENCE
        self._heard = now
        if source != self._endpoint:
            moved, self._endpoint = self._endpoint is not None, source
            self._next_heartbeat = now
            if moved and self._confirmed:
                self._search = MtuSearch(overlay_mtu(_USUAL_SIZE, self._setup.encrypted))
                self._test_path(now)
        if first:
            self._utterances.append(Tell(CONNECTION_ESTABLISHED, b""))

    def _silent_at(self) -> float:
        return inf if self._heard is None else self._heard + SILENCE

    def _review(self, now: float) -> None:
        hearing = self._confirmed and self._heard is not None and now < self._silent_at()
        if self._hearing and not hearing:
            self._next_heartbeat = now
        self._hearing = hearing
        works = hearing and not self._search.dead and self._short_id is not None
        if works == self._works:
            return
        self._works = works
        self._ever = self._ever or works
        self._utterances.append(Works(self._search.in_use) if works else Fails(self._reason()))

    def _loss(self) -> float | None:
        """The share that was lost on the way here; only sealed datagrams are counted by their sender."""
        if not self._setup.encrypted or self._count.expected < ENOUGH:
            return None
        return max(0.0, 1 - self._count.received / self._count.expected)

    def _reason(self) -> str:
        port = f"UDP port {self._setup.port}"
        if self._count.dropped and not self._count.received:
            return f"datagrams arrive on {port}, but none that belongs to this connection"
        if self._heard is None:
            return f"no heartbeat from the peer on {port}; a firewall between may block it"
        if not self._confirmed:
            return f"heartbeats from the peer arrive, ours do not: {port} is blocked on the way there"
        if self._short_id is None:
            return "the peer has no short id, so frames cannot be addressed to it"
        if self._hearing:
            return f"the peer does not acknowledge our test packets any more; {port} may be blocked"
        return f"no heartbeat from the peer on {port} for {SILENCE:.0f} seconds"

    # Tests

    def _test_path(self, now: float) -> None:
        """Find out about the path from the beginning."""
        self._fragments = False
        self._fragment_tries = 0
        self._next_fragment_test = self._next_discovery = now

    def _tests(self, now: float) -> None:
        if self._next_fragment_test <= now:
            self._test_fragmentation(now)
        if self._next_discovery <= now:
            self._next_discovery = now + REVIEW
            self._assume_usual_at = inf if self._search.known else now + FRAGMENTATION_RETRY
            self._send(bytes(DISCOVERY))
        if self._assume_usual_at <= now:
            self._assume_usual_at = inf
            self._search.limit(self._search.in_use, now)
        size = self._search.turn(now)
        if size is not None:
            self._send(bytes(size + ETHERNET_HEADER))

    def _test_fragmentation(self, now: float) -> None:
        """Send the test, and after some without an answer believe that fragments do not pass."""
        if self._fragment_tries == FRAGMENTATION_TRIES:
            self._fragments = False
            self._fragment_tries = 0
            self._next_fragment_test = now + REVIEW
            return
        self._fragment_tries += 1
        self._next_fragment_test = now + FRAGMENTATION_RETRY
        self._send(bytes(FRAGMENTATION_TEST), df=False)

    def _verified(self, mtu: int, now: float) -> None:
        if mtu == DISCOVERY - ETHERNET_HEADER and not self._search.known:
            self._assume_usual_at = inf
            self._search.limit(mtu, now)
        self._search.passed(mtu, now)

    def _may_answer(self, source: Endpoint, now: float) -> bool:
        """Whether to acknowledge a test: without a key only those from where the heartbeats come."""
        if not self._setup.encrypted and source != self._endpoint:
            return False
        if now >= self._answers_since + 1:
            self._answers, self._answers_since = 0, now
        self._answers += 1
        return self._answers <= ANSWERS_PER_SECOND

    # Out

    def _send(self, message: bytes, df: bool = True) -> None:
        if self._endpoint is not None:
            self._utterances.append(SendMessage(self._setup.path, self._endpoint, message, df=df))

    def _aim(self) -> None:
        """Say where frames go and how large they may be, when that has changed."""
        if self._endpoint is None:
            return
        aim = AimPath(
            path=self._setup.path,
            short_id=self._short_id if self._works else None,
            endpoint=self._endpoint,
            size=datagram_size(self._search.in_use, self._setup.encrypted),
            group=0,
            fragments=self._fragments,
            tentative=self._search.tentative,
        )
        if aim != self._aimed:
            self._aimed = aim
            self._utterances.append(aim)
