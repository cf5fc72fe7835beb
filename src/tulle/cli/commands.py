"""The table of commands, in the order in which help shows them, and how they are found.

A command's module is imported when the command is run, so that each pays only for itself.
"""

import importlib
from typing import Any, NamedTuple

import click

from tulle import __version__
from tulle.cli.personality import Personality
from tulle.cli.removed import needless_command, removed_command
from tulle.cli.session import Session, add_common_options, common_option, say


class Entry(NamedTuple):
    """Where a command lives: ``module:attribute`` under tulle.cli, and what help says in one line."""

    place: str
    text: str
    options: tuple[str, ...] = ("socket",)


_BOTH = ("socket", "state_dir")
COMMANDS = {
    "launch": Entry("launch:launch", "Start the daemon and join the network.", _BOTH),
    "prime": Entry("network:prime", "Wait until addresses can be given out."),
    "stop": Entry("lifecycle:stop", "End the daemon; containers stay connected.", _BOTH),
    "reset": Entry("lifecycle:reset", "Leave the network and remove everything from this machine.", _BOTH),
    "connect": Entry("network:connect", "Connect to more peers."),
    "forget": Entry("network:forget", "Stop connecting to peers."),
    "rmpeer": Entry("network:rmpeer", "Take over the addresses of a peer that is gone for good."),
    "attach": Entry("containers:attach", "Connect a container."),
    "detach": Entry("containers:detach", "Disconnect a container."),
    "expose": Entry("containers:expose", "Connect this host itself."),
    "hide": Entry("containers:hide", "Disconnect this host."),
    "dns-add": Entry("names:dns_add", "Add names of a container or of other addresses."),
    "dns-remove": Entry("names:dns_remove", "Remove names."),
    "dns-lookup": Entry("names:dns_lookup", "Print the addresses of a name."),
    "dns-args": Entry("names:dns_args", "Print the resolver options for starting containers."),
    "env": Entry("docker_env:env", "Print what makes Docker clients use the proxy."),
    "config": Entry("docker_env:config", "Print the option that makes a Docker command use the proxy."),
    "docker-tls-args": Entry("docker_env:docker_tls_args", "Print the TLS options of the Docker engine.", ()),
    "status": Entry("show:status", "Show how things are, and what is wrong."),
    "report": Entry("show:report", "Print everything as JSON, or as a template wants it."),
    "ps": Entry("show:ps", "List attached containers."),
    "simulate": Entry("simulate:simulate", "Simulate whole clusters, and all that can happen to them.", ()),
    "version": Entry("show:version", "Print the versions."),
    "completion": Entry("completion:completion", "Print the set-up for completion in a shell.", ()),
    "help": Entry("helping:help_command", "Explain a command.", ()),
}


class Cli(click.Group):
    """The whole command line under one personality."""

    def __init__(self, personality: Personality) -> None:
        super().__init__(
            name=personality.command,
            help="Connects containers on many hosts into one network, with no server and no store.",
            context_settings={"help_option_names": ["--help"], "max_content_width": 100},
            params=[common_option(field, personality) for field in _BOTH],
        )
        self.params += [_local_option(), _version_option()]
        self.personality = personality
        self._made: dict[str, click.Command] = {}

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Every run has a session of its own."""
        extra.setdefault("obj", Session(self.personality))
        return super().make_context(info_name, args, parent, **extra)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name, imported now."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return needless_command(cmd_name) or removed_command(cmd_name)
        if cmd_name not in self._made:
            module, attribute = entry.place.split(":")
            found = getattr(importlib.import_module(f"tulle.cli.{module}"), attribute)
            command: click.Command = found if isinstance(found, click.Command) else found(self.personality)
            add_common_options(command, entry.options)
            self._made[cmd_name] = command
        return self._made[cmd_name]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """From the table, so that help imports nothing."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.text) for name, entry in COMMANDS.items()])


def _version_option() -> click.Option:
    """The version of the program alone; the command also asks the daemon."""

    def tell(ctx: click.Context, param: click.Parameter, value: bool) -> None:
        if value:
            say(f"{ctx.info_name} {__version__}")
            ctx.exit()

    return click.Option(
        ["--version"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=tell,
        help="Print the version.",
    )


def _local_option() -> click.Option:
    """Scripts for Weave Net may say this; commands always run in place here."""
    return click.Option(["--local"], is_flag=True, hidden=True, expose_value=False)
