"""What containers are called by themselves."""

import pytest

from tulle.docker.engine import Config, Inspected, State
from tulle.docker.naming import own_name
from tulle.errors import UserError

ID = "0123456789ab" + "c" * 52
DOMAIN = "tulle.internal."


@pytest.mark.parametrize(
    ("name", "hostname", "domainname", "expected"),
    [
        ("/web", ID[:12], "", "web.tulle.internal."),
        ("/compose_web_1", ID[:12], "", "compose_web_1.tulle.internal."),
        ("/web", "", "", "web.tulle.internal."),
        ("/web", "db", "", "db.tulle.internal."),
        ("/web", "db", "tulle.internal", "db.tulle.internal."),
        ("/web", "db.tulle.internal", "", "db.tulle.internal."),
        ("/web", "DB.Tulle.Internal.", "", "DB.Tulle.Internal."),
        ("/web", "a.b.tulle.internal", "", "a.b.tulle.internal."),
        ("/web", "db.example.com", "", None),
        ("/web", "db", "example.com", None),
        ("/web", "tulle.internal", "", None),
        ("/web", "db.nottulle.internal", "", None),
    ],
)
def test_a_chosen_host_name_comes_before_the_name(
    name: str, hostname: str, domainname: str, expected: str | None
) -> None:
    container = Inspected(ID, name, State(), Config(hostname=hostname, domainname=domainname))
    assert own_name(container, DOMAIN) == expected


@pytest.mark.parametrize("name", ["/web.1", "/" + "x" * 64])
def test_names_that_dns_cannot_have_are_said(name: str) -> None:
    with pytest.raises(UserError):
        own_name(Inspected(ID, name, State(), Config(hostname=ID[:12])), DOMAIN)
