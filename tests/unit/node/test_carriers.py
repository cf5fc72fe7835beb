"""Which carrier takes the frames of a link."""

from node.world import FakeCarrier
from tulle.datapath.carrier import Answered, Established, Lost, SendControl, Silent
from tulle.datapath.tables import CarrierKind, ShortId
from tulle.instant import Instant
from tulle.mesh.events import LinkDown, LinkId, LinkUp
from tulle.mesh.peername import PeerName
from tulle.node.carriers import WIDTHS_PACE, Carriers, Chosen, Doubtful, Widened
from tulle.node.course import GRACE, PROBATION

NOW = Instant(1.0, 1.0)
SETTLED = NOW.later(GRACE)
LINK, PEER = LinkId(7), PeerName(2)


def up(*carriers: str, key: bytes | None = None, trusted: bool = False) -> LinkUp:
    return LinkUp(LINK, PEER, "10.0.0.2", "10.0.0.1", True, 5, carriers, key, trusted, True)


class Two:
    """A fast carrier and a slow one, and one link that both ends can do either on."""

    def __init__(self) -> None:
        self.fast, self.slow = FakeCarrier("fast"), FakeCarrier("slow")
        self.fast.works = self.slow.works = False
        self.both = Carriers([self.fast, self.slow])
        self.both.link_up(up("fast", "slow"), ShortId(3), NOW)
        assert self.both.collect(NOW) == []

    def choices(self) -> list[tuple[str | None, str]]:
        happened = [event for _, event in self.both.collect(SETTLED)]
        return [(event.carrier, event.reason) for event in happened if isinstance(event, Chosen)]


def test_the_best_that_works_is_chosen_and_the_next_best_when_it_fails() -> None:
    two = Two()
    two.slow.events = [Established(LINK, 1200)]
    assert two.choices() == [("slow", "full-size frames pass (mtu 1200)")]
    two.fast.events = [Established(LINK, 1376)]
    assert two.choices() == [("fast", "full-size frames pass (mtu 1376)")]
    two.fast.events = [Lost(LINK, "blocked")]
    assert two.choices() == [("slow", "blocked")]
    two.slow.events = [Lost(LINK, "blocked too")]
    assert two.choices() == [(None, "blocked too")]
    assert two.both.kind(LINK) is None


def test_a_worse_carrier_coming_or_going_changes_nothing() -> None:
    two = Two()
    two.fast.events = [Established(LINK, 1376)]
    assert len(two.choices()) == 1
    two.slow.events = [Established(LINK, 1200), Lost(LINK, "gone")]
    assert two.choices() == []
    assert two.both.kind(LINK) is CarrierKind.VXLAN


def test_when_one_falls_silent_the_others_are_looked_at() -> None:
    two = Two()
    two.fast.events = [Established(LINK, 1376), Silent(LINK)]
    assert len(two.choices()) == 1
    assert (two.fast.doubted, two.slow.doubted) == ([], [LINK])
    two.both.link_down(LinkDown(LINK, PEER, "over"), NOW)
    two.fast.events = [Silent(LINK)]
    assert two.choices() == []


def test_a_new_link_on_which_nothing_works_is_said_to_be_doubtful() -> None:
    two = Two()
    at = NOW.later(PROBATION)
    assert two.both.next_deadline() <= at.mono
    two.both.tick(at)
    assert [event for _, event in two.both.collect(at)] == [Doubtful(LINK)]
    two.both.tick(at.later(10))
    assert two.both.collect(at.later(10)) == []


def test_a_path_that_has_become_wider_is_noticed() -> None:
    two = Two()

    def noticed(seconds: float) -> list[LinkId]:
        now = Instant(NOW.mono + seconds, 1.0)
        return [event.link for _, event in two.both.collect(now) if isinstance(event, Widened)]

    two.fast.lacking, two.slow.path_mtu = 1426, 1400
    assert noticed(WIDTHS_PACE) == []
    two.slow.path_mtu = 1500
    assert noticed(2 * WIDTHS_PACE) == [LINK]
    assert noticed(2 * WIDTHS_PACE + 0.1) == []
    assert noticed(3 * WIDTHS_PACE) == [LINK]
    two.fast.lacking = None
    assert noticed(4 * WIDTHS_PACE) == []


def test_control_messages_find_their_carrier_by_the_number_both_ends_use() -> None:
    two = Two()
    assert two.both.index(LINK, "slow") == 1
    two.both.control(LINK, 1, 4, b"x", NOW)
    assert two.slow.controls == [(LINK, 4, b"x")]
    two.both.control(LINK, 2, 4, b"x", NOW)
    two.both.control(LinkId(99), 0, 4, b"x", NOW)
    assert two.fast.controls == []


def test_carriers_that_one_end_lacks_are_left_alone() -> None:
    fast = FakeCarrier("fast")
    carriers = Carriers([fast])
    carriers.link_up(up("sleeve"), ShortId(3), NOW)
    carriers.control(LINK, 0, 1, b"", NOW)
    carriers.short_id_changed(LINK, ShortId(4), NOW)
    carriers.link_down(LinkDown(LINK, PEER, "over"), NOW)
    assert fast.links == {}
    assert fast.controls == []


def test_secrecy_is_what_a_password_without_trust_means() -> None:
    for key, trusted, secret in ((None, False, False), (b"k", False, True), (b"k", True, False)):
        fast = FakeCarrier("fast")
        Carriers([fast]).link_up(up("fast", key=key, trusted=trusted), None, NOW)
        assert fast.links[LINK].secret is secret


def test_news_of_a_link_that_is_gone_is_dropped_and_other_news_handed_on() -> None:
    two = Two()
    two.both.link_down(LinkDown(LINK, PEER, "over"), NOW)
    two.both.link_down(LinkDown(LINK, PEER, "over"), NOW)
    two.fast.events = [Established(LINK, 1376), Answered(ShortId(3)), SendControl(LINK, 0, b"")]
    assert two.both.collect(NOW) == [("fast", Answered(ShortId(3)))]
    assert two.both.statuses(LINK, 1.0) == []
    assert two.both.next_deadline() == float("inf")
