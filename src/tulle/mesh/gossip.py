"""The rules by which state and messages travel from peer to peer.

Gossip is merged, and what was new of it goes on to some random neighbours. A broadcast is merged and goes on
along the tree of its source. A unicast goes on unread to the next hop. Now and then each peer sends its
complete state to some neighbours, or a digest of it, which mends whatever was lost.
"""

import math
from collections.abc import Callable
from random import Random

from tulle.errors import BadMessage, Incompatible
from tulle.instant import Instant
from tulle.mesh import comparing, reconciliation
from tulle.mesh.channel import NO_KEYS, Broadcast, Channel, Gossip, Keys, Outgoing
from tulle.mesh.connection import Link
from tulle.mesh.dialect import BroadcastMessage, GossipMessage, Message, UnicastMessage
from tulle.mesh.events import Log, MeshEvent
from tulle.mesh.links import LinkTable
from tulle.mesh.neighbours import random_neighbours
from tulle.mesh.peername import PeerName, format_name
from tulle.mesh.reconciliation import Reconciliation
from tulle.mesh.routes import Routes
from tulle.mesh.sendqueue import StatePart
from tulle.mesh.surrogate import Surrogate
from tulle.mesh.troubles import About, Troubles

PERIOD_SECONDS = 30.0
PERIOD_BYTES = 32 * 1024
"""What one period's complete state of a channel may cost; it always goes to one neighbour at least."""

LULL_SECONDS = 2.0
"""A broadcast may miss somebody while the topology changes. So long after it last did, peers of our kind
compare what they have: by then news that came with a new link is old enough for differences to count.
"""

MAX_PAYLOAD = 10 * 1024 * 1024 - 1024
MAX_SURROGATES = 16
MAX_CHANNEL_NAME = 64


class GossipRouter:
    """All channels but the topology: what arrives, what follows from it, and what leaves."""

    def __init__(
        self,
        me: PeerName,
        routes: Routes,
        links: LinkTable,
        troubles: Troubles,
        rng: Random,
        emit: Callable[[MeshEvent], None],
        wake: Callable[[Link], None],
        announce: Callable[[Link, PeerName], None],
    ) -> None:
        self._me = me
        self._routes = routes
        self._links = links
        self._troubles = troubles
        self._rng = rng
        self._emit = emit
        self._wake = wake
        self._announce = announce
        self._channels: dict[str, Channel] = {}
        self._surrogates: dict[str, Surrogate] = {}
        self._reconciliation = Reconciliation(me, self._channels, links, wake)
        self._sizes: dict[str, int] = {}
        self._period_at: float | None = None
        self._compare_at = math.inf

    @property
    def channel_names(self) -> list[str]:
        """The channels this peer has."""
        return list(self._channels)

    def add_channel(self, channel: Channel) -> None:
        """Carry this channel's state from now on. Raises ValueError if there is one of that name."""
        if channel.name in self._channels:
            raise ValueError(f"there is a channel {channel.name} already")
        self._channels[channel.name] = channel

    # -- arriving ----------------------------------------------------------------------------------------

    def gossip(self, link: Link, message: GossipMessage, now: Instant) -> None:
        """State from a neighbour, or a digest of it. Raises BadMessage."""
        if message.channel == reconciliation.CHANNEL:
            self._reconciliation.hear(link, message.payload, now)
            return
        channel = self._channel(message.channel)
        if channel is None or link.peer is None:
            return
        merged = channel.merge(link.session.dialect, message.payload, link.peer, False, now)
        if merged.fresh:
            self._reconciliation.news(channel.name, now)
            self._gossip_some(channel.name, merged.fresh, skip=link.peer)

    def broadcast(self, link: Link, message: BroadcastMessage, now: Instant) -> None:
        """State from some peer, on its way to all. Raises BadMessage if that peer is the neighbour itself."""
        channel = self._channel(message.channel)
        if channel is None or message.src == self._me:
            return
        try:
            merged = channel.merge(link.session.dialect, message.payload, message.src, True, now)
        except BadMessage as error:
            self._blame(link, message, error, now)
            return
        if merged.fresh:
            self._reconciliation.news(channel.name, now)
        if merged.received:
            self._broadcast(channel.name, message.src, merged.received, skip=link.peer)

    def unicast(self, link: Link, message: UnicastMessage, now: Instant) -> None:
        """A message for us or for another peer. Raises BadMessage if the neighbour itself is its source."""
        if message.dst != self._me:
            self._forward(message, came_from=link.peer)
            return
        channel = self._channel(message.channel)
        if channel is None:
            return
        try:
            channel.receive(link.session.dialect, message.payload, message.src, now)
        except BadMessage as error:
            self._blame(link, message, error, now)

    # -- leaving -----------------------------------------------------------------------------------------

    def drain(self) -> None:
        """Queue what the channels want said."""
        for channel in self._channels.values():
            if channel.outbox:
                outgoing = list(channel.outbox)
                channel.outbox.clear()
                for item in outgoing:
                    self._send(channel.name, item)

    def encode(self, link: Link, part: StatePart, now: Instant) -> list[Message]:
        """The messages that carry this part of a channel's state, as it is now."""
        if part.channel == reconciliation.CHANNEL:
            return [*self._reconciliation.encode(part.keys or NO_KEYS, now)]
        channel = self._channels.get(part.channel) or self._surrogates[part.channel]
        if part.keys is None:
            payloads = channel.encode_all(link.session.dialect, now)
            self._sizes[part.channel] = sum(map(len, payloads))
        else:
            payloads = channel.encode_some(link.session.dialect, part.keys, now)
        return [self._message(part, payload) for payload in payloads if self._fits(part, payload)]

    # -- time --------------------------------------------------------------------------------------------

    def next_deadline(self) -> float:
        """When ``tick`` must be called next."""
        return -math.inf if self._period_at is None else min(self._period_at, self._compare_at)

    def unsettled(self, now: Instant) -> None:
        """The topology has changed."""
        self._compare_at = now.mono + LULL_SECONDS
        self._reconciliation.resume()

    def tick(self, now: Instant, also: str) -> None:
        """Once in a while send complete states; ``also`` is the topology's channel, encoded elsewhere.

        Of the topology those of our kind get a digest; see ``comparing``.
        """
        if self._period_at is None:
            self._period_at = now.mono + PERIOD_SECONDS * (0.5 + self._rng.random())
        if now.mono >= self._compare_at:
            self._compare_at = math.inf
            for name in self._channels:
                self._reconciliation.ask(name, self._some(), now)
        if now.mono < self._period_at:
            return
        self._period_at = now.mono + PERIOD_SECONDS * (0.9 + 0.2 * self._rng.random())
        alike = self._links.alike()
        for neighbour in sorted(alike.intersection(self._some())):
            self._links.up[neighbour].queue.add_gossip(comparing.CHANNEL, NO_KEYS)
            self._wake(self._links.up[neighbour])
        self._tell_all(also, [neighbour for neighbour in self._some() if neighbour not in alike])
        for name in self._channels:
            self._tell_all(name, self._reconciliation.ask(name, self._some(), now))

    def _some(self) -> list[PeerName]:
        chosen = random_neighbours(self._routes, self._rng, self._links.up.keys())
        self._rng.shuffle(chosen)
        return chosen

    def _tell_all(self, channel: str, neighbours: list[PeerName]) -> None:
        """Queue the complete state of a channel for as many of these as we can afford."""
        affordable = max(1, PERIOD_BYTES // max(1, self._sizes.get(channel, 1)))
        for neighbour in neighbours[:affordable]:
            link = self._links.up[neighbour]
            link.queue.add_full(channel)
            self._wake(link)

    def note_size(self, channel: str, size: int) -> None:
        """The complete state of a channel that is encoded elsewhere takes so many bytes."""
        self._sizes[channel] = size

    # -- inside ------------------------------------------------------------------------------------------

    def _channel(self, name: str) -> Channel | None:
        channel = self._channels.get(name) or self._surrogates.get(name)
        if channel is None and len(self._surrogates) < MAX_SURROGATES and len(name) <= MAX_CHANNEL_NAME:
            channel = self._surrogates[name] = Surrogate(name)
        return channel

    def _send(self, channel: str, item: Outgoing) -> None:
        if isinstance(item, Broadcast):
            self._broadcast(channel, self._me, item.keys, skip=None)
        elif isinstance(item, Gossip):
            self._gossip_some(channel, item.keys, skip=None)
        else:
            self._forward(UnicastMessage(channel, self._me, item.dst, item.payload), came_from=None)

    def _gossip_some(self, channel: str, keys: Keys, skip: PeerName | None) -> None:
        for neighbour in random_neighbours(self._routes, self._rng, self._links.up.keys(), skip):
            link = self._links.up[neighbour]
            link.queue.add_gossip(channel, keys)
            self._wake(link)

    def _broadcast(self, channel: str, source: PeerName, keys: Keys, skip: PeerName | None) -> None:
        for neighbour in self._routes.broadcast_all(source):
            link = self._links.up.get(neighbour)
            if link is not None and neighbour != skip:
                self._announce(link, source)
                link.queue.add_broadcast(channel, source, keys)
                self._wake(link)

    def _forward(self, message: UnicastMessage, came_from: PeerName | None) -> None:
        hop = self._routes.unicast_all.get(message.dst)
        link = self._links.up.get(hop) if hop is not None else None
        if link is None or hop == came_from:
            self._emit(
                Log("debug", f"no way to {format_name(message.dst)} for a message on {message.channel}")
            )
        elif link.queue.add_message(message):
            self._wake(link)
        else:
            self._emit(
                Log("debug", f"too many messages wait for {format_name(message.dst)}; one was dropped")
            )

    def _blame(
        self, link: Link, message: BroadcastMessage | UnicastMessage, error: BadMessage, now: Instant
    ) -> None:
        """A neighbour answers for what it says itself, not for what it passes on for others."""
        if message.src == link.peer:
            raise error
        if isinstance(error, Incompatible):
            self._troubles.note(About.TERMS, str(error), now.mono)
        self._emit(
            Log(
                "warning",
                f"a bad message from {format_name(message.src)} on {message.channel} was dropped: {error}",
            )
        )

    def _message(self, part: StatePart, payload: bytes) -> Message:
        if part.source is None:
            return GossipMessage(part.channel, self._me, payload)
        return BroadcastMessage(part.channel, part.source, payload)

    def _fits(self, part: StatePart, payload: bytes) -> bool:
        if len(payload) <= MAX_PAYLOAD:
            return True
        self._emit(
            Log("error", f"the state of {part.channel} is too large to be sent ({len(payload)} bytes)")
        )
        return False
