import pytest

from tulle.errors import UserError
from tulle.host.attachments import from_alias, to_alias
from tulle.host.container import Container


@pytest.mark.parametrize(
    "container",
    [
        Container("boot-7", "boot-7", "netns:web1"),
        Container("8d1e2f" * 10, "boot-7", "pid:12"),
        Container("boot-7", "boot-7", "netns:/a path/with spaces"),
    ],
)
def test_an_alias_gives_the_container_back(container: Container) -> None:
    assert from_alias(to_alias(container, "tulle0")) == (container, "tulle0")


@pytest.mark.parametrize("alias", [None, "", "uplink to rack 7", "tulle x", "tulle  ", "other a b c d"])
def test_other_aliases_are_not_ours(alias: str | None) -> None:
    assert from_alias(alias) is None


def test_a_reference_too_long_for_an_alias_is_refused() -> None:
    with pytest.raises(UserError, match="too long a name"):
        to_alias(Container("boot-7", "boot-7", "netns:/" + "x" * 250), "tulle0")
