"""What a machine shall look like, by the options of its daemon."""

from ipaddress import IPv4Network

import pytest

from tulle.daemon.kernel import Plan
from tulle.daemon.options import LaunchOptions
from tulle.datapath.tables import Hop, ShortId, Tables
from tulle.mesh.peername import PeerName

NEAR, FAR = Hop("10.0.0.2", "10.0.0.1"), Hop("192.0.2.2", "10.0.0.1")
FOUND = Tables(ShortId(1), {ShortId(2): NEAR, ShortId(3): FAR}, {ShortId(2): NEAR, ShortId(3): FAR})


@pytest.mark.parametrize(
    ("password", "trusted", "kept"),
    [
        (None, (), {NEAR, FAR}),
        ("secret", (), set()),
        ("secret", (IPv4Network("10.0.0.0/24"),), {NEAR}),
    ],
)
def test_what_an_earlier_daemon_left_stays_as_far_as_this_one_would_do_it(
    password: str | None, trusted: tuple[IPv4Network, ...], kept: set[Hop]
) -> None:
    options = LaunchOptions(nickname="h", password=password, trusted_subnets=trusted)
    found = Plan.of(options, PeerName(1)).lawful(FOUND)
    assert set(found.routes.values()) == set(found.direct.values()) == kept


def test_frames_go_past_the_bridge_unless_told_otherwise() -> None:
    assert Plan.of(LaunchOptions(nickname="h"), PeerName(1)).bypass
    assert not Plan.of(LaunchOptions(nickname="h", no_bypass=True), PeerName(1)).bypass
