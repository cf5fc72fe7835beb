"""What people in trouble are told."""

from typing import Any

import msgspec
import pytest

from api.reports import recorded, troubled
from tulle.api.advice import advice, ipam_status
from tulle.api.report import ConnectionAttrs, ConnectionReport, IpamEntry, PaxosReport, Report


def with_ipam(**changes: Any) -> Report:
    report = recorded("three-peers")
    assert report.ipam is not None
    return msgspec.structs.replace(report, ipam=msgspec.structs.replace(report.ipam, **changes))


def entry(peer: str, known: bool) -> IpamEntry:
    return IpamEntry(token="10.32.0.0", size=16, peer=peer, nickname="", is_known_peer=known, version=0)


STATES: list[tuple[dict[str, Any], str]] = [
    ({}, "ready"),
    ({"pending_allocates": ["c1"]}, "waiting for IP range grant from peers"),
    ({"entries": []}, "idle"),
    (
        {"entries": [], "paxos": PaxosReport(elector=True, known_nodes=1, quorum=2)},
        "awaiting consensus (quorum: 2, known: 1)",
    ),
    ({"entries": [], "paxos": PaxosReport(elector=False, known_nodes=0, quorum=0)}, "priming"),
    (
        {"entries": [entry("02:00:00:00:00:09", known=False)]},
        "all IP ranges owned by unreachable peers - use 'rmpeer' if they are dead",
    ),
]


@pytest.mark.parametrize(("changes", "text"), STATES)
def test_the_state_of_allocation_has_the_originals_words(changes: dict[str, Any], text: str) -> None:
    assert ipam_status(with_ipam(**changes)) == text


def test_allocation_that_is_off_has_no_state() -> None:
    assert ipam_status(msgspec.structs.replace(recorded("three-peers"), ipam=None)) == ""


def test_all_is_well() -> None:
    assert advice(recorded("three-peers")) == []


def test_a_peer_that_is_gone_names_the_remedy() -> None:
    (line,) = advice(recorded("peer-dead"))
    assert "02:00:00:00:00:03(h3) cannot be reached and owns 25.0%" in line
    assert "`rmpeer h3`" in line


def test_everything_wrong_is_listed_with_the_daemons_own_warnings_first() -> None:
    lines = advice(troubled())
    assert lines[0].startswith("the state file was damaged")
    assert [line[:30] for line in lines[1:]] == [
        "1 connection is down and will ",
        "1 connection does not use the ",
        "peer 02:00:00:00:00:04(h4) can",
        "1 request waits for an address",
        "10.32.0.5 of netns:web now bel",
    ]


def test_too_few_peers_for_an_election() -> None:
    paxos = PaxosReport(elector=True, known_nodes=1, quorum=2)
    (line,) = advice(with_ipam(entries=[], paxos=paxos))
    assert "2 peers must agree first and 1 can be reached" in line


def test_an_observer_alone() -> None:
    paxos = PaxosReport(elector=False, known_nodes=0, quorum=0)
    (line,) = advice(with_ipam(entries=[], paxos=paxos))
    assert "this host observes" in line


@pytest.mark.parametrize(
    ("state", "info", "reason", "text"),
    [
        ("failed", "this address is this host itself, retry: never", "", None),
        ("failed", "no route to host, retry in 5 s", "", "1 connection is down and will be tried again"),
        ("failed", "same name, retry: never", "", "1 connection is refused and will not be tried again"),
        ("pending", "02:00:00:00:00:02(h2)", "blocked", "1 peer is connected, but no frames get through"),
        ("established", "sleeve", "fastdp: blocked", "1 connection does not use the fastest carrier"),
    ],
)
def test_connections_in_trouble(state: str, info: str, reason: str, text: str | None) -> None:
    report = recorded("three-peers")
    one = ConnectionReport(
        address="10.0.0.9:6783", outbound=True, state=state, info=info, attrs=ConnectionAttrs(reason=reason)
    )
    router = msgspec.structs.replace(report.router, connections=[one])
    lines = advice(msgspec.structs.replace(report, router=router))
    assert [line.split(";")[0] for line in lines] == ([] if text is None else [text])


def test_a_nickname_that_somebody_else_has_now_is_no_remedy() -> None:
    report = recorded("peer-dead")
    heirs = [msgspec.structs.replace(peer, nick_name="h3") for peer in report.router.peers[:1]]
    router = msgspec.structs.replace(report.router, peers=heirs)
    (line,) = advice(msgspec.structs.replace(report, router=router))
    assert "`rmpeer 02:00:00:00:00:03`" in line
