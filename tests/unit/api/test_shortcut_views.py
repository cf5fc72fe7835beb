"""What people and Prometheus see of peers that are reached without a connection."""

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from api.reports import recorded
from tulle.api import views
from tulle.api.metrics import exposition
from tulle.api.report import ConnectionAttrs, Report, ShortcutReport, Traffic

DIRECT = ShortcutReport(
    peer="02:00:00:00:00:02",
    nick_name="cellar",
    state="direct",
    address="198.51.100.7:20000",
    tries=1,
    attrs=ConnectionAttrs(name="sleeve", mtu=1376, encrypted=True, path_mtu=1500, rtt=12.5),
    traffic=Traffic(sent_bytes=1000, received_bytes=2000),
)
RELAYED = ShortcutReport(
    peer="02:00:00:00:00:03",
    nick_name="attic",
    state="relayed",
    via="hub",
    reason="no packets get through",
    tries=4,
    retry_in=19.6,
)
LEFT_TO_THE_OTHER = msgspec.structs.replace(RELAYED, retry_in=None, via="")


def report_with(*shortcuts: ShortcutReport, encryption: bool = False) -> Report:
    report = recorded("three-peers")
    router = msgspec.structs.replace(report.router, shortcuts=list(shortcuts), encryption=encryption)
    return msgspec.structs.replace(report, router=router)


def last_line(report: Report) -> str:
    return views.connections(report).splitlines()[-1]


def test_a_direct_shortcut_is_a_line_of_its_own() -> None:
    assert last_line(report_with(DIRECT)) == (
        "~> 198.51.100.7:20000    direct      sleeve 02:00:00:00:00:02(cellar) mtu=1376 path-mtu=1500"
        " rtt=12.5ms sent=1kB received=2kB (straight to it, without a connection)"
    )


def test_with_a_password_it_says_whether_frames_are_encrypted() -> None:
    assert " encrypted   sleeve 02:" in last_line(report_with(DIRECT, encryption=True))


def test_a_relayed_peer_is_shown_with_the_reason_and_the_next_try() -> None:
    assert last_line(report_with(RELAYED)) == (
        "~> -                     relayed     02:00:00:00:00:03(attic) over hub"
        " (no packets get through, next try in 20 s)"
    )


@pytest.mark.parametrize(
    ("sealed", "words"), [(True, "over hub, sealed end to end ("), (False, "over hub, which can read it (")]
)
def test_with_a_password_it_says_who_can_read_what_is_relayed(sealed: bool, words: str) -> None:
    relayed = msgspec.structs.replace(RELAYED, sealed=sealed)
    assert words in last_line(report_with(relayed, encryption=True))


def test_when_the_other_end_decides_no_time_is_shown() -> None:
    assert last_line(report_with(LEFT_TO_THE_OTHER)).endswith("not reached (no packets get through)")


def test_direct_shortcuts_stand_among_our_own_connections_in_the_list_of_peers() -> None:
    report = report_with(DIRECT, RELAYED)
    first, *rest = views.peers(report).splitlines()
    assert report.router.name in first
    own = rest[: next(number for number, line in enumerate(rest) if not line.startswith(" "))]
    assert own[-1].split() == ["~>", "198.51.100.7:20000", "02:00:00:00:00:02(cellar)", "direct"]
    assert views.peers(report).count("~>") == 1


def test_the_summary_counts_them_if_there_are_any() -> None:
    assert "Shortcuts: 2 (1 direct, 1 relayed)\n" in views.status(report_with(DIRECT, RELAYED))
    assert "Shortcuts" not in views.status(report_with())


def test_metrics() -> None:
    page = exposition(report_with(DIRECT, RELAYED)).decode()
    found = {
        (sample.name, sample.labels.get("state") or sample.labels.get("nickname")): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }
    assert found["tulle_shortcuts", "direct"] == 1
    assert found["tulle_shortcuts", "relayed"] == 1
    assert found["tulle_shortcuts", "lost"] == 0
    assert found["tulle_shortcut_direct", "cellar"] == 1
    assert found["tulle_shortcut_direct", "attic"] == 0
    assert found["tulle_shortcut_rtt_seconds", "cellar"] == 0.0125
    assert ("tulle_shortcut_rtt_seconds", "attic") not in found
    assert 'tulle_connection_received_bytes_total{nickname="h2",peer="02:00:00:00:00:02"} 2000.0' in page
