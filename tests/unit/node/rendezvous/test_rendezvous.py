"""Arranging a meeting, on a virtual clock: who speaks when, how often, and what liars achieve."""

from collections.abc import Callable
from ipaddress import IPv4Interface
from random import Random

import pytest

from tulle.datapath.sleeve.orders import Endpoint
from tulle.errors import BadMessage
from tulle.instant import Instant
from tulle.mesh.channel import Unicast
from tulle.mesh.peername import PeerName
from tulle.node.rendezvous.agreement import public_key
from tulle.node.rendezvous.candidates import Whereabouts
from tulle.node.rendezvous.encounter import IDLE_SECONDS, PAUSE_SECONDS, EncounterView, Path
from tulle.node.rendezvous.messages import (
    Answer,
    Candidate,
    Go,
    Message,
    Nudge,
    Offer,
    Origin,
    decode,
    encode,
)
from tulle.node.rendezvous.rendezvous import (
    MAX_SHORTCUTS,
    STABLE_SECONDS,
    TRY_SECONDS,
    Introduce,
    Part,
    Rendezvous,
)

LOW, HIGH = PeerName(1), PeerName(2)
LATENCY = 0.05
KEY = public_key(b"p" * 32)
PLACE = (Candidate(Origin.LOCAL, Endpoint("192.168.9.9", 6783)),)


class Side:
    """One peer, and what it was told to do: (when, what)."""

    def __init__(self, name: PeerName, password: bytes | None = b"secret") -> None:
        self.whereabouts = Whereabouts(6783, None)
        self.whereabouts.set_local([IPv4Interface(f"192.168.{name % 250}.2/24")])
        self.whereabouts.set_seen([Endpoint(f"198.51.100.{name % 250}", 20000)])
        self.rendezvous = Rendezvous(name, password, self.whereabouts, Random(name))
        self.name = name
        self.done: list[tuple[float, Introduce | Part]] = []

    @property
    def introductions(self) -> list[tuple[float, Introduce]]:
        return [(at, event) for at, event in self.done if isinstance(event, Introduce)]

    @property
    def path(self) -> Path:
        return self.rendezvous.views()[0].path


class World:
    """Peers and the mesh between them, which takes ``latency`` seconds and may lose messages."""

    def __init__(self, *sides: Side) -> None:
        self.sides = {side.name: side for side in sides}
        self.now = Instant(1000.0, 5000.0)
        self.latency = LATENCY
        self.loses: Callable[[Message], bool] = lambda message: False
        self.said: list[tuple[float, PeerName, Message]] = []
        self._flying: list[tuple[float, PeerName, PeerName, bytes]] = []

    def run(self, seconds: float) -> None:
        """Let time pass, event by event."""
        end = self.now.mono + seconds
        while True:
            self._collect()
            moments = [at for at, *_ in self._flying]
            moments += [side.rendezvous.next_deadline() for side in self.sides.values()]
            following = max(min(moments, default=end), self.now.mono)
            if following > end:
                break
            self.now = self.now.later(following - self.now.mono)
            self._deliver()
            for side in self.sides.values():
                side.rendezvous.tick(self.now)
        self.now = self.now.later(end - self.now.mono)

    def _collect(self) -> None:
        for side in self.sides.values():
            side.done += [(self.now.mono, event) for event in side.rendezvous.collect()]
            for message in side.rendezvous.outbox:
                assert isinstance(message, Unicast)
                content = decode(message.payload)
                assert content is not None
                self.said.append((self.now.mono, side.name, content))
                if not self.loses(content):
                    at = self.now.mono + self.latency
                    self._flying.append((at, side.name, message.dst, message.payload))
            side.rendezvous.outbox.clear()

    def _deliver(self) -> None:
        due = [one for one in self._flying if one[0] <= self.now.mono]
        self._flying = [one for one in self._flying if one[0] > self.now.mono]
        for _, src, dst, payload in due:
            if dst in self.sides:
                self.sides[dst].rendezvous.receive("weave", payload, src, self.now)

    def count(self, kind: type[Message], name: PeerName) -> int:
        return sum(isinstance(message, kind) and speaker == name for _, speaker, message in self.said)


@pytest.fixture
def low() -> Side:
    return Side(LOW)


@pytest.fixture
def high() -> Side:
    return Side(HIGH)


@pytest.fixture
def world(low: Side, high: Side) -> World:
    made = World(low, high)
    low.rendezvous.want({HIGH}, set(), set(), made.now)
    high.rendezvous.want({LOW}, set(), set(), made.now)
    return made


def meet(world: World) -> None:
    """Both ends have tried, and it worked."""
    world.run(3)
    for side in world.sides.values():
        for other in world.sides.keys() - {side.name}:
            side.rendezvous.met(other, world.now)


# Two honest peers


def test_both_send_at_the_same_moment(world: World, low: Side, high: Side) -> None:
    world.run(3)
    assert low.introductions[0][0] == pytest.approx(high.introductions[0][0], abs=1e-6)


def test_each_is_told_where_the_other_may_be(world: World, low: Side, high: Side) -> None:
    world.run(3)
    assert low.introductions[0][1].endpoints == (
        Endpoint("192.168.2.2", 6783),
        Endpoint("198.51.100.2", 20000),
    )
    assert low.rendezvous.local_endpoints(HIGH) == {Endpoint("192.168.2.2", 6783)}
    assert high.introductions[0][1].peer == LOW


def test_both_have_the_same_secrets(world: World, low: Side, high: Side) -> None:
    world.run(3)
    ours, theirs = low.introductions[0][1].path, high.introductions[0][1].path
    assert ours.keys is not None
    assert theirs.keys is not None
    assert (ours.send_index, ours.keys.send) == (theirs.receive_index, theirs.keys.receive)
    assert (ours.receive_index, ours.keys.receive) == (theirs.send_index, theirs.keys.send)


def test_only_the_lower_name_makes_offers(world: World) -> None:
    world.run(3)
    assert [type(message) for _, _, message in world.said] == [Offer, Answer, Go]
    assert [speaker for _, speaker, _ in world.said] == [LOW, HIGH, LOW]


def test_news_of_our_own_addresses_does_not_hurry_what_may_settle_by_itself(world: World, low: Side) -> None:
    low.rendezvous.moved(world.now)
    world.run(0.5)
    assert not world.said


def test_a_peer_with_a_link_that_does_not_work_has_more_time(low: Side, high: Side) -> None:
    world = World(low, high)
    low.rendezvous.want({HIGH}, set(), {HIGH}, world.now)
    high.rendezvous.want({LOW}, set(), {LOW}, world.now)
    world.run(4)
    assert not world.said
    world.run(20)
    assert low.introductions


def test_when_that_link_is_gone_it_has_waited_long_enough(low: Side, high: Side) -> None:
    world = World(low, high)
    low.rendezvous.want({HIGH}, set(), {HIGH}, world.now)
    high.rendezvous.want({LOW}, set(), {LOW}, world.now)
    world.run(4)
    low.rendezvous.want({HIGH}, set(), set(), world.now)
    world.run(3)
    assert low.introductions


def test_a_path_that_works_is_left_alone(world: World, low: Side) -> None:
    meet(world)
    said = len(world.said)
    world.run(600)
    assert len(world.said) == said
    assert low.path is Path.MET


def test_a_peer_that_is_dialled_meanwhile_is_not_bothered(world: World, low: Side, high: Side) -> None:
    low.rendezvous.want(set(), set(), set(), world.now)
    high.rendezvous.want(set(), set(), set(), world.now)
    world.run(60)
    assert not world.said


def test_a_shortcut_ends_when_there_is_a_link(world: World, low: Side) -> None:
    meet(world)
    low.rendezvous.want({HIGH}, {HIGH}, set(), world.now)
    world.run(1)
    assert low.done[-1][1] == Part(HIGH)
    assert low.rendezvous.views() == []


def test_a_shortcut_that_works_outlives_the_mesh(world: World, low: Side) -> None:
    meet(world)
    low.rendezvous.want(set(), set(), set(), world.now)
    world.run(60)
    assert low.path is Path.MET
    low.rendezvous.want({HIGH}, set(), set(), world.now)
    world.run(60)
    assert [event for _, event in low.done if isinstance(event, Part)] == []


def test_a_shortcut_that_fails_without_a_mesh_is_over(world: World, low: Side) -> None:
    meet(world)
    low.rendezvous.want(set(), set(), set(), world.now)
    low.rendezvous.parted(HIGH, "silence", world.now)
    world.run(1)
    assert low.done[-1][1] == Part(HIGH)
    assert low.rendezvous.views() == []


def test_attempts_end_with_the_mesh(world: World, low: Side) -> None:
    world.run(3)
    assert low.path is Path.TRYING
    low.rendezvous.want(set(), set(), set(), world.now)
    world.run(1)
    assert low.done[-1][1] == Part(HIGH)


# What fails is tried again, ever more patiently


def test_a_try_that_fails_is_given_up(world: World, low: Side, high: Side) -> None:
    world.run(3 + TRY_SECONDS)
    for side, other in ((low, HIGH), (high, LOW)):
        assert any(event == Part(other) for _, event in side.done)


def test_hopeless_pairs_try_every_few_minutes_only(world: World, low: Side) -> None:
    world.run(3600)
    before = len(low.introductions)
    world.run(3600)
    assert 5 <= len(low.introductions) - before <= 20
    view = low.rendezvous.views()[0]
    assert view.retry_at is not None
    assert "NAT" in view.reason


def test_a_peer_of_another_kind_is_asked_every_few_minutes_only(low: Side) -> None:
    alone = World(low)
    low.rendezvous.want({HIGH}, set(), set(), alone.now)
    alone.run(3600)
    before = len(alone.said)
    alone.run(3600)
    assert 5 <= len(alone.said) - before <= 20
    assert "does not answer" in low.rendezvous.views()[0].reason


@pytest.mark.parametrize("kind", [Offer, Answer, Go])
def test_a_lost_message_only_costs_time(world: World, low: Side, high: Side, kind: type[Message]) -> None:
    lost: list[Message] = []

    def once(message: Message) -> bool:
        if isinstance(message, kind) and not lost:
            lost.append(message)
            return True
        return False

    world.loses = once
    world.run(40)
    assert lost
    assert low.introductions
    assert low.introductions[-1][0] == pytest.approx(high.introductions[-1][0], abs=1e-6)


@pytest.mark.parametrize("mover", [LOW, HIGH])
def test_a_new_address_of_either_end_means_a_new_try_soon(world: World, mover: PeerName) -> None:
    world.run(3600)
    side = world.sides[mover]
    before = len(side.introductions)
    start = world.now.mono
    assert side.whereabouts.set_seen([Endpoint("203.0.113.3", 777)])
    side.rendezvous.moved(world.now)
    world.run(TRY_SECONDS + 5)
    assert len(side.introductions) > before
    assert world.now.mono - start < 15


def test_a_path_that_is_lost_is_sought_again_at_once(world: World, low: Side, high: Side) -> None:
    meet(world)
    world.run(STABLE_SECONDS)
    low.rendezvous.parted(HIGH, "silence", world.now)
    high.rendezvous.parted(LOW, "silence", world.now)
    world.run(1)
    assert len(low.introductions) == 2
    assert low.path is Path.TRYING


@pytest.mark.parametrize("loser", [LOW, HIGH])
def test_one_end_that_lost_the_path_is_enough(world: World, low: Side, high: Side, loser: PeerName) -> None:
    meet(world)
    world.run(STABLE_SECONDS)
    side, other = (low, high) if loser == LOW else (high, low)
    side.rendezvous.parted(other.name, "silence", world.now)
    if loser == LOW:
        world.run(1)
        assert low.path is high.path is Path.TRYING
    else:
        world.run(1)
        assert world.count(Nudge, HIGH) == 1
        low.rendezvous.parted(HIGH, "silence", world.now)
        world.run(1)
        assert low.path is high.path is Path.TRYING


def test_a_path_that_comes_back_by_itself_is_kept(world: World, low: Side, high: Side) -> None:
    meet(world)
    world.loses = lambda message: True
    low.rendezvous.parted(HIGH, "silence", world.now)
    world.run(0.1)
    low.rendezvous.met(HIGH, world.now)
    world.loses = lambda message: False
    world.run(60)
    assert len(low.introductions) == 1
    assert low.path is Path.MET


def test_a_path_that_keeps_dying_is_not_sought_in_a_hurry(world: World, low: Side, high: Side) -> None:
    for _ in range(60):
        meet(world)
        for side, other in ((low, HIGH), (high, LOW)):
            side.rendezvous.parted(other, "silence", world.now)
        world.run(1)
    assert len(low.introductions) < 30


# Liars


def hears(side: Side, message: Message, now: Instant, src: PeerName = LOW) -> list[Message]:
    """What a peer answers to a message."""
    side.rendezvous.receive("weave", encode(message), src, now)
    said = [decode(one.payload) for one in side.rendezvous.outbox if isinstance(one, Unicast)]
    side.rendezvous.outbox.clear()
    return [message for message in said if message is not None]


def test_strangers_are_not_answered(world: World, high: Side) -> None:
    assert hears(high, Offer(1, KEY, PLACE), world.now, src=PeerName(77)) == []


def test_the_other_end_of_a_link_is_not_answered(world: World, high: Side) -> None:
    high.rendezvous.want(set(), set(), set(), world.now)
    assert hears(high, Offer(1, KEY, PLACE), world.now) == []


def test_who_should_not_lead_is_not_followed(world: World, low: Side) -> None:
    assert hears(low, Offer(1, KEY, PLACE), world.now, src=HIGH) == []


def test_an_offer_alone_makes_us_send_nothing(world: World, high: Side) -> None:
    hears(high, Offer(1, KEY, PLACE), world.now)
    assert high.rendezvous.collect() == []


def test_a_go_that_does_not_fit_is_ignored(world: World, high: Side) -> None:
    hears(high, Go(1), world.now)
    hears(high, Offer(1, KEY, PLACE), world.now)
    hears(high, Go(2), world.now)
    assert high.rendezvous.collect() == []
    hears(high, Go(1), world.now)
    hears(high, Go(1), world.now)
    assert len(high.rendezvous.collect()) == 1


def test_an_answer_that_does_not_fit_is_ignored(world: World, low: Side) -> None:
    world.loses = lambda message: True
    world.run(3)
    assert hears(low, Answer(12345, KEY, PLACE), world.now, src=HIGH) == []


def test_a_flood_of_offers_makes_few_attempts(world: World, high: Side) -> None:
    """Ten thousand offers in ten seconds, each followed by its go."""
    now, attempts = world.now, 0
    for number in range(10_000):
        hears(high, Offer(number, KEY, PLACE), now)
        hears(high, Go(number), now)
        attempts += len([one for one in high.rendezvous.collect() if isinstance(one, Introduce)])
        now = now.later(0.001)
    assert attempts <= 10 / PAUSE_SECONDS + 1


def test_offers_in_the_names_of_many_peers_make_few_attempts(world: World, high: Side) -> None:
    names = {PeerName(1 << 20 | n) for n in range(300)}
    victim = Side(PeerName(1 << 30))
    victim.rendezvous.want(names, set(), set(), world.now)
    made = 0
    for name in names:
        hears(victim, Offer(1, KEY, PLACE), world.now, src=name)
        hears(victim, Go(1), world.now, src=name)
        made += len(victim.rendezvous.collect())
    assert 0 < made <= 20


def test_a_flood_of_nudges_makes_few_offers(world: World, low: Side) -> None:
    world.loses = lambda message: isinstance(message, Answer)
    for _ in range(200):
        low.rendezvous.receive("weave", encode(Nudge()), HIGH, world.now)
        world.run(0.1)
    assert world.count(Offer, LOW) <= 20 / PAUSE_SECONDS + 1


def test_addresses_that_nobody_may_be_at_are_left_out(world: World, high: Side) -> None:
    lies = tuple(
        Candidate(Origin.SEEN, Endpoint(ip, 53)) for ip in ("224.0.0.1", "127.0.0.1", "255.255.255.255")
    )
    hears(high, Offer(1, KEY, (*lies, *PLACE)), world.now)
    hears(high, Go(1), world.now)
    (event,) = high.rendezvous.collect()
    assert isinstance(event, Introduce)
    assert event.endpoints == (PLACE[0].endpoint,)


def test_a_useless_key_is_refused_and_does_no_harm(world: World, high: Side) -> None:
    with pytest.raises(BadMessage, match="no security"):
        hears(high, Offer(1, bytes(32), PLACE), world.now)
    hears(high, Go(1), world.now)
    assert high.rendezvous.collect() == []
    later = world.now.later(PAUSE_SECONDS)
    assert len(hears(high, Offer(2, KEY, PLACE), later)) == 1


def test_a_forged_offer_does_not_end_a_path_that_works(world: World, high: Side) -> None:
    """Unless its forger also says go, which makes a new path in place of the old one."""
    meet(world)
    hears(high, Offer(1, KEY, PLACE), world.now.later(PAUSE_SECONDS))
    world.run(60)
    assert high.path is Path.MET
    assert len(high.introductions) == 1


class Crowd(World):
    """A hub, and more peers than it can have shortcuts to; every attempt succeeds."""

    def __init__(self, hub: int = 1) -> None:
        self.hub = Side(PeerName(hub))
        others = [Side(PeerName(n)) for n in range(2, MAX_SHORTCUTS + 32)]
        super().__init__(self.hub, *others)
        self.hub.rendezvous.want({side.name for side in others}, set(), set(), self.now)
        for side in others:
            side.rendezvous.want({self.hub.name}, set(), set(), self.now)
        self.pass_by(60)

    def pass_by(self, seconds: int) -> None:
        for _ in range(seconds):
            self.run(1)
            for side in self.sides.values():
                for view in side.rendezvous.views():
                    if view.path is Path.TRYING:
                        side.rendezvous.met(view.peer, self.now)

    @property
    def met(self) -> set[PeerName]:
        return {view.peer for view in self.hub.rendezvous.views() if view.path is Path.MET}

    @property
    def rest(self) -> list[EncounterView]:
        return [view for view in self.hub.rendezvous.views() if view.path is not Path.MET]


def test_there_are_only_so_many_shortcuts() -> None:
    crowd = Crowd()
    assert len(crowd.met) == MAX_SHORTCUTS
    assert all(str(MAX_SHORTCUTS) in view.reason for view in crowd.rest)


@pytest.mark.parametrize("hub", [1, 1000], ids=["leads", "follows"])
def test_whom_frames_go_to_gets_the_place_of_the_one_that_is_idle_longest(hub: int) -> None:
    crowd = Crowd(hub)
    before, wanted = crowd.met, crowd.rest[0].peer
    crowd.pass_by(40)
    idle, *others = sorted(before)
    direct = {peer: crowd.now.mono - 31 - number for number, peer in enumerate(reversed(others))}
    for _ in range(300):
        if wanted in crowd.met:
            break
        crowd.hub.rendezvous.flowed({wanted}, {**direct, idle: crowd.now.mono - 1000}, crowd.now)
        crowd.pass_by(1)
    assert crowd.met == before - {idle} | {wanted}
    assert [event.peer for _, event in crowd.hub.done if isinstance(event, Part)] == [idle]


def test_a_path_that_is_new_or_was_used_just_now_keeps_its_place() -> None:
    crowd = Crowd()
    before, wanted = crowd.met, crowd.rest[0].peer
    crowd.pass_by(40)
    for _ in range(20):
        direct = dict.fromkeys(before, crowd.now.mono - IDLE_SECONDS / 2)
        crowd.hub.rendezvous.flowed({wanted}, direct, crowd.now)
        crowd.pass_by(1)
    assert crowd.met == before


def test_who_has_no_traffic_takes_no_place() -> None:
    crowd = Crowd()
    before = crowd.met
    crowd.pass_by(600)
    assert crowd.met == before


def test_traffic_with_others_is_of_no_interest(world: World, low: Side) -> None:
    meet(world)
    low.rendezvous.flowed({PeerName(77)}, {PeerName(78): 1.0}, world.now)
    assert low.path is Path.MET


def test_the_channel_has_no_state_to_share(world: World, low: Side) -> None:
    assert low.rendezvous.encode_all("weave", world.now) == []
    assert low.rendezvous.encode_some("weave", frozenset({"x"}), world.now) == []
    merged = low.rendezvous.merge("weave", b"anything", HIGH, True, world.now)
    assert merged.received == merged.fresh == frozenset()
