"""Commands about names."""

from typing import Any

import click

from tulle.api.addresses import is_ip, parse_ip
from tulle.api.containers import parse_container
from tulle.api.names import check_name
from tulle.cli.completion import complete_containers
from tulle.cli.session import Session, Word, checked, json_option, pass_session, say, say_json
from tulle.errors import UserError

NAME = Word("name", check_name)
_WORDS = click.argument(
    "words", nargs=-1, required=True, metavar="[IP...] [CONTAINER]", shell_complete=complete_containers
)
_HOSTNAME = click.option(
    "-h", "--hostname", metavar="NAME", type=NAME, help="The name.  [default: the container's]"
)


@click.command("dns-add")
@_HOSTNAME
@_WORDS
@pass_session
def dns_add(session: Session, hostname: str | None, words: tuple[str, ...]) -> None:
    """Add a name for a container, or for addresses that belong to none.

    Without an IP the name is for all addresses of the container; without a container both IPs and -h are
    needed.
    """
    body = _body(hostname, words)
    if "container" not in body and hostname is None:
        raise click.UsageError("addresses without a container need a name: give -h NAME")
    session.client.post("dns", "add", body=body)


@click.command("dns-remove")
@_HOSTNAME
@_WORDS
@pass_session
def dns_remove(session: Session, hostname: str | None, words: tuple[str, ...]) -> None:
    """Remove names of a container, or of addresses that belong to none.

    What is not given matches everything: a container alone loses all its names.
    """
    body = _body(hostname, words)
    if "container" not in body and hostname is None:
        raise click.UsageError("addresses without a container need a name: give -h NAME")
    if not session.client.post("dns", "remove", body=body)["removed"]:
        raise UserError("nothing was removed: this host has registered no such name; `status dns` lists all")


@click.command("dns-lookup")
@click.argument("name", type=NAME)
@json_option()
@pass_session
def dns_lookup(session: Session, name: str, as_json: bool) -> None:
    """Print the addresses of a name, one a line."""
    answer = session.client.get_json("dns", "lookup", name=name)
    if as_json:
        say_json(answer)
    elif not answer["addresses"]:
        raise UserError(f"no live container has the name {name}; `status dns` lists the names")
    else:
        say("\n".join(answer["addresses"]))


@click.command("dns-args")
@pass_session
def dns_args(session: Session) -> None:
    """Print the options that give a container this host's DNS server."""
    address, _, port = session.client.get("dns-address-port").rpartition(":")
    if port != "53":
        raise UserError(
            f"the DNS server of this host listens on port {port} of {address}, and no container can be told a"
            " port; launch with --dns-listen-address ADDRESS:53, or with the default, to have them served"
        )
    say(f"--dns={address} --dns-search={session.client.get('domain')}")


def _body(hostname: str | None, words: tuple[str, ...]) -> dict[str, Any]:
    """IPs first, then perhaps a container."""
    body: dict[str, Any] = {}
    addresses = list(words)
    if not is_ip(words[-1]):
        body["container"] = addresses.pop()
        checked(parse_container, body["container"])
    for address in addresses:
        checked(parse_ip, address)
    if hostname is not None:
        body["hostname"] = hostname
    return {**body, "addresses": addresses}
