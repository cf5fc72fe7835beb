"""What ``weave launch`` took and ``launch`` does not: the same thing under another name, or one clear line.

Weave Net's script passed on every flag of its router, and read variables about the containers that it ran in;
unit files and scripts still say them. What is harmless to leave out is left out with a note. What would give
another network than the one asked for is refused.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import click

from tulle.cli.session import note

RENAMED = {
    "--weave-bridge": "--bridge",
    "-iprange": "--ipalloc-range",
    "--iprange": "--ipalloc-range",
    "--connlimit": "--conn-limit",
    "-nodiscovery": "--no-discovery",
    "-password": "--password",
}
"""Old spellings, and Weave Net's own names for what is called otherwise here."""


class Foreign(NamedTuple):
    """One flag of theirs that has no counterpart. ``takes`` is None for a switch."""

    takes: str | None
    why: str


NEEDLESS = {
    "--bufsz": Foreign("BYTES", "the data path is the kernel's and sizes its buffers itself"),
    "--datapath": Foreign("NAME", "the data path needs no name"),
    "--db-prefix": Foreign("PATH", "state is kept where --state-dir says"),
    "--docker-bridge": Foreign("NAME", "nothing here depends on Docker's bridge"),
    "--host-root": Foreign("PATH", "the daemon runs on the host, not in a container"),
    "--min-protocol-version": Foreign("N", "the protocol is version 2 with every peer"),
    "--no-bridged-fastdp": Foreign(None, "frames go past the bridge anyway, unless --no-bypass is given"),
    "--pkt-debug": Foreign(None, "packets are not logged; tcpdump in the container's namespace shows them"),
    "--pktdebug": Foreign(None, "packets are not logged; tcpdump in the container's namespace shows them"),
    "--plugin-mesh-socket": Foreign("PATH", "the driver has one socket, where Docker looks for it"),
    "--plugin-socket": Foreign("PATH", "the driver has one socket, where Docker looks for it"),
    "--plugin-v2-multicast": Foreign(None, "multicast goes into the network unless told otherwise"),
    "--proc-path": Foreign("PATH", "the daemon runs on the host, not in a container"),
    "--profile": Foreign("PORT", "there is no profiler to serve"),
}
"""Left out with a note: the network is the same without."""

IMPOSSIBLE = {
    "--advertise-address": Foreign("IP", "there is no discovery service; name a peer to connect to"),
    "--awsvpc": Foreign(None, "routes in a cloud's tables are not made here; the overlay works there too"),
    "--expect-npc": Foreign(None, "there is no network policy here to wait for"),
    "--init-peer-count": Foreign("N", "write --ipalloc-init consensus=N"),
    "--no-masq-local": Foreign(None, "use `expose --without-masquerade`"),
    "--peer-discovery-url": Foreign("URL", "there is no discovery service; name a peer to connect to"),
    "--print-peer-name": Foreign(None, "`report -f '{{.Router.Name}}'` prints it"),
    "--token": Foreign("TOKEN", "there is no discovery service; name a peer to connect to"),
}
"""Refused: without it the network would not be what was asked for."""

UNUSED_VARIABLES = {
    "AWSVPC": IMPOSSIBLE["--awsvpc"].why,
    "HAIRPIN_MODE": "ports of the bridge need no hairpin",
    "WEAVEEXEC_DOCKER_ARGS": "commands run on the host, not in a container",
    "WEAVE_CNI_PLUGIN_DIR": "no CNI plugin is installed",
    "WEAVE_CONTAINER_NAME": "the daemon runs on the host, not in a container",
    "WEAVE_DOCKER_ARGS": "the daemon runs on the host, not in a container",
    "WEAVE_NO_BRIDGED_FASTDP": NEEDLESS["--no-bridged-fastdp"].why,
    "WEAVE_VERSION": "no image is pulled; the version is that of this program",
}
"""Variables of the script that change nothing here; a note says so when one is set."""


def modern(words: list[str]) -> list[str]:
    """The command line with today's names of flags."""
    return [_modern(word) for word in words]


def _modern(word: str) -> str:
    name, equals, value = word.partition("=")
    return RENAMED.get(name, name) + equals + value


def foreign_options() -> Iterator[click.Option]:
    """Hidden options that take what is not there, and say so."""
    for spelling, flag in NEEDLESS.items():
        yield _option(spelling, flag, _leave_out)
    for spelling, flag in IMPOSSIBLE.items():
        yield _option(spelling, flag, _refuse)


def note_unused_variables(environment: Mapping[str, str] = os.environ) -> None:
    """One line for each variable that somebody set in vain."""
    for name, why in UNUSED_VARIABLES.items():
        if environment.get(name):
            note(f"note: {name} changes nothing: {why}")


def _option(spelling: str, flag: Foreign, callback: Callable[..., None]) -> click.Option:
    switch = flag.takes is None
    return click.Option(
        [spelling],
        is_flag=switch,
        type=bool if switch else str,
        metavar=flag.takes,
        hidden=True,
        expose_value=False,
        callback=callback,
    )


def _leave_out(ctx: click.Context, param: click.Parameter, value: object) -> None:
    if value:
        spelling = param.opts[0]
        note(f"note: {spelling} changes nothing: {NEEDLESS[spelling].why}")


def _refuse(ctx: click.Context, param: click.Parameter, value: object) -> None:
    if value:
        spelling = param.opts[0]
        raise click.UsageError(f"there is no {spelling}: {IMPOSSIBLE[spelling].why}", ctx)
