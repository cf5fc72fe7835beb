"""Commands about peers and the address range."""

import click

from tulle.api.names import check_target
from tulle.cli.session import Session, Word, pass_session, say
from tulle.cli.waiting import explained

PEER = Word("peer", check_target)


@click.command()
@click.option("--replace", is_flag=True, help="These become the only peers to connect to.")
@click.argument("peers", nargs=-1, type=PEER, metavar="PEER...")
@pass_session
def connect(session: Session, replace: bool, peers: tuple[str, ...]) -> None:
    """Connect to more peers, each given as HOST or HOST:PORT."""
    if not peers and not replace:
        raise click.UsageError("name at least one peer")
    query = {"peer": peers, "replace": "true" if replace else "false"}
    session.client.request("POST", ["connect"], query)


@click.command()
@click.argument("peers", nargs=-1, required=True, type=PEER, metavar="PEER...")
@pass_session
def forget(session: Session, peers: tuple[str, ...]) -> None:
    """Stop connecting to peers, given as they were to launch or connect.

    A connection that exists stays until it ends.
    """
    session.client.request("POST", ["forget"], {"peer": peers})


@click.command()
@click.option("--force", is_flag=True, help="You know that it is gone. If it runs, addresses go out twice.")
@click.argument("peers", nargs=-1, required=True, metavar="PEER...")
@pass_session
def rmpeer(session: Session, force: bool, peers: tuple[str, ...]) -> None:
    """Take over the addresses of peers that are gone for good, given by nickname or name.

    Only for peers that will not come back as they were. Refused where nobody can know whether a peer still
    runs: its machine does not answer, or other owners of addresses cannot be asked.
    """
    for peer in peers:
        query = {"force": "true"} if force else {}
        with explained(session.client, "the other peers' view of its addresses"):
            say(session.client.request("DELETE", ["peer", peer], query, wait=True).text)


@click.command()
@pass_session
def prime(session: Session) -> None:
    """Wait until addresses can be given out."""
    with explained(session.client, "the peers to agree on the address range"):
        session.client.get("ring", wait=True)
