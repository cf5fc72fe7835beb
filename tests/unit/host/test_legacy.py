"""What the old iptables is told, from what it lists."""

from ipaddress import IPv4Network

from tulle.host.admitted import Admitted
from tulle.host.legacy import accepts, changes

DROPS = "-P FORWARD DROP\n-A FORWARD -j DOCKER-USER\n"
WITHIN = '-i tulle -o tulle -m comment --comment "tulle: within tulle" -j ACCEPT'
NETWORK = IPv4Network("10.32.0.0/12")


def test_a_chain_that_accepts_is_left_alone() -> None:
    assert changes("-P FORWARD ACCEPT\n-A FORWARD -j DOCKER-USER\n", accepts(Admitted("tulle"))) == []


def test_a_chain_that_drops_gets_what_it_lacks_and_loses_what_is_not_wanted_any_more() -> None:
    added = changes(DROPS, accepts(Admitted("tulle", [NETWORK])))
    assert [change[:2] for change in added] == [("-I", "FORWARD")] * 3
    assert ("-d", "10.32.0.0/12", "-o", "tulle") in [change[3:7] for change in added]
    listed = DROPS + f"-A FORWARD {WITHIN}\n"
    assert changes(listed, accepts(Admitted("tulle"))) == []
    assert [change[0] for change in changes(listed, [])] == ["-D"]
    others = '-A FORWARD -i tulle -m comment --comment "out of tulle" -j ACCEPT\n'
    assert changes(DROPS + others, []) == []


def test_a_chain_that_drops_no_longer_needs_no_accept() -> None:
    listed = f"-P FORWARD ACCEPT\n-A FORWARD {WITHIN}\n"
    assert [change[0] for change in changes(listed, accepts(Admitted("tulle")))] == ["-D"]


def test_our_rules_stand_together_behind_the_first_word_of_others() -> None:
    wanted = accepts(Admitted("tulle", routed=True))
    marked = [
        '-i tulle -m mark --mark 0x74756d -m comment --comment "tulle: outward of tulle" -j ACCEPT',
        '-o tulle -m mark --mark 0x74756d -m comment --comment "tulle: homeward of tulle" -j ACCEPT',
    ]
    ours = "".join(f"-A FORWARD {rule}\n" for rule in (WITHIN, *marked))
    assert changes(f"{DROPS}{ours}-A FORWARD -o docker0 -j DOCKER\n", wanted) == []
    moved = changes(f"{ours}{DROPS}-A FORWARD -o docker0 -j DOCKER\n", wanted)
    assert [change[0] for change in moved] == ["-D"] * 3 + ["-I"] * 3
    assert {change[2] for change in moved[3:]} == {"2"}
    assert moved[-1][3:] == wanted[0]
