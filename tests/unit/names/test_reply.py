import random
from collections import Counter

import dns.message
import pytest

from names.builders import ip
from tulle.names.hostname import wire_form
from tulle.names.question import Question, read
from tulle.names.reply import RECORD, Addresses, Positive, Replies

NAME = "web.tulle.internal."


def question(name: str = NAME, rtype: str = "A", **options: object) -> Question:
    read_back = read(dns.message.make_query(name, rtype, **options).to_wire())  # type: ignore[arg-type]
    assert read_back is not None
    return read_back


def addresses(count: int, seed: int = 1) -> Addresses:
    return Addresses([ip("10.32.0.1") + number for number in range(count)], 1, random.Random(seed))


def parsed(answer: bytes) -> dns.message.Message:
    return dns.message.from_wire(b"\0\7" + answer)


def first(records: bytes) -> int:
    return records[RECORD - 1]


@pytest.mark.parametrize("count", [1, 2, 3, 7, 100])
def test_each_round_puts_every_address_first_once(count: int) -> None:
    dealt = addresses(count)
    for _ in range(5):
        assert sorted(first(dealt.deal(RECORD * count)) for _ in range(count)) == list(range(1, count + 1))


def test_each_answer_has_every_address_once() -> None:
    dealt = addresses(5)
    for _ in range(20):
        records = dealt.deal(RECORD * 5)
        assert {records[end - 1] for end in range(RECORD, len(records) + 1, RECORD)} == {1, 2, 3, 4, 5}


def test_the_first_answer_of_all_is_no_more_likely_to_be_one_address_than_another() -> None:
    firsts = Counter(first(addresses(3, seed).deal(RECORD)) for seed in range(3000))
    assert all(900 < count < 1100 for count in firsts.values())


def test_every_order_of_addresses_comes_up() -> None:
    dealt = addresses(3)
    orders = Counter(dealt.deal(RECORD * 3)[RECORD - 1 :: RECORD] for _ in range(3000))
    assert len(orders) == 6
    assert all(count > 350 for count in orders.values())


def test_what_fits_exactly_is_not_cut() -> None:
    asked = question()
    exact = 12 + len(asked.section) + 3 * RECORD
    whole = Positive(asked, addresses(3), exact).deal()
    cut = Positive(asked, addresses(3), exact - 1).deal()
    assert len(whole) == exact - 2
    assert not parsed(whole).flags & dns.flags.TC
    assert parsed(cut).flags & dns.flags.TC
    assert len(parsed(cut).answer[0]) == 2


def test_room_is_kept_for_the_edns_record() -> None:
    asked = question(use_edns=0, payload=512)
    answer = Positive(asked, addresses(100), asked.size).deal()
    assert len(answer) + 2 <= 512
    assert parsed(answer).edns == 0


def test_negative_answers_in_the_domain_say_how_long_they_hold() -> None:
    replies = Replies(wire_form("tulle.internal."), 7)
    for asked in (question(), question("a.b.c.tulle.internal.", "AAAA", use_edns=0)):
        (soa,) = parsed(replies.no_name(asked, True)).authority
        assert str(soa) == (
            "tulle.internal. 7 IN SOA tulle.internal. hostmaster.tulle.internal. 1 3600 600 86400 7"
        )


def test_the_authority_is_found_behind_the_longest_name() -> None:
    name = ".".join(["x" * 63, "x" * 63, "x" * 63, "x" * 59, "d", ""])
    (soa,) = parsed(Replies(wire_form("d."), 7).no_name(question(name), True)).authority
    assert soa.name.to_text() == "d."


def test_negative_answers_outside_have_no_authority() -> None:
    replies = Replies(wire_form("tulle.internal."), 7)
    answer = parsed(replies.no_name(question("web."), False))
    assert not answer.authority
    assert not answer.flags & dns.flags.AA
    assert answer.flags & dns.flags.RA
