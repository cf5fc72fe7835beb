"""The tables, compared to the letter with what they should look like.

``UPDATE_GOLDEN=1 pytest ...`` writes the files anew; read the difference before committing it.
"""

import os

import msgspec
import pytest

from api.reports import DATA, recorded, troubled
from tulle.api import views
from tulle.api.report import ConnectionAttrs, ConnectionReport, Report, Traffic

REPORTS = {
    "three-peers": lambda: recorded("three-peers"),
    "peer-dead": lambda: recorded("peer-dead"),
    "encrypted": lambda: recorded("encrypted"),
    "troubled": troubled,
}


def everything(report: Report) -> str:
    tables = {"summary": views.status, **views.VIEWS, "ps": lambda report: views.ps(report.containers)}
    return "".join(f"--- {name}\n{show(report)}" for name, show in tables.items())


@pytest.mark.parametrize("name", list(REPORTS))
def test_tables_look_as_they_should(name: str) -> None:
    golden = DATA / f"tables-{name}.txt"
    text = everything(REPORTS[name]())
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(text)
    assert text == golden.read_text()


@pytest.mark.parametrize("name", list(REPORTS))
def test_no_line_ends_in_white_space(name: str) -> None:
    assert all(line == line.rstrip() for line in everything(REPORTS[name]()).splitlines())


def test_a_connection_that_carried_nothing_says_nothing_of_it() -> None:
    report = troubled()
    quiet = [msgspec.structs.replace(one, traffic=Traffic()) for one in report.router.connections]
    router = msgspec.structs.replace(report.router, connections=quiet)
    assert "sent=" not in views.connections(msgspec.structs.replace(report, router=router))


def test_who_was_refused_for_its_addresses_is_in_the_views() -> None:
    report = recorded("three-peers")
    assert report.ipam is not None
    text = "<-10.0.0.9:40000: its address range is 10.40.0.0/16 but ours is 10.32.0.0/12"
    told = msgspec.structs.replace(report, ipam=msgspec.structs.replace(report.ipam, incompatible=[text]))
    assert f"refused: {text}" in views.ipam(told)
    assert f" * {text}" in views.status(told)


def test_parts_that_are_off_say_so() -> None:
    report = msgspec.structs.replace(recorded("three-peers"), ipam=None, dns=None)
    assert "Service: ipam" not in views.status(report)
    assert "Service: dns" not in views.status(report)
    assert views.ipam(report) == "address allocation is turned off (launched with an empty --ipalloc-range)\n"
    assert views.dns(report) == "the DNS server is turned off (launched with --no-dns)\n"


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0B"),
        (999, "999B"),
        (1000, "1kB"),
        (1234, "1.23kB"),
        (999_400, "999kB"),
        (999_600, "1MB"),
        (12_345_678_901, "12.3GB"),
        (5_000_000_000_000_000, "5000TB"),
    ],
)
def test_sizes_have_three_digits(count: int, text: str) -> None:
    assert views.size(count) == text


@pytest.mark.parametrize(
    ("share", "text"), [(0.0, "0%"), (0.00004, "0%"), (0.00131, "0.13%"), (0.02, "2%"), (0.117, "12%")]
)
def test_shares_have_two_digits(share: float, text: str) -> None:
    assert views.percentage(share) == text


def test_a_connection_tells_what_its_path_is_like_and_what_is_in_the_way_of_a_better_one() -> None:
    attrs = ConnectionAttrs(
        name="sleeve", mtu=1376, path_mtu=1492, rtt=0.5, loss=0.012, reason="fastdp: no answer"
    )
    one = ConnectionReport(
        address="10.0.0.2:6783", outbound=True, state="established", info="sleeve x(h2)", attrs=attrs
    )
    report = recorded("three-peers")
    router = msgspec.structs.replace(report.router, connections=[one])
    (line,) = views.connections(msgspec.structs.replace(report, router=router)).splitlines()
    assert line.split("established ")[1].lstrip() == (
        "sleeve x(h2) mtu=1376 path-mtu=1492 rtt=0.5ms loss=1.2% (fastdp: no answer)"
    )
