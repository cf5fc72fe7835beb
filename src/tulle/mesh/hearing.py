"""What arrives on a connection, brought to whom it concerns.

What a connection says while somebody with the same name is on trial (see ``LinkKeeper``) is put aside, and
heard when it has become the link.
"""

from collections.abc import Callable, Iterable

from tulle.errors import BadMessage, Incompatible
from tulle.instant import Instant
from tulle.mesh import comparing, descriptions
from tulle.mesh.appetite import Appetite
from tulle.mesh.connection import Link
from tulle.mesh.dialect import (
    BroadcastMessage,
    Control,
    Enquiry,
    Farewell,
    Features,
    GossipMessage,
    Heartbeat,
    Message,
    UnicastMessage,
)
from tulle.mesh.events import CarrierControl, MeshEvent
from tulle.mesh.gossip import GossipRouter
from tulle.mesh.greeting import Unacceptable, shown
from tulle.mesh.keeper import LinkKeeper
from tulle.mesh.links import LinkTable
from tulle.mesh.neighbourhood import Neighbourhood
from tulle.mesh.topology_gossip import CHANNEL
from tulle.mesh.troubles import About, Troubles
from tulle.mesh.views import LinkState

MAX_REASON = 500
"""Characters of another end's farewell that are shown."""


class Hearing:
    """Reads connections and passes on what they say; closes those that say what must not be."""

    def __init__(
        self,
        links: LinkTable,
        keeper: LinkKeeper,
        neighbourhood: Neighbourhood,
        gossip: GossipRouter,
        troubles: Troubles,
        emit: Callable[[MeshEvent], None],
        wake: Callable[[Link], None],
    ) -> None:
        self._links = links
        self._keeper = keeper
        self._appetite = Appetite()
        self._neighbourhood = neighbourhood
        self._gossip = gossip
        self._troubles = troubles
        self._emit = emit
        self._wake = wake

    def received(self, link: Link, data: bytes, now: Instant) -> None:
        """Bytes arrived."""
        try:
            arrived = link.receive(data, now)
        except BadMessage as error:
            self._keeper.close(link, str(error), now)
            return
        self._keeper.heard(link, now)
        self._hear(link, arrived, now)

    def catch_up(self, now: Instant) -> None:
        """Hear what was put aside on connections that have become links since."""
        for link in self._links.caught_up():
            self._hear(link, link.take_aside(), now)

    def _hear(self, link: Link, items: Iterable[Features | Message], now: Instant) -> None:
        try:
            for item in items:
                if link.id not in self._links.all:
                    return
                if link.on_trial and not isinstance(item, Heartbeat | Enquiry | Farewell):
                    link.put_aside(item)
                else:
                    self._handle(link, item, now)
        except BadMessage as error:
            if isinstance(error, Incompatible):
                self._troubles.note(About.TERMS, str(error), now.mono)
            self._keeper.close(link, str(error), now)
        except Unacceptable as refusal:
            self._keeper.refuse(link, refusal, now)
        else:
            if link.queue:
                self._wake(link)

    def _handle(self, link: Link, item: Features | Message, now: Instant) -> None:
        if link.state is LinkState.RIVAL and not link.on_trial and not isinstance(item, Farewell):
            self._keeper.vouched(link, now)
        if isinstance(item, GossipMessage | BroadcastMessage | UnicastMessage):
            self._appetite.spend(link.remote[0], len(item.payload), now.mono)
        match item:
            case Features():
                self._keeper.greet(link, item, now)
            case GossipMessage(channel) | BroadcastMessage(channel) if channel == CHANNEL:
                self._neighbourhood.hear(link, item.payload, False, now)
            case GossipMessage(channel) if channel == descriptions.CHANNEL:
                self._neighbourhood.hear(link, item.payload, True, now)
            case GossipMessage(channel) if channel == comparing.CHANNEL:
                self._neighbourhood.compare(link, item.payload, now)
            case GossipMessage():
                self._gossip.gossip(link, item, now)
            case BroadcastMessage():
                self._gossip.broadcast(link, item, now)
            case UnicastMessage(channel) if channel == CHANNEL:
                raise BadMessage("the topology has no messages for a single peer")
            case UnicastMessage():
                self._gossip.unicast(link, item, now)
            case Control():
                self._hear_control(link, item)
            case Enquiry():
                link.queue.add_message(Heartbeat())
            case Farewell(reason):
                self._keeper.dismissed(link, shown(reason, MAX_REASON), now)

    def _hear_control(self, link: Link, message: Control) -> None:
        if message.carrier >= len(link.carriers):
            raise BadMessage(f"a control message for carrier {message.carrier}, which was not agreed on")
        if link.is_up:
            self._emit(CarrierControl(link.id, message.carrier, message.tag, message.payload))
