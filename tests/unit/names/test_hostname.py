import dns.name
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tulle.errors import UserError
from tulle.names.hostname import (
    complete,
    complete_inside,
    is_hostname,
    parents,
    parse_domain,
    wire_form,
)

DOMAIN = "tulle.internal."
label = st.from_regex(r"\A[A-Za-z0-9_-]{1,63}\Z")


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("web", "web.tulle.internal."),
        ("Web", "Web.tulle.internal."),
        ("web.tulle.internal", "web.tulle.internal."),
        ("a.b.tulle.internal.", "a.b.tulle.internal."),
        ("www.example.org", "www.example.org."),
        ("web.", "web."),
        ("x" * 63, "x" * 63 + ".tulle.internal."),
    ],
)
def test_names_are_completed(name: str, full: str) -> None:
    assert complete(name, DOMAIN) == full


@pytest.mark.parametrize(
    "name",
    ["", ".", "a..b", ".a", "x" * 64, "wéb", "a b", "a/b", "a.b\n", "x\0", ".".join(["abcdefg"] * 40), "*"],
)
def test_what_cannot_be_a_name_is_refused_with_a_reason(name: str) -> None:
    with pytest.raises(UserError, match="host name"):
        complete(name, DOMAIN)


def test_a_label_that_only_fits_without_the_domain_is_refused() -> None:
    domain = ".".join(["d" * 60] * 4) + "."
    with pytest.raises(UserError, match="characters"):
        complete("x" * 30, domain)


@pytest.mark.parametrize("name", ["www.example.org", "tulle.internal", "xtulle.internal", "web."])
def test_names_outside_the_domain_are_refused_with_advice(name: str) -> None:
    with pytest.raises(UserError, match=r"not under the domain tulle\.internal.*give a name like web\."):
        complete_inside(name, DOMAIN)


def test_the_domain_matches_in_any_case() -> None:
    assert complete_inside("Web.TULLE.Internal", DOMAIN) == "Web.TULLE.Internal."


def test_domains_are_lower_case_with_a_dot() -> None:
    assert parse_domain("My.Company.local") == "my.company.local."
    assert parse_domain("weave.local.") == "weave.local."
    with pytest.raises(UserError, match="domain"):
        parse_domain("a b")


@pytest.mark.parametrize(
    ("full", "answer"),
    [
        ("a.b.", True),
        ("_a-.b.", True),
        ("a.b", False),
        ("a..", False),
        (".", False),
        ("", False),
        ("é.b.", False),
    ],
)
def test_names_from_the_network_are_judged_by_the_same_rule(full: str, answer: bool) -> None:
    assert is_hostname(full) is answer


@given(st.text())
def test_any_text_from_the_network_can_be_judged(text: str) -> None:
    if is_hostname(text):
        assert wire_form(text) == dns.name.from_text(text.lower()).to_wire()


@given(st.lists(label, min_size=1, max_size=3))
def test_the_wire_form_is_that_of_dns(labels: list[str]) -> None:
    full = ".".join(labels) + "."
    assert wire_form(full) == dns.name.from_text(full.lower()).to_wire()


def test_parents_are_the_names_between_a_name_and_its_domain() -> None:
    domain = wire_form(DOMAIN)
    assert parents(wire_form("a.b.c." + DOMAIN), domain) == [
        wire_form("b.c." + DOMAIN),
        wire_form("c." + DOMAIN),
    ]
    assert parents(wire_form("a." + DOMAIN), domain) == []
