"""Two ends that dial each other at once: the original then may lose the right sleeve for a minute."""

import pytest
from mesh.stage import Stage

from tulle.datapath.carrier import Neighbour, SendControl
from tulle.datapath.sleeve.carrier import SleeveCarrier
from tulle.datapath.sleeve.orders import Arrival, ClosePath, Endpoint, OpenPath, PathId
from tulle.datapath.sleeve.weave import CONNECTION_ESTABLISHED, heartbeat
from tulle.datapath.tables import ShortId
from tulle.mesh.events import LinkDown, LinkId, LinkUp, MeshEvent
from tulle.mesh.peername import PeerName

THEM = Endpoint("10.0.0.2", 6783)
WINNER, LOSER = 1, 2
"""Numbers of connections; the lower one stays."""


class Ours:
    """Our end: a mesh, and the sleeve that is told of its links."""

    def __init__(self) -> None:
        self.stage = Stage(carriers=("sleeve",))
        self.stage.mesh.connect(["10.0.0.2"], False, self.stage.now)
        self.stage.pass_time(0)
        self.sleeve = SleeveCarrier(PeerName(1), 1376, 6783)
        self.open: set[PathId] = set()
        self.said: list[SendControl] = []
        self.links: dict[int, LinkId] = {}

    def greet(self, link: LinkId, conn_uid: int) -> None:
        """The other end introduces itself on this connection, which gets that number."""
        self.links[conn_uid] = link
        self.stage.greet(link, 2, self.stage.our_conn_id(link) ^ conn_uid, False, carriers=("sleeve",))
        self.tell(self.stage.mesh.collect())

    def tell(self, events: list[MeshEvent]) -> None:
        for event in events:
            if isinstance(event, LinkUp):
                self.sleeve.link_up(neighbour(event), self.stage.now)
            elif isinstance(event, LinkDown):
                self.sleeve.link_down(event.link, self.stage.now)
        self.settle()

    def hear(self, conn_uid: int) -> None:
        """A heartbeat of this connection; there is no telling from its datagram which path it is for."""
        for path in list(self.open):
            self.sleeve.arrived(Arrival(path, heartbeat(conn_uid), THEM, 42), self.stage.now)
        self.settle()

    def settle(self) -> None:
        for event in self.sleeve.collect():
            if isinstance(event, OpenPath):
                self.open.add(event.path)
            elif isinstance(event, ClosePath):
                self.open.discard(event.path)
            elif isinstance(event, SendControl):
                self.said.append(event)


def neighbour(event: LinkUp) -> Neighbour:
    return Neighbour(
        link=event.link,
        peer=event.peer,
        short_id=ShortId(2),
        remote_ip=event.remote_ip,
        local_ip=event.local_ip,
        conn_uid=event.conn_uid,
        native=event.native,
        secret=False,
        session_key=None,
        outbound=event.outbound,
        remote_port=6783,
    )


@pytest.mark.parametrize("we_dialled_the_winner", [True, False])
@pytest.mark.parametrize("order", [(WINNER, LOSER), (LOSER, WINNER)])
def test_the_connection_that_stays_has_its_path_at_once(
    we_dialled_the_winner: bool, order: tuple[int, int]
) -> None:
    ours = Ours()
    dialled = ours.stage.dialled(("10.0.0.2", 6783))
    accepted = ours.stage.accept(("10.0.0.2", 40000))
    assert accepted is not None
    numbers = (
        {WINNER: dialled, LOSER: accepted} if we_dialled_the_winner else {WINNER: accepted, LOSER: dialled}
    )
    for conn_uid in order:
        ours.greet(numbers[conn_uid], conn_uid)
    assert len(ours.open) == 1
    ours.hear(LOSER)
    assert ours.said == []
    ours.hear(WINNER)
    assert ours.said == [SendControl(ours.links[WINNER], CONNECTION_ESTABLISHED, b"")]
    ours.stage.mesh.closed(ours.links[LOSER], "connection reset by peer", ours.stage.now)
    ours.tell(ours.stage.pass_time(30))
    ours.hear(LOSER)
    assert len(ours.open) == 1
    assert len(ours.said) == 1
