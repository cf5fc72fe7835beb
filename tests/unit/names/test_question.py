import dns.flags
import dns.message
import dns.rcode
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tulle.names.question import AAAA, LARGEST_UDP, A, Question, Refused, read, study


def query(name: str = "Web.tulle.internal.", rtype: str = "A", **options: object) -> bytes:
    return dns.message.make_query(name, rtype, id=0x1234, **options).to_wire()  # type: ignore[arg-type]


def plain(**changes: object) -> Question:
    name = b"\x03Web\x05tulle\x08internal\0"
    question = Question(name.lower(), name + b"\0\x01\0\x01", A, dns.flags.RD, 512, b"")
    return question._replace(**changes)  # type: ignore[arg-type]


def edns_record(flags: int = 0) -> bytes:
    return b"\0\0\x29" + LARGEST_UDP.to_bytes(2, "big") + b"\0\0" + flags.to_bytes(2, "big") + b"\0\0"


def test_the_usual_query_is_read() -> None:
    assert read(query()) == plain()


@pytest.mark.parametrize(
    ("flags", "kept"), [("RD CD AD", "RD CD"), ("", ""), ("RD", "RD"), ("AD", ""), ("CD", "CD")]
)
def test_flags_are_kept_as_far_as_an_answer_repeats_them(flags: str, kept: str) -> None:
    question = read(query(flags=dns.flags.from_text(flags)))
    assert question == plain(flags=dns.flags.from_text(kept))


@pytest.mark.parametrize(
    ("offered", "size"), [(0, 512), (511, 512), (1232, 1232), (4096, 4096), (65535, LARGEST_UDP)]
)
def test_the_client_says_how_much_it_takes(offered: int, size: int) -> None:
    assert read(query(use_edns=0, payload=offered)) == plain(size=size, edns=edns_record())


def test_the_flag_of_dnssec_is_repeated() -> None:
    assert read(query(want_dnssec=True, payload=1232)) == plain(size=1232, edns=edns_record(dns.flags.DO))


def test_options_do_not_matter() -> None:
    cookie = dns.edns.GenericOption(10, b"12345678")  # type: ignore[attr-defined]
    assert read(query(use_edns=0, options=[cookie])) == read(query(use_edns=0))


@pytest.mark.parametrize(
    "odd",
    [
        b"",
        query()[:11],
        query()[:-1],
        query() + b"x",
        query(use_edns=0)[:-1],
        query(use_edns=0) + b"x",
        query(use_edns=1),
        query(rtype="TXT")[:-1] + b"\x03",
        b"\0\0\1\0\0\1\0\0\0\0\0\0" + b"\xc0\x0c\0\1\0\1",
        b"\0\0\1\0\0\1\0\0\0\0\0\0" + b"\x40" + b"x" * 64 + b"\0\0\1\0\1",
        b"\0\0\1\0\0\1\0\0\0\0\0\0" + (b"\x3f" + b"x" * 63) * 4 + b"\0\0\1\0\1",
        b"\0\0\1\0\0\2\0\0\0\0\0\0" + b"\1a\0\0\1\0\1" * 2,
    ],
)
def test_what_is_not_the_usual_shape_is_left_to_dnspython(odd: bytes) -> None:
    assert read(odd) is None


def test_the_longest_name_is_read() -> None:
    name = (b"\x3f" + b"x" * 63) * 3 + b"\x3d" + b"x" * 61 + b"\0"
    assert len(name) == 255
    question = read(b"\0\0\1\0\0\1\0\0\0\0\0\0" + name + b"\0\1\0\1")
    assert question is not None
    assert question.name == name


@given(
    st.lists(st.binary(min_size=1, max_size=20), max_size=5),
    st.sampled_from(["A", "AAAA", "PTR"]),
    st.sampled_from([-1, 0]),
)
def test_both_ways_to_read_agree(labels: list[bytes], rtype: str, edns: int) -> None:
    name = dns.name.Name([*labels, b""])  # type: ignore[attr-defined]
    asked = dns.message.make_query(name, rtype, use_edns=edns).to_wire()
    assert read(asked) == study(asked)


def refusal(asked: bytes) -> dns.message.Message | None:
    with pytest.raises(Refused) as refused:
        study(asked)
    reply = refused.value.reply
    return None if reply is None else dns.message.from_wire(reply)


def test_answers_and_scraps_are_met_with_silence() -> None:
    response = dns.message.make_response(dns.message.make_query("a.", "A"))
    assert refusal(response.to_wire()) is None
    assert refusal(query()[:11]) is None
    assert refusal(b"") is None


@pytest.mark.parametrize("opcode", ["STATUS", "NOTIFY", "UPDATE"])
def test_other_operations_are_not_implemented(opcode: str) -> None:
    message = dns.message.make_query("a.", "A", id=77)
    message.set_opcode(dns.opcode.from_text(opcode))  # type: ignore[attr-defined]
    reply = refusal(message.to_wire())
    assert reply is not None
    assert (reply.id, reply.rcode(), reply.opcode()) == (77, dns.rcode.NOTIMP, message.opcode())


@pytest.mark.parametrize("rdclass", ["CH", "HS", "ANY"])
def test_other_classes_are_not_implemented(rdclass: str) -> None:
    reply = refusal(query("version.bind.", "TXT", rdclass=rdclass))
    assert reply is not None
    assert reply.rcode() == dns.rcode.NOTIMP
    assert len(reply.question) == 1


def test_a_newer_edns_gets_ours_and_the_error_for_it() -> None:
    reply = refusal(query(use_edns=1))
    assert reply is not None
    assert (reply.rcode(), reply.edns) == (dns.rcode.BADVERS, 0)


@pytest.mark.parametrize(
    "broken", [query()[:-1], b"\0\7\1\0\0\0\0\0\0\0\0\0", b"\0\7\1\0\0\2\0\0\0\0\0\0" + b"\1a\0\0\1\0\1" * 2]
)
def test_broken_queries_are_told_so(broken: bytes) -> None:
    reply = refusal(broken)
    assert reply is not None
    assert reply.rcode() == dns.rcode.FORMERR
    assert reply.id == int.from_bytes(broken[:2], "big")


def test_odd_queries_are_understood() -> None:
    odd = bytearray(query(rtype="AAAA"))
    odd[3] |= 0x40  # a flag that must be zero
    assert read(bytes(odd)) is None
    assert study(bytes(odd)).rtype == AAAA
    assert study(query() + b"trailing") == plain()


@given(st.binary(max_size=100))
def test_any_bytes_can_be_studied(data: bytes) -> None:
    try:
        question = read(data) or study(data)
    except Refused as refused:
        reply = refused.reply
    else:
        assert question.name == question.section[:-4].lower()
        reply = None
    assert reply is None or reply[:2] == data[:2]
