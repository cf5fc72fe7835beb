"""Commands that connect containers and the host."""

from typing import Any

import click

from tulle.api.addresses import is_ip, parse_spec
from tulle.api.client import Client
from tulle.api.containers import parse_container
from tulle.api.names import check_name
from tulle.cli.completion import complete_containers
from tulle.cli.session import Session, Word, checked, json_option, pass_session, say_addresses
from tulle.cli.waiting import explained

ADDRESS = Word("address", parse_spec)
NAME = Word("name", check_name)

ADDRESS_HELP = """
An ADDRESS is [ip:]CIDR for that very address, net:CIDR for any free one of a subnet, or net:default; the last
is also what no address means.
"""
WORDS_HELP = (
    "CONTAINER is a Docker name or id, netns:NAME, the path of a network namespace, or pid:N. "
    + ADDRESS_HELP.strip()
)


@click.command(epilog=WORDS_HELP)
@click.option("--hostname", metavar="NAME", type=NAME, help="Its name in DNS.  [default: the container's]")
@click.option("--without-dns", is_flag=True, help="Register no name and leave its resolv.conf alone.")
@click.option("--rewrite-hosts", is_flag=True, help="Write its addresses and name into its hosts file.")
@click.option(
    "--add-host", "extra_hosts", multiple=True, metavar="NAME:IP", help="Write this into its hosts file."
)
@click.option("--no-multicast-route", is_flag=True, help="Do not send its multicast into this network.")
@click.argument(
    "words", nargs=-1, required=True, metavar="[ADDRESS...] CONTAINER", shell_complete=complete_containers
)
@json_option()
@pass_session
def attach(session: Session, /, words: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Connect a container and print its addresses."""
    body = {**_addressed(words), **{key: value for key, value in options.items() if value}}
    if "extra_hosts" in body:
        for entry in body["extra_hosts"]:
            checked(_check_extra_host, entry)
    say_addresses(_post(session.client, "attach", body), as_json)


@click.command(epilog=WORDS_HELP)
@click.argument(
    "words", nargs=-1, required=True, metavar="[ADDRESS...] CONTAINER", shell_complete=complete_containers
)
@json_option()
@pass_session
def detach(session: Session, words: tuple[str, ...], as_json: bool) -> None:
    """Disconnect a container and print the addresses it gave up."""
    say_addresses(_post(session.client, "detach", _addressed(words)), as_json)


@click.command(epilog=ADDRESS_HELP)
@click.option("-h", "--hostname", metavar="NAME", type=NAME, help="The host's name in DNS.")
@click.option(
    "--without-masquerade", is_flag=True, help="Leave the senders of forwarded packets as they are."
)
@click.argument("addresses", nargs=-1, type=ADDRESS, metavar="[ADDRESS...]")
@json_option()
@pass_session
def expose(
    session: Session,
    hostname: str | None,
    without_masquerade: bool,
    addresses: tuple[str, ...],
    as_json: bool,
) -> None:
    """Connect this host itself, so that it and containers reach each other, and print its addresses."""
    body: dict[str, Any] = {"addresses": addresses, "without_masquerade": without_masquerade}
    if hostname is not None:
        body["hostname"] = hostname
    say_addresses(_post(session.client, "expose", body), as_json)


@click.command(epilog=ADDRESS_HELP)
@click.argument("addresses", nargs=-1, type=ADDRESS, metavar="[ADDRESS...]")
@json_option()
@pass_session
def hide(session: Session, addresses: tuple[str, ...], as_json: bool) -> None:
    """Disconnect this host and print the addresses it gave up."""
    say_addresses(_post(session.client, "hide", {"addresses": addresses}), as_json)


def _addressed(words: tuple[str, ...]) -> dict[str, Any]:
    """Addresses first, the container last."""
    *addresses, container = words
    if _is_address(container) and not addresses:
        raise click.UsageError(f"which container? {container!r} is an address; the container comes last")
    for address in addresses:
        checked(parse_spec, address)
    checked(parse_container, container)
    return {"container": container, "addresses": addresses}


def _is_address(word: str) -> bool:
    return word.startswith(("ip:", "net:")) or (word[:1].isdigit() and "/" in word) or is_ip(word)


def _check_extra_host(entry: str) -> None:
    from tulle.api.addresses import parse_ip

    name, _, address = entry.rpartition(":")
    check_name(name)
    parse_ip(address)


def _post(client: Client, row: str, body: dict[str, Any]) -> dict[str, list[str]]:
    """Send a request that may have to wait for an address."""
    with explained(client, "an address"):
        answer: dict[str, list[str]] = client.post(row, body=body, wait=True)
        return answer
