"""``stop`` and ``reset``."""

import click

from tulle.api.client import Client, NotRunning
from tulle.cli.session import Session, pass_session, say
from tulle.errors import UserError


@click.command()
@pass_session
def stop(session: Session) -> None:
    """End the daemon and wait until it is gone.

    Containers keep their interfaces and addresses, and those on this host go on talking to each other and to
    others; the next launch takes them over.
    """
    client = session.client
    pid = client.pid()
    client.post("stop")
    _wait_gone(client, pid)


@click.command()
@click.option("--force", is_flag=True, help="Also when the addresses cannot be handed to another peer.")
@pass_session
def reset(session: Session, force: bool) -> None:
    """Leave the network, hand this host's addresses to other peers, and remove everything from this machine.

    Containers lose their interfaces. Without a running daemon nothing can be handed over: the others keep
    counting this host's addresses as taken until rmpeer is run for it.
    """
    client = session.client
    try:
        pid = client.pid()
        client.request("POST", ["reset"], {"force": "true"} if force else {}, wait=True)
    except NotRunning:
        _clean_up(session)
        return
    _wait_gone(client, pid)


def _wait_gone(client: Client, pid: int | None) -> None:
    if not client.wait_gone(pid):
        who = f"process {pid}" if pid else "the daemon"
        raise UserError(f"{who} was told to end but is still there; its log may say why")


def _clean_up(session: Session) -> None:
    import asyncio

    from tulle.daemon.cleanup import remove_everything
    from tulle.daemon.options import parse_options

    personality = session.personality
    flags = {
        "bridge": personality.bridge,
        "interface": personality.interface,
        "socket": session.socket,
        "state_dir": session.state_dir,
    }
    asyncio.run(remove_everything(parse_options(flags)))
    say("no daemon was running: removed what was on this machine; the other peers do not know")
