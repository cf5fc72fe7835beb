"""What Prometheus gets."""

import math

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from api.reports import recorded, troubled
from tulle.api.metrics import exposition
from tulle.api.report import CarrierAttempt, ConnectionAttrs, Report

Sample = tuple[str, frozenset[tuple[str, str]]]


def scrape(report: Report) -> dict[Sample, float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(exposition(report).decode())
        for sample in family.samples
    }


def key(metric: str, /, **labels: str) -> Sample:
    return metric, frozenset(labels.items())


def test_connections_by_state_carrier_and_encryption() -> None:
    found = scrape(recorded("three-peers"))
    assert found[key("weave_connections", state="established", type="sleeve", encryption="")] == 2
    assert found[key("weave_connections", state="established", type="sleeve", encryption="yes")] == 0
    assert found[key("weave_connections", state="failed", type="fastdp", encryption="")] == 0
    found = scrape(recorded("encrypted"))
    assert found[key("weave_connections", state="established", type="sleeve", encryption="yes")] == 2


@pytest.mark.parametrize("name", ["three-peers", "peer-dead", "encrypted"])
def test_states_add_up_to_the_connections(name: str) -> None:
    report = recorded(name)
    total = sum(value for (sample, _), value in scrape(report).items() if sample == "weave_connections")
    assert total == len(report.router.connections)


def test_the_originals_metrics() -> None:
    found = scrape(troubled())
    expected = {
        "weave_connection_terminations_total": 12.0,
        "weave_max_ips": 256.0,
        "weave_dns_entries": 1.0,
        "weave_flows": 17.0,
        "weave_ipam_unreachable_count": 1.0,
        "weave_ipam_unreachable_percentage": 50.0,
        "weave_ipam_pending_allocates": 1.0,
        "weave_ipam_pending_claims": 1.0,
    }
    assert {name: found[key(name)] for name in expected} == expected
    assert found[key("weave_ips", state="local-used")] == 63


def test_our_metrics() -> None:
    found = scrape(troubled())
    who = {"peer": "02:00:00:00:00:02", "nickname": "h2"}
    assert found[key("tulle_info", version="0.1.0", name="02:00:00:00:00:01", nickname="h1")] == 1
    assert found[key("tulle_connection_degraded", carrier="sleeve", **who)] == 1
    assert found[key("tulle_connection_established", carrier="", peer="02:00:00:00:00:03", nickname="")] == 0
    assert found[key("tulle_connection_mtu_bytes", carrier="sleeve", **who)] == 1376
    assert math.isclose(found[key("tulle_connection_rtt_seconds", carrier="sleeve", **who)], 0.0004567)
    assert found[key("tulle_connection_sent_bytes_total", **who)] == 1234567
    assert found[key("tulle_topology_connections", state="pending")] == 1
    assert found[key("tulle_gossip_bytes_sent_total")] == 4711
    expected = {
        "tulle_ready": 1,
        "tulle_peers": 2,
        "tulle_targets": 2,
        "tulle_ipam_ready": 1,
        "tulle_ipam_owned_ips": 64,
        "tulle_ipam_conflicts": 1,
        "tulle_dns_entries": 2,
        "tulle_containers": 3,
        "tulle_warnings": 1,
    }
    assert {name: found[key(name)] for name in expected} == expected


def test_what_is_off_has_no_metrics() -> None:
    report = msgspec.structs.replace(recorded("three-peers"), ipam=None, dns=None)
    names = {name for name, _ in scrape(report)}
    assert not {name for name in names if "ipam" in name or "dns" in name or name.startswith("weave_ip")}
    assert "weave_flows" not in names


def test_the_process_is_measured() -> None:
    assert scrape(recorded("three-peers"))[key("process_resident_memory_bytes")] > 0


def test_changes_of_carriers_and_what_paths_are_like() -> None:
    report = recorded("three-peers")
    attempts = [
        CarrierAttempt(name="fastdp", state="failed", reason="no answer"),
        CarrierAttempt(name="sleeve", state="in use"),
    ]
    attrs = ConnectionAttrs(
        name="sleeve", path_mtu=1492, loss=0.25, reason="fastdp: no answer", carriers=attempts
    )
    link = msgspec.structs.replace(report.router.connections[0], attrs=attrs, peer="02:00:00:00:00:02")
    router = msgspec.structs.replace(report.router, connections=[link], carrier_changes={"sleeve": 3})
    found = scrape(msgspec.structs.replace(report, router=router))
    values = {name: value for (name, labels), value in found.items() if ("carrier", "sleeve") in labels}
    assert values["tulle_carrier_changes_total"] == 3
    assert values["tulle_connection_path_mtu_bytes"] == 1492
    assert values["tulle_connection_loss_ratio"] == 0.25
    assert values["tulle_connection_degraded"] == 1


def test_a_better_carrier_that_cannot_be_used_at_all_is_no_trouble() -> None:
    unusable = CarrierAttempt(name="fastdp", state="unusable", reason="must be encrypted")
    failed = CarrierAttempt(name="sleeve", state="failed", reason="no answer")
    used = CarrierAttempt(name="sleeve", state="in use")
    for carriers, degraded in (([unusable, used], False), ([unusable, failed], True), ([], True)):
        assert ConnectionAttrs(reason="something", carriers=carriers).degraded is degraded
