"""The short way for names that do not exist gives what the long way gives."""

import random
from types import SimpleNamespace

import dns.flags
import dns.message
from hypothesis import given
from hypothesis import strategies as st

from names.builders import START, ip, nameserver
from tulle.names.hostname import wire_form
from tulle.names.missing import Missing
from tulle.names.resolver import Resolver

DOMAIN = wire_form("tulle.internal.")
LABELS = st.from_regex(r"[a-zA-Z0-9_-]{1,63}", fullmatch=True)


def resolver() -> Resolver:
    server = nameserver()
    server.add("c1", "web", ip("10.32.0.1"), START)
    server.add("c2", "a.deep.tulle.internal", ip("10.32.0.2"), START)
    return Resolver(server, 1, random.Random(1))


def query(name: str, rtype: str, edns: bool, flags: int) -> bytes:
    message = dns.message.make_query(f"{name}.tulle.internal.", rtype, use_edns=0 if edns else -1)
    message.flags = dns.flags.Flag(flags)
    return message.to_wire()


FLAGS = st.sampled_from([0, int(dns.flags.RD), int(dns.flags.RD | dns.flags.CD), int(dns.flags.AD)])


@given(st.lists(st.tuples(LABELS, st.sampled_from(["A", "AAAA", "TXT"]), st.booleans(), FLAGS), max_size=12))
def test_both_ways_agree(asked: list[tuple[str, str, bool, int]]) -> None:
    practised = resolver()
    for one in asked:
        wire = query(*one)
        assert practised.answer_udp(wire) == resolver().answer_udp(wire)


def test_the_second_of_one_length_takes_the_short_way() -> None:
    practised = resolver()
    first, second = query("none1", "A", True, 0), query("NONE2", "A", True, 0)
    assert practised._missing.answer(first) is None
    practised.answer_udp(first)
    assert practised._missing.answer(second) == resolver().answer_udp(second)
    assert practised._missing.answer(query("none12", "A", True, 0)) is None


def test_names_that_exist_and_their_parents_are_left_to_the_long_way() -> None:
    practised = resolver()
    for name in ("abc", "abcd"):
        practised.answer_udp(query(name, "A", False, 0))
        assert practised._missing.answer(query(name, "A", False, 0)) is not None
    assert practised._missing.answer(query("web", "A", False, 0)) is None
    assert practised._missing.answer(query("deep", "A", False, 0)) is None


@given(st.binary(max_size=80), st.binary(max_size=20))
def test_any_bytes_are_answered_only_if_they_have_the_learned_shape(data: bytes, tail: bytes) -> None:
    missing = Missing(SimpleNamespace(exists=lambda name: False), DOMAIN)  # type: ignore[arg-type]
    learned = query("none1", "A", False, 0)
    missing.learn(learned, b"h" * 10 + learned[12:] + b"r")
    for wire in (data, data[:12] + DOMAIN + tail, learned[: len(data)], data + learned):
        answer = missing.answer(wire)
        assert answer is None or (wire[2:13], wire[18:]) == (learned[2:13], learned[18:])
