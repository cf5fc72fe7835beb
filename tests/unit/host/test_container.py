from pathlib import Path

import pytest

from tulle.errors import UserError
from tulle.host.container import is_reference, parse_reference


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("netns:web1", "/run/netns/web1"),
        ("netns:cni-5c1f.x", "/run/netns/cni-5c1f.x"),
        ("netns:/var/run/docker/netns/ab", "/var/run/docker/netns/ab"),
        ("/var/run/docker/netns/ab", "/var/run/docker/netns/ab"),
        ("pid:1234", "/proc/1234/ns/net"),
        ("pid:007", "/proc/7/ns/net"),
    ],
)
def test_references(text: str, path: str) -> None:
    assert parse_reference(text) == Path(path)
    assert is_reference(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "web1", "netns:", "netns:..", "netns:.", "netns:a/b", "netns:a b", "netns:" + "x" * 256),
        *("pid:", "pid:0", "pid:-1", "pid:x", "pid:1 ", "pid:\u0661", "pid", "netns", "tcp:80"),
    ],
)
def test_what_names_nothing_is_refused_with_the_forms_that_do(text: str) -> None:
    with pytest.raises(UserError, match=r"netns:NAME .* pid:NUMBER") as refused:
        parse_reference(text)
    assert refused.value.status == 400


def test_an_engines_id_is_no_reference() -> None:
    assert not is_reference("8d1e2f")
    assert not is_reference("my-container")
