"""Commands that point a Docker client at the proxy: ``eval $(tulle env)`` and then plain ``docker run``."""

import json
import os
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import click

from tulle.api.client import Refused
from tulle.cli.session import Session, note, pass_session, say
from tulle.errors import UserError

TLS_FLAGS = ("tls", "tlsverify", "tlscacert", "tlscert", "tlskey")
_SWITCHES = ("tls", "tlsverify")
_ANY_HOST = ("0.0.0.0", "::", "")


@click.command()
@click.option("--restore", is_flag=True, help="Go back to the engine that was used before.")
@pass_session
def env(session: Session, restore: bool) -> None:
    """Print the shell command that makes Docker clients use the proxy: eval $(tulle env).

    Containers that they start from then on are attached before their command runs.
    """
    say(restored(os.environ) if restore else exported(_proxy(session), os.environ))


@click.command()
@pass_session
def config(session: Session) -> None:
    """Print the option that makes one Docker command use the proxy: docker $(tulle config) run ..."""
    say(f"-H={_proxy(session)}")


@click.command("docker-tls-args")
@pass_session
def docker_tls_args(session: Session) -> None:
    """Print the TLS options that the Docker engine of this host was started with."""
    flags = engine_tls_flags()
    if flags is None:
        raise UserError("no Docker engine runs on this host")
    say(" ".join(map(shlex.quote, flags)))


def exported(proxy: str, environment: Mapping[str, str]) -> str:
    """The shell's words: use the proxy, and remember what was used before."""
    words = [f"DOCKER_HOST={proxy}"]
    before = environment.get("DOCKER_HOST", "")
    if before != proxy:
        words.append(f"ORIG_DOCKER_HOST={before}")
    return " ".join(["export", *map(shlex.quote, words)])


def restored(environment: Mapping[str, str]) -> str:
    """The shell's words that undo ``exported``; nothing, with a note, where it was never done."""
    if "ORIG_DOCKER_HOST" not in environment:
        note("note: nothing to restore: the proxy is not in use in this shell")
        return ""
    before = environment["ORIG_DOCKER_HOST"]
    if not before:
        return "unset DOCKER_HOST ORIG_DOCKER_HOST"
    return f"export {shlex.quote(f'DOCKER_HOST={before}')}; unset ORIG_DOCKER_HOST"


def chosen(addresses: list[str], environment: Mapping[str, str]) -> str:
    """The address for a client on this host: a unix socket if there is one.

    ``PROXY_HOST`` is who clients reach a TCP port at, where they are elsewhere.
    """
    for address in addresses:
        if address.startswith("unix://"):
            return address
    url = urlsplit(addresses[0])
    host = environment.get("PROXY_HOST") or (
        "127.0.0.1" if (url.hostname or "") in _ANY_HOST else url.hostname
    )
    return f"tcp://{host}:{url.port}"


def engine_tls_flags() -> list[str] | None:
    """The TLS options of the engine of this host; None where none runs."""
    for process in _engines(Path("/proc")):
        return tls_flags(process, Path("/etc/docker/daemon.json"))
    return None


def tls_flags(words: list[str], configuration: Path) -> list[str]:
    """Those about TLS among the words of an engine's command line and in its configuration file."""
    found = {name: value for name, value in _configured(configuration) if name in TLS_FLAGS}
    following = iter(words)
    for word in following:
        flag = re.match(r"--?([a-z]+)(?:=(.*))?\Z", word, re.DOTALL)
        if flag is None or flag[1] not in TLS_FLAGS:
            continue
        switch = flag[1] in _SWITCHES
        found[flag[1]] = flag[2] if flag[2] is not None else "true" if switch else next(following, "")
    return [
        f"--{name}" if name in _SWITCHES else f"--{name}={found[name]}"
        for name in TLS_FLAGS
        if found.get(name) not in (None, "", "false")
    ]


def _configured(path: Path) -> Iterator[tuple[str, str]]:
    try:
        settings = json.loads(path.read_text())
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read the engine's configuration {path}: {error}") from None
    for name, value in settings.items() if isinstance(settings, dict) else ():
        yield name, str(value).lower() if isinstance(value, bool) else str(value)


def _engines(proc: Path) -> Iterator[list[str]]:
    """The command lines of the engines that run here."""
    for process in sorted(proc.glob("[0-9]*"), key=lambda path: int(path.name)):
        try:
            if (process / "comm").read_text().strip() == "dockerd":
                yield (process / "cmdline").read_bytes().decode(errors="replace").split("\0")[1:]
        except OSError:  # it has ended meanwhile
            continue


def _proxy(session: Session) -> str:
    try:
        addresses = session.client.get("proxyaddrs").split()
    except Refused as error:
        if error.status != 404:
            raise
        addresses = []
    if not addresses:
        raise UserError(
            "the Docker API proxy is not running: Docker was not found, or `launch` was told --proxy=false"
        )
    return chosen(addresses, os.environ)
