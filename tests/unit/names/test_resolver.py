import random
from collections import Counter

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis import strategies as st

from names.builders import OTHER, START, entry, ip, nameserver
from tulle.names import missing, weave
from tulle.names import resolver as module
from tulle.names.nameserver import Nameserver
from tulle.names.resolver import Resolver, Verdict

FORWARD = "forward"


def served() -> Nameserver:
    server = nameserver()
    for container, name, address in (
        ("c1", "web", "10.32.0.1"),
        ("c2", "web", "10.32.0.2"),
        ("c3", "web", "10.32.0.3"),
        ("c4", "Db", "10.32.0.4"),
        ("c5", "x.deep.sub.tulle.internal", "10.32.0.5"),
    ):
        server.add(container, name, ip(address), START)
    for number in range(100):
        server.add(f"m{number}", "many", ip("10.33.0.0") + number, START)
    return server


def resolver(server: Nameserver | None = None, seed: int = 5, ttl: int = 1) -> Resolver:
    return Resolver(server or served(), ttl, random.Random(seed))


def query(name: str, rtype: str = "A", **options: object) -> bytes:
    return dns.message.make_query(name, rtype, **options).to_wire()  # type: ignore[arg-type]


def respond(asked: Resolver, wire: bytes, tcp: bool) -> bytes | Verdict:
    return asked.answer_tcp(wire) if tcp else asked.answer_udp(wire)


def ask(
    asked: Resolver, name: str, rtype: str = "A", *, tcp: bool = False, **options: object
) -> dns.message.Message:
    """The answer, which must be one to exactly this query, within the size it allows."""
    message = dns.message.make_query(name, rtype, **options)  # type: ignore[arg-type]
    answer = respond(asked, message.to_wire(), tcp)
    assert isinstance(answer, bytes), answer
    assert len(answer) <= (65535 if tcp else max(512, message.payload))
    parsed = dns.message.from_wire(answer)
    assert message.is_response(parsed)
    assert [rrset.name.to_text() for rrset in parsed.question] == [name]
    return parsed


def records(message: dns.message.Message) -> list[str]:
    return [str(record) for rrset in message.answer for record in rrset]


TABLE = [
    ("db.tulle.internal.", "A", "NOERROR AA RA", ["10.32.0.4"]),
    ("DB.TULLE.Internal.", "A", "NOERROR AA RA", ["10.32.0.4"]),
    ("db.", "A", "NOERROR AA RA", ["10.32.0.4"]),
    ("db.tulle.internal.", "ANY", "NOERROR AA RA", ["10.32.0.4"]),
    ("db.tulle.internal.", "AAAA", "NOERROR AA RA SOA", []),
    ("db.tulle.internal.", "TXT", "NOERROR AA RA SOA", []),
    ("db.tulle.internal.", "HTTPS", "NOERROR AA RA SOA", []),
    ("db.", "AAAA", "NOERROR AA RA", []),
    ("nobody.tulle.internal.", "A", "NXDOMAIN AA RA SOA", []),
    ("nobody.tulle.internal.", "AAAA", "NXDOMAIN AA RA SOA", []),
    ("a.db.tulle.internal.", "A", "NXDOMAIN AA RA SOA", []),
    ("sub.tulle.internal.", "A", "NOERROR AA RA SOA", []),
    ("deep.sub.tulle.internal.", "AAAA", "NOERROR AA RA SOA", []),
    ("x.deep.sub.tulle.internal.", "A", "NOERROR AA RA", ["10.32.0.5"]),
    ("tulle.internal.", "A", "NOERROR AA RA SOA", []),
    (
        "tulle.internal.",
        "SOA",
        "NOERROR AA RA",
        ["tulle.internal. hostmaster.tulle.internal. 1 3600 600 86400 1"],
    ),
    ("nobody.", "A", "NXDOMAIN RA", []),
    ("nobody.", "AAAA", "NXDOMAIN RA", []),
    ("com.", "NS", FORWARD, []),
    ("com.", "DS", FORWARD, []),
    (".", "NS", FORWARD, []),
    ("www.example.org.", "A", FORWARD, []),
    ("xtulle.internal.", "A", FORWARD, []),
    ("internal.example.", "A", FORWARD, []),
    ("4.0.32.10.in-addr.arpa.", "PTR", "NOERROR AA RA", ["db.tulle.internal."]),
    ("4.0.32.10.IN-ADDR.ARPA.", "PTR", "NOERROR AA RA", ["db.tulle.internal."]),
    ("4.0.32.10.in-addr.arpa.", "ANY", "NOERROR AA RA", ["db.tulle.internal."]),
    ("4.0.32.10.in-addr.arpa.", "A", "NOERROR AA RA", []),
    ("9.9.9.9.in-addr.arpa.", "PTR", FORWARD, []),
    ("0.32.10.in-addr.arpa.", "PTR", FORWARD, []),
    ("x.0.32.10.in-addr.arpa.", "PTR", FORWARD, []),
    ("004.0.32.10.in-addr.arpa.", "PTR", FORWARD, []),
    ("db.tulle.internal.", "AXFR", "NOTIMP RA", []),
    ("www.example.org.", "IXFR", "NOTIMP RA", []),
]


@pytest.mark.parametrize("edns", [-1, 0])
@pytest.mark.parametrize(("name", "rtype", "verdict", "expected"), TABLE)
def test_answers(name: str, rtype: str, verdict: str, expected: list[str], edns: int) -> None:
    asked = resolver()
    for tcp in (False, True, False):
        if verdict is FORWARD:
            assert respond(asked, query(name, rtype, use_edns=edns), tcp) is Verdict.FORWARD
            continue
        if verdict.startswith("NOTIMP"):
            answer = respond(asked, query(name, rtype, use_edns=edns), tcp)
            assert isinstance(answer, bytes)
            assert answer[3] & 15 == dns.rcode.NOTIMP
            continue
        message = ask(asked, name, rtype, tcp=tcp, use_edns=edns)
        assert records(message) == expected
        flags = [flag.name for flag in (dns.flags.AA, dns.flags.TC, dns.flags.RA) if message.flags & flag]
        soa = ["SOA"] if any(rrset.rdtype == dns.rdatatype.SOA for rrset in message.authority) else []
        assert " ".join([dns.rcode.to_text(message.rcode()), *map(str, flags), *soa]) == verdict
        assert message.edns == edns


def test_the_owner_of_an_answer_is_spelt_as_asked() -> None:
    (rrset,) = ask(resolver(), "dB.Tulle.internal.").answer
    assert rrset.name.to_text() == "dB.Tulle.internal."


@pytest.mark.parametrize("ttl", [0, 1, 30])
def test_answers_live_as_long_as_configured(ttl: int) -> None:
    asked = resolver(ttl=ttl)
    assert ask(asked, "db.").answer[0].ttl == ttl
    assert ask(asked, "4.0.32.10.in-addr.arpa.", "PTR").answer[0].ttl == ttl
    assert ask(asked, "nobody.tulle.internal.").authority[0].ttl == ttl


def test_recursion_desired_and_checking_disabled_are_repeated() -> None:
    asked = resolver()
    for flags in ("RD", "CD", "RD CD", ""):
        wanted = dns.flags.from_text(flags)
        message = ask(asked, "db.", flags=wanted | dns.flags.AD)
        assert message.flags & (dns.flags.RD | dns.flags.CD | dns.flags.AD) == wanted


# -- load balancing ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("options", [{}, {"use_edns": 0, "payload": 1232}])
def test_equal_names_are_balanced_within_three_percent(seed: int, options: dict[str, int]) -> None:
    asked = resolver(seed=seed)
    wire = query("web.tulle.internal.", **options)
    firsts = Counter[bytes]()
    start = len(query("web.tulle.internal."))
    for _ in range(10_000):
        answer = asked.answer_udp(wire)
        assert isinstance(answer, bytes)
        firsts[answer[start + 12 : start + 16]] += 1
    assert len(firsts) == 3
    assert all(abs(count / 10_000 - 1 / 3) < 0.03 / 3 for count in firsts.values())


def test_the_very_first_answer_is_balanced_too() -> None:
    server = served()
    asked = query("web.tulle.internal.")
    answers = [resolver(server, seed).answer_udp(asked) for seed in range(3000)]
    firsts = Counter(
        answer[len(asked) + 12 : len(asked) + 16] for answer in answers if isinstance(answer, bytes)
    )
    assert len(firsts) == 3
    assert all(900 < count < 1100 for count in firsts.values())


def test_a_cut_answer_is_balanced_as_well() -> None:
    asked = resolver()
    seen = Counter[str]()
    for _ in range(200):
        message = ask(asked, "many.tulle.internal.")
        assert message.flags & dns.flags.TC
        seen.update(records(message))
    assert len(seen) == 100
    assert max(seen.values()) - min(seen.values()) < 40


# -- size --------------------------------------------------------------------------------------------------


def test_what_does_not_fit_is_cut_and_complete_over_tcp() -> None:
    asked = resolver()
    assert len(records(ask(asked, "many.tulle.internal."))) == (512 - 12 - 25 - 0) // 16
    assert len(records(ask(asked, "many.tulle.internal.", tcp=True))) == 100
    message = ask(asked, "many.tulle.internal.", use_edns=0, payload=4096)
    assert not message.flags & dns.flags.TC
    assert len(records(message)) == 100


def test_even_tcp_has_a_limit() -> None:
    server = nameserver()
    for number in range(4200):
        server.add(f"c{number}", "web", ip("10.32.0.0") + number, START)
    message = ask(resolver(server), "web.", tcp=True)
    assert message.flags & dns.flags.TC
    assert len(records(message)) > 4000


# -- what is kept ready ------------------------------------------------------------------------------------


def test_a_change_is_seen_by_the_next_answer() -> None:
    server = served()
    asked = resolver(server)
    for _ in range(2):
        assert len(records(ask(asked, "web."))) == 3
    server.container_gone("c1", START)
    assert len(records(ask(asked, "web."))) == 2
    other = entry("web", OTHER, "10.32.9.9")
    server.merge("weave", weave.encode(0, {other.key: other}), OTHER, False, START)
    assert "10.32.9.9" in records(ask(asked, "web."))
    server.peers_gone([OTHER])
    assert "10.32.9.9" not in records(ask(asked, "web."))


def test_a_missing_name_is_found_once_it_is_there() -> None:
    server = served()
    asked = resolver(server)
    assert ask(asked, "new.").rcode() == dns.rcode.NXDOMAIN
    server.add("c9", "new", ip("10.32.0.9"), START)
    assert records(ask(asked, "new.")) == ["10.32.0.9"]


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_READY", 10)
    monkeypatch.setattr(missing, "_MOST", 10)
    asked = resolver()
    for number in range(50):
        ask(asked, "db.tulle.internal.", "AAAA", use_edns=0, payload=1000 + number)
        ask(asked, f"none{'x' * number}.tulle.internal.")
        assert len(asked._ready) <= 10
        assert len(asked._missing._ways) <= 10


def test_names_that_do_not_exist_push_out_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_READY", 10)
    asked = resolver()
    ask(asked, "db.tulle.internal.")
    for number in range(50):
        ask(asked, f"none{number}.tulle.internal.")
    assert len(asked._ready) == 1


def test_what_never_comes_again_is_not_kept() -> None:
    asked = resolver()
    for name in ("NoBody.tulle.internal.", "DB.tulle.internal."):
        ask(asked, name)
    for name in ("nobody.tulle.internal.", "db.tulle.internal."):
        ask(asked, name, use_edns=0, options=[dns.edns.GenericOption(10, b"12345678")])
        ask(asked, name, "TXT")
        ask(asked, name, tcp=True)
    assert not asked._ready
    assert not asked._missing._ways


# -- hostile bytes -----------------------------------------------------------------------------------------

HOSTILE = resolver()
SEEDS = [
    query("web.tulle.internal."),
    query("4.0.32.10.in-addr.arpa.", "PTR", use_edns=0),
    query("web.", "ANY", want_dnssec=True),
    dns.message.make_query("version.bind.", "TXT", "CH").to_wire(),
]


def check_any(data: bytes) -> None:
    for tcp in (False, True):
        answer = respond(HOSTILE, data, tcp)
        if isinstance(answer, bytes):
            assert answer[:2] == data[:2]
            assert answer[2] & 0x80
            dns.message.from_wire(answer)


@given(st.binary(max_size=600))
def test_random_bytes_never_raise(data: bytes) -> None:
    check_any(data)


@given(st.sampled_from(SEEDS), st.data())
def test_damaged_queries_never_raise(seed: bytes, data: st.DataObject) -> None:
    damaged = bytearray(seed)
    for _ in range(data.draw(st.integers(0, 5))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(damaged)))
    check_any(bytes(damaged[:cut]) + data.draw(st.binary(max_size=20)))


@given(st.binary(min_size=10, max_size=300))
def test_a_plain_header_with_anything_after_it_never_raises(data: bytes) -> None:
    for additional in (0, 1, 2):
        check_any(bytes((1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, additional)) + data)
