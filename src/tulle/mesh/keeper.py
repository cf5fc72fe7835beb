"""From a TCP connection to the link to a peer, and to its end.

Whether a connection becomes the link, and which of two survives, is settled here in one step: ``LinkUp`` is
emitted for the survivor after ``LinkDown`` for the one it replaces, and never for a loser. So whoever keys
state by peer cannot be overtaken by a connection that is about to die.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from random import Random

from tulle.instant import Instant
from tulle.mesh.addresses import format_address
from tulle.mesh.config import MeshConfig
from tulle.mesh.connection import FOREIGN_TRIAL_SECONDS, TRIAL_SECONDS, Link
from tulle.mesh.connector import Connector
from tulle.mesh.dialect import Enquiry, Farewell, Features, Heartbeat, Message, Session
from tulle.mesh.events import Address, CloseLink, LinkDown, LinkId, LinkUp, Log, MeshEvent
from tulle.mesh.greeting import (
    FROM,
    SEEKS,
    SEES,
    Greeting,
    Unacceptable,
    check_identity,
    common_carriers,
    features,
    read_features,
)
from tulle.mesh.links import LinkTable, Verdict, contest
from tulle.mesh.peername import PeerName, format_name
from tulle.mesh.room import dispensable
from tulle.mesh.terms import Disagreement, Term, as_features, check_terms
from tulle.mesh.topology import Topology
from tulle.mesh.troubles import RENAME, About, Troubles
from tulle.mesh.views import LinkState

SessionFactory = Callable[[bool, Mapping[str, str], bytes | None, bytes], Session]
"""(outbound, our features, password, private key of 32 bytes) to a session."""

DUPLICATE = "there is another connection to the same peer"
DISMISSED = "refused by the peer: "


class LinkKeeper:
    """Opens, introduces and closes connections; ``risen`` and ``fallen`` hear of links that come and go."""

    def __init__(
        self,
        config: MeshConfig,
        rng: Random,
        topology: Topology,
        links: LinkTable,
        connector: Connector,
        troubles: Troubles,
        session_factory: SessionFactory,
        emit: Callable[[MeshEvent], None],
        wake: Callable[[Link], None],
        risen: Callable[[Link, Instant], None],
        fallen: Callable[[Link, Instant], None],
    ) -> None:
        self._config = config
        self._rng = rng
        self._topology = topology
        self._links = links
        self._connector = connector
        self._troubles = troubles
        self._session_factory = session_factory
        self._emit = emit
        self._wake = wake
        self._risen = risen
        self._fallen = fallen
        self.terminations = 0
        self.terms: Callable[[], Sequence[Term]] = tuple
        self._wake_at = math.inf
        self._conn_ids: dict[LinkId, int] = {}

    def open(self, link_id: LinkId, remote: Address, local: Address, outbound: bool, now: Instant) -> Link:
        """A TCP connection is there: begin the handshake."""
        conn_id = self._rng.getrandbits(64)
        ours = features(self._config, self._topology.me.short_id, conn_id, remote[0])
        ours |= as_features(self.terms()) | {FROM: local[0], SEES: remote[0]}
        sought = self._connector.sought(remote) if outbound else None
        if sought is not None:
            ours[SEEKS] = format_name(sought)
        private_key = self._rng.randbytes(32)
        session = self._session_factory(outbound, ours, self._config.password, private_key)
        link = Link(link_id, remote, local, outbound, session, now)
        self._conn_ids[link_id] = conn_id
        self._links.add(link)
        self._wake_at = min(self._wake_at, link.wake)
        self._wake(link)
        return link

    def greet(self, link: Link, said: Features, now: Instant) -> None:
        """The other end told of itself. Raises BadMessage and Unacceptable."""
        theirs = read_features(said.values)
        link.greeted(theirs, self._conn_ids[link.id] ^ theirs.conn_id)
        if theirs.name == self._config.name and theirs.uid != self._config.uid:
            self._troubles.note(About.NAMES, one_name("this host", describe(link), theirs.name), now.mono)
        pursuit = self._connector.pursuit(link.remote) if link.outbound else None
        if pursuit is not None and pursuit.link is link:
            pursuit.peer = theirs.name
        check_identity(self._config, theirs)
        self._check_terms(link, said, now)
        link.carriers = common_carriers(self._config, theirs)
        link.both_trusted = theirs.trusted and self._config.trusts(link.remote[0])
        self._check_stranger(link, theirs)
        self._check_sought(link, theirs)
        self._register(link, theirs.name, now)

    def close(self, link: Link, reason: str, now: Instant) -> None:
        """We end this connection, and tell the other end why if it can read that."""
        self._emit(CloseLink(link.id, reason, self._last_words(link, reason)))
        self.ended(link, reason, now)

    def dismissed(self, link: Link, reason: str, now: Instant) -> None:
        """The other end ends this connection and says why."""
        self._emit(CloseLink(link.id, reason))
        self.ended(link, f"{DISMISSED}{reason}", now)

    def ended(self, link: Link, reason: str, now: Instant) -> None:
        """This connection is over, whoever ended it."""
        was_up = self._remove(link, reason, now)
        self._record(link, was_up, reason, now)
        peer = link.peer
        rivals = self._links.rivals(peer) if was_up and peer is not None else []
        if rivals:
            self._raise(rivals[0], now)

    def refuse(self, link: Link, refusal: Unacceptable, now: Instant) -> None:
        """We cannot be peers; a target for which that will not change is not tried again."""
        for end in (link, *self._far_end_here(link)):
            pursuit = self._connector.pursuit(end.remote) if end.outbound else None
            self.close(end, str(refusal), now)
            if refusal.for_ever and pursuit is not None:
                pursuit.give_up(str(refusal))

    def heard(self, link: Link, now: Instant) -> None:
        """A sign of life: whoever stands trial to take the place of this link is another host."""
        if link.peer is None or not link.is_up:
            return
        for rival in self._links.rivals(link.peer):
            if rival.on_trial:
                self._refuse_twin(link, rival, now)

    def vouched(self, rival: Link, now: Instant) -> None:
        """The end that dialled speaks on a rival, so to that end it is the link: the one it lost to is gone.

        A host does so that has moved to another address, and it should not have to wait.
        """
        assert rival.peer is not None
        old = self._links.up.get(rival.peer)
        if old is not None and old.heard < rival.opened:
            self._replace(old, rival, now)

    def doubt(self, link: Link, now: Instant) -> None:
        """No frames get through any more: perhaps the peer is gone, or has moved and its link is a memory."""
        if link.greeting is not None and link.greeting.tells_all:
            link.doubt(now)
            self._wake_at = min(self._wake_at, link.wake)
            self._wake(link)

    def tick(self, now: Instant) -> None:
        """Heartbeats, and connections that waited too long."""
        if now.mono < self._wake_at:
            return
        for link in list(self._links.all.values()):
            if now.mono < link.wake or link.id not in self._links.all:
                continue
            if link.overdue(now):
                self._expire(link, now)
            else:
                link.tick(now)
                self._wake(link)
        self._wake_at = min((link.wake for link in self._links.all.values()), default=math.inf)

    def next_deadline(self) -> float:
        """When ``tick`` must be called next, perhaps for nothing: bytes that arrive put deadlines off."""
        return self._wake_at

    # -- registration ------------------------------------------------------------------------------------

    def _check_terms(self, link: Link, said: Features, now: Instant) -> None:
        try:
            check_terms(self.terms(), said.values)
        except Disagreement as disagreement:
            self._troubles.note(About.TERMS, f"{describe(link)}: {disagreement}", now.mono)
            raise

    def _check_stranger(self, link: Link, theirs: Greeting) -> None:
        if not link.outbound or self._connector.is_configured(link.remote):
            return
        if self._connector.vouch(theirs.name, link.remote):
            return
        known = self._topology.peers.get(theirs.name)
        if known is None:
            raise Unacceptable(
                f"the address was heard of, but {format_name(theirs.name)} there is not a known peer"
            )

    def _check_sought(self, link: Link, theirs: Greeting) -> None:
        """A dial that finds somebody else must not take the place of the link to that peer.

        Private addresses are heard of that belong to one host at one site and to another at ours.
        """
        sought = self._connector.sought(link.remote) if link.outbound else theirs.seeks
        found = theirs.name if link.outbound else self._config.name
        if sought not in (None, found) and theirs.name in self._links.fresh:
            raise Unacceptable(f"{format_name(found)} is there, not the peer that was looked for")

    def _register(self, link: Link, peer: PeerName, now: Instant) -> None:
        old = self._links.up.get(peer)
        if old is None:
            self._raise(link, now)
            return
        verdict = contest(old, link)
        if verdict is Verdict.NEW:
            self._replace(old, link, now)
        elif verdict is Verdict.NEITHER:
            self.close(old, DUPLICATE, now)
            self.close(link, DUPLICATE, now)
        elif verdict is Verdict.DISPUTED:
            native = old.greeting is not None and old.greeting.tells_all
            link.stand_trial(now, TRIAL_SECONDS if native else FOREIGN_TRIAL_SECONDS)
            self._await(link, old, Enquiry() if native else Heartbeat())
        elif link.outbound:
            self.close(link, DUPLICATE, now)
        else:
            link.stand_by(now)
            self._await(link, old, Heartbeat())

    def _await(self, rival: Link, old: Link, probe: Message) -> None:
        """Find out whether the link is alive that ``rival`` would replace."""
        self._links.stand_by(rival)
        self._wake_at = min(self._wake_at, rival.wake)
        old.queue.add_message(probe)
        self._wake(old)

    def _refuse_twin(self, old: Link, twin: Link, now: Instant) -> None:
        """Both are alive: two hosts have one name, and who came first stays."""
        assert twin.peer is not None
        text = one_name(describe(old), describe(twin), twin.peer)
        self._troubles.note(About.NAMES, text, now.mono)
        self._emit(Log("warning", text))
        pursuit = self._connector.pursuit(twin.remote) if twin.outbound else None
        self.refuse(twin, Unacceptable(text), now)
        if pursuit is not None:
            pursuit.peer = None

    def _far_end_here(self, link: Link) -> list[Link]:
        """The other end of a connection that leads to ourselves, known by the number that we gave it."""
        greeting = link.greeting
        if greeting is None or (greeting.name, greeting.uid) != (self._config.name, self._config.uid):
            return []
        ours = [number for number, conn_id in self._conn_ids.items() if conn_id == greeting.conn_id]
        return [self._links.all[number] for number in ours if number != link.id]

    def _replace(self, old: Link, new: Link, now: Instant) -> None:
        self._emit(CloseLink(old.id, DUPLICATE))
        self._remove(old, DUPLICATE, now)
        self._record(old, False, DUPLICATE, now)
        self._raise(new, now)

    def _raise(self, link: Link, now: Instant) -> None:
        assert link.greeting is not None
        if not self._make_room(link.greeting.name, now):
            self.close(link, self._no_room, now)
            return
        link.rise(now)
        self._wake_at = min(self._wake_at, link.wake)
        self._links.raise_up(link)
        self._emit(
            LinkUp(
                link=link.id,
                peer=link.greeting.name,
                remote_ip=link.remote[0],
                local_ip=link.local[0],
                outbound=link.outbound,
                conn_uid=link.conn_uid,
                carriers=link.carriers,
                session_key=link.session.session_key,
                both_trusted=link.both_trusted,
                native=link.greeting.tells_all,
                remote_port=link.remote[1],
                translated=link.greeting.is_translated(link.local[0], link.remote[0]),
            )
        )
        self._emit(Log("info", f"{describe(link)}: connected"))
        self._connector.met(link, now)
        self._risen(link, now)

    @property
    def _no_room(self) -> str:
        return f"the limit of connections is reached (--conn-limit {self._config.conn_limit})"

    def _make_room(self, newcomer: PeerName, now: Instant) -> bool:
        """Whether there is room for one more link; for a peer without any other way to us we make some."""
        if len(self._links.up) >= self._config.conn_limit:
            spare = dispensable(self._topology, self._links, newcomer)
            if spare is not None:
                self.close(spare, self._no_room, now)
        return len(self._links.up) < self._config.conn_limit

    # -- the end -----------------------------------------------------------------------------------------

    def _expire(self, link: Link, now: Instant) -> None:
        if link.state is LinkState.GREETING:
            self.close(link, "the handshake took too long", now)
        elif link.state is LinkState.RIVAL:
            self._settle(link, now)
        else:
            self.close(link, f"nothing was heard for {now.mono - link.heard:.0f} s", now)

    def _settle(self, rival: Link, now: Instant) -> None:
        """The other end left this rival open: if the link it lost to is silent, only we believe in that."""
        assert rival.peer is not None
        old = self._links.up.get(rival.peer)
        if old is None:
            self._raise(rival, now)
        elif old.heard > rival.opened and not rival.on_trial:
            self.close(rival, DUPLICATE, now)
        else:
            self._replace(old, rival, now)

    def _remove(self, link: Link, reason: str, now: Instant) -> bool:
        was_up = self._links.remove(link)
        self._conn_ids.pop(link.id, None)
        if was_up and link.peer is not None:
            self.terminations += 1
            self._emit(LinkDown(link.id, link.peer, reason))
            self._fallen(link, now)
        if reason != DUPLICATE:
            self._emit(Log("info", f"{describe(link)}: {reason}"))
        return was_up

    def _last_words(self, link: Link, reason: str) -> bytes:
        greeting = link.greeting
        if greeting is None or not greeting.tells_all or reason == DUPLICATE:
            return b""
        return link.queue.take_raw() + link.session.encode(Farewell(reason))

    def _record(self, link: Link, was_up: bool, reason: str, now: Instant) -> None:
        """Tell the target what became of its connection."""
        self._connector.disturb(now)
        pursuit = self._connector.pursuit(link.remote) if link.outbound else None
        if pursuit is None or pursuit.link is not link:
            return
        if reason == DUPLICATE:
            pursuit.superseded(self._rng, now.mono)
        elif was_up:
            pursuit.lost(reason, link.up_since, self._rng, now.mono)
        else:
            pursuit.failed(reason, self._rng, now.mono)


def one_name(first: str, second: str, name: PeerName) -> str:
    """What to tell both hosts that have the same name."""
    return f"{first} and {second} have one name, {format_name(name)}: {RENAME}"


def describe(link: Link) -> str:
    """``->192.0.2.7:6783 (02:00:00:00:00:01, host-a)`` for log lines."""
    arrow = "->" if link.outbound else "<-"
    who = f" ({format_name(link.greeting.name)}, {link.greeting.nickname})" if link.greeting else ""
    return f"{arrow}{format_address(link.remote)}{who}"
