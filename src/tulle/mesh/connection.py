"""One TCP connection, from its first byte to its end, without I/O.

    GREETING --features--> RIVAL or PENDING <--set_established--> ESTABLISHED
        |                    |         |                               |
        +--------------------+---------+--------> closed <-------------+

GREETING: the handshake, for ten seconds at most. PENDING: the one link to its peer; gossip flows, and its
carriers try to. ESTABLISHED: frames flow too. RIVAL: the handshake went well, but there is a better
connection to the same peer. The dialling end of a rival closes it. The accepting end waits a moment: if the
better connection is only a memory of ours (a cut that just one end has noticed), the dialling end knows
nothing of it and leaves the rival open; then the rival takes its place.

A rival from another process than the link, though under the same name, is *on trial*: it becomes the link if
that process is no more, and is refused if it still lives.
"""

import math

from tulle.errors import BadMessage
from tulle.instant import Instant
from tulle.mesh.dialect import Enquiry, Features, Heartbeat, Message, Session
from tulle.mesh.events import Address, LinkId
from tulle.mesh.greeting import Greeting
from tulle.mesh.peername import PeerName
from tulle.mesh.sendqueue import SendQueue
from tulle.mesh.views import LinkState, LinkView

HANDSHAKE_SECONDS = 10.0
HEARTBEAT_SECONDS = 30.0
SILENCE_SECONDS = 60.0
DOUBT_SECONDS = 6.0
"""How long a peer may take to answer when no frames get through to it either."""

RIVAL_SECONDS = 5.0
TRIAL_SECONDS = 3.0
"""How long a peer of our kind may take to answer whether it is there."""

FOREIGN_TRIAL_SECONDS = HEARTBEAT_SECONDS + RIVAL_SECONDS
"""The same for one of another kind, which does not answer, but says something with every heartbeat."""

MAX_ASIDE = 2048
MAX_ASIDE_BYTES = 4 * 1024 * 1024
"""What a connection on trial may say in the meantime."""


class Link:
    """The state of one connection. What follows from it for others is up to ``LinkTable`` and ``Mesh``."""

    def __init__(
        self, link: LinkId, remote: Address, local: Address, outbound: bool, session: Session, now: Instant
    ) -> None:
        self.id = link
        self.remote = remote
        self.local = local
        self.outbound = outbound
        self.session = session
        self.state = LinkState.GREETING
        self.queue = SendQueue()
        self.greeting: Greeting | None = None
        self.conn_uid = 0
        self.carriers: tuple[str, ...] = ()
        self.both_trusted = False
        self.opened = now.mono
        self.up_since = math.inf
        self.on_trial = False
        self.stale = False
        """Our end's address is not ours any more, so nothing will arrive; kept until there is another."""
        self._aside: list[Message] = []
        self._aside_bytes = 0
        self._heard = now.mono
        self._deadline = now.mono + HANDSHAKE_SECONDS
        self._heartbeat = math.inf
        self._bytes_in = 0
        self._bytes_out = 0
        self.queue.add_raw(session.start())

    @property
    def peer(self) -> PeerName | None:
        """Who is at the other end, as far as it said."""
        return self.greeting.name if self.greeting else None

    @property
    def is_up(self) -> bool:
        """Whether this is the link to its peer."""
        return self.state in (LinkState.PENDING, LinkState.ESTABLISHED)

    @property
    def heard(self) -> float:
        """When the other end last sent anything."""
        return self._heard

    @property
    def wake(self) -> float:
        """When ``tick`` must be called next."""
        return min(self._deadline, self._heartbeat)

    def receive(self, data: bytes, now: Instant) -> list[Features | Message]:
        """Bytes from the other end. Raises BadMessage."""
        self._bytes_in += len(data)
        self._heard = now.mono
        if self.is_up:
            self._deadline = now.mono + SILENCE_SECONDS
        arrived = self.session.receive(data)
        self.queue.add_raw(self.session.data_to_send())
        return arrived

    def greeted(self, greeting: Greeting, conn_uid: int) -> None:
        """The other end said who it is."""
        self.greeting = greeting
        self.conn_uid = conn_uid

    def rise(self, now: Instant) -> None:
        """This is the link to its peer from now on."""
        self.state = LinkState.PENDING
        self.on_trial = False
        self.up_since = now.mono
        self._deadline = now.mono + SILENCE_SECONDS
        self._heartbeat = now.mono + HEARTBEAT_SECONDS

    def stand_by(self, now: Instant) -> None:
        """There is a better connection, or so we believe: wait what the other end does with this one."""
        self.state = LinkState.RIVAL
        self._deadline = now.mono + RIVAL_SECONDS

    def stand_trial(self, now: Instant, seconds: float) -> None:
        """Another process has the link to the peer of this name: wait whether it lives."""
        self.state = LinkState.RIVAL
        self.on_trial = True
        self._deadline = now.mono + seconds

    def put_aside(self, message: Features | Message) -> None:
        """Keep what is said on trial. Raises BadMessage when that is too much."""
        assert not isinstance(message, Features)
        self._aside.append(message)
        self._aside_bytes += len(getattr(message, "payload", b""))
        if len(self._aside) > MAX_ASIDE or self._aside_bytes > MAX_ASIDE_BYTES:
            raise BadMessage("there is another connection under this name, and this one says too much")

    def take_aside(self) -> list[Message]:
        """What was said on trial, to be heard now."""
        aside, self._aside = self._aside, []
        return aside

    def establish(self, established: bool) -> None:
        """Frames pass, or no longer do."""
        self.state = LinkState.ESTABLISHED if established else LinkState.PENDING

    def doubt(self, now: Instant) -> None:
        """Ask the other end whether it is there, and do not wait long."""
        self._deadline = min(self._deadline, now.mono + DOUBT_SECONDS)
        self.queue.add_message(Enquiry())

    def tick(self, now: Instant) -> None:
        """Send a heartbeat if it is time."""
        if now.mono >= self._heartbeat:
            self._heartbeat = now.mono + HEARTBEAT_SECONDS
            self.queue.add_message(Heartbeat())

    def overdue(self, now: Instant) -> bool:
        """Whether we waited long enough in this state."""
        return now.mono >= self._deadline

    def count_sent(self, size: int) -> None:
        """So many bytes were handed to the socket."""
        self._bytes_out += size

    def view(self) -> LinkView:
        """A picture of this connection."""
        greeting = self.greeting
        return LinkView(
            link=self.id,
            state=self.state,
            remote=self.remote,
            local=self.local,
            outbound=self.outbound,
            peer=greeting.name if greeting else None,
            nickname=greeting.nickname if greeting else "",
            conn_uid=self.conn_uid,
            carriers=self.carriers,
            encrypted=self.session.session_key is not None,
            both_trusted=self.both_trusted,
            opened=self.opened,
            last_heard=self._heard,
            bytes_in=self._bytes_in,
            bytes_out=self._bytes_out,
        )
