"""Commands that only look."""

import json
from typing import Any

import click

from tulle import __version__
from tulle.api.client import Client, NotRunning, Refused
from tulle.api.containers import EXPOSED_HOST, parse_container
from tulle.cli.completion import complete_containers
from tulle.cli.session import Session, checked, json_option, pass_session, say, say_json

VIEWS = {
    "targets": ("Router", "Targets"),
    "connections": ("Router", "Connections"),
    "peers": ("Router", "Peers"),
    "dns": ("DNS",),
    "ipam": ("IPAM",),
    "groups": ("Router", "MulticastInterests"),
}
"""The views of ``status``, and which part of the report each one shows."""


@click.command()
@click.argument("view", required=False, type=click.Choice(list(VIEWS)))
@json_option()
@pass_session
def status(session: Session, view: str | None, as_json: bool) -> None:
    """Show how things are: a summary with what needs attention, or one table.

    targets: peers to connect to; connections: ours; peers: everyone's; dns: names; ipam: who owns which share
    of the addresses; groups: multicast groups and who listens.
    """
    if not as_json:
        say(session.client.get("status", *([view] if view else [])))
        return
    part: Any = session.client.get_json("report")
    for key in VIEWS[view] if view else ():
        part = part[key]
    say_json(part)


@click.command()
@click.option("-f", "--format", "template", metavar="TEMPLATE", help="A template in Go's language.")
@click.option("--json", is_flag=True, expose_value=False, help="Print JSON, as without any option.")
@pass_session
def report(session: Session, template: str | None) -> None:
    """Print everything the daemon knows about itself as JSON, or fill in a template.

    Templates can use fields, variables, range, if, with, and functions, among them json, index, len and
    printf: tulle report -f '{{range .Router.Peers}}{{.NickName}} {{end}}'
    """
    if template is None:
        say(session.client.get("report"))
    else:
        say(_filled_in(session.client, template))


def _filled_in(client: Client, template: str) -> str:
    try:
        return client.get("report", format=template)
    except Refused as error:
        if error.status == 400:
            raise click.UsageError(str(error), click.get_current_context()) from None
        raise


@click.command()
@click.argument("containers", nargs=-1, metavar="[CONTAINER...]", shell_complete=complete_containers)
@json_option()
@pass_session
def ps(session: Session, containers: tuple[str, ...], as_json: bool) -> None:
    """List attached containers with MAC and addresses; the host itself is weave:expose."""
    for container in containers:
        if container != EXPOSED_HOST:
            checked(parse_container, container)
    accept = "application/json" if as_json else "*/*"
    text = session.client.request("GET", ["ps"], {"container": containers}, accept=accept).text
    if as_json:
        say_json(json.loads(text))
    else:
        say(text)


@click.command()
@json_option()
@pass_session
def version(session: Session, as_json: bool) -> None:
    """Print the version of this program and of the daemon that is running."""
    try:
        daemon = session.client.get_json("report")["Version"]
    except NotRunning:
        daemon = None
    if as_json:
        say_json({"command": __version__, "daemon": daemon})
        return
    say(f"{session.personality.command} {__version__}")
    say(f"daemon {daemon or 'not running'}")
