from hypothesis import given
from hypothesis import strategies as st

from names.builders import OTHER, THIRD, entry, ip
from tulle.names.directory import Directory
from tulle.names.entry import Entry
from tulle.names.hostname import wire_form

DOMAIN = "tulle.internal."


def directory(*entries: Entry) -> Directory:
    made = Directory(DOMAIN)
    for each in entries:
        made.add(each)
    return made


def name(text: str) -> bytes:
    return wire_form(f"{text}.{DOMAIN}")


def test_a_name_has_every_address_once_in_order_whatever_its_case() -> None:
    listed = directory(
        entry("Web", address="10.0.0.10"),
        entry("web", address="10.0.0.9", origin=THIRD),
        entry("web", address="10.0.0.9", container="c2"),
    )
    assert listed.addresses(name("wEB")) == (ip("10.0.0.9"), ip("10.0.0.10"))


def test_the_same_tuple_comes_back_until_the_name_changes() -> None:
    listed = directory(entry("a"))
    first = listed.addresses(name("a"))
    listed.add(entry("b"))
    assert listed.addresses(name("a")) is first
    listed.add(entry("a", address="10.0.0.2"))
    assert listed.addresses(name("a")) != first


def test_unknown_names_have_no_address_and_leave_no_trace() -> None:
    listed = directory()
    assert listed.addresses(name("a")) == ()
    listed.discard(entry("a").key)
    assert listed.generation == 0


def test_the_generation_goes_up_with_every_change() -> None:
    listed = directory(entry("a"))
    before = listed.generation
    listed.discard(entry("a").key)
    assert listed.generation > before


def test_an_address_leads_to_one_name_always_the_same() -> None:
    listed = directory(entry("b", container="c2"), entry("a"), entry("c", origin=THIRD))
    assert listed.reverse(ip("10.32.0.1")) == f"a.{DOMAIN}"
    listed.discard(entry("a").key)
    assert listed.reverse(ip("10.32.0.1")) == f"b.{DOMAIN}"
    assert listed.reverse(ip("10.32.0.2")) is None


def test_a_name_above_others_exists_as_long_as_they_do() -> None:
    listed = directory(entry("a.b.c"), entry("x.c"))
    assert listed.is_parent(name("b.c"))
    assert listed.is_parent(name("c"))
    assert not listed.is_parent(wire_form(DOMAIN))
    listed.discard(entry("a.b.c").key)
    assert not listed.is_parent(name("b.c"))
    assert listed.is_parent(name("c"))
    listed.discard(entry("x.c").key)
    assert not listed.is_parent(name("c"))


def test_two_entries_of_a_name_count_once_for_the_names_above_it() -> None:
    listed = directory(entry("a.b"), entry("a.b", origin=THIRD))
    listed.discard(entry("a.b").key)
    assert listed.is_parent(name("b"))
    listed.discard(entry("a.b", origin=THIRD).key)
    assert not listed.is_parent(name("b"))


def test_names_that_no_query_can_ask_for_are_left_out() -> None:
    for hostname in ("has space", "é", "x" * 64, ""):
        listed = directory(entry(hostname))
        assert listed.reverse(ip("10.32.0.1")) is None
        listed.discard(entry(hostname).key)


@given(
    st.lists(
        st.tuples(
            st.booleans(),
            st.builds(
                entry,
                st.sampled_from(["a", "A", "a.b", "b"]),
                st.sampled_from([OTHER, THIRD]),
                st.sampled_from(["10.0.0.1", "10.0.0.2"]),
            ),
        )
    )
)
def test_indexes_say_what_a_scan_of_all_entries_would(steps: list[tuple[bool, Entry]]) -> None:
    listed, model = directory(), set[Entry]()
    for add, each in steps:
        if add:
            listed.add(each)
            model.add(each)
        else:
            listed.discard(each.key)
            model.discard(each)
    for text in ("a", "a.b", "b"):
        wire = name(text)
        matching = {each.key for each in model if wire_form(each.key.hostname) == wire}
        assert set(listed.addresses(wire)) == {key.ip for key in matching}
        assert set(listed.named(wire)) == matching
    for address in ("10.0.0.1", "10.0.0.2"):
        number = int(ip(address))
        assert set(listed.at(number)) == {each.key for each in model if each.key.address == number}
    assert listed.is_parent(name("b")) == any(each.key.hostname.lower().startswith("a.b") for each in model)
