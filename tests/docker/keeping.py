"""What is known of containers on a host, and in them."""

import json

from lab import wait_until
from lab.engines import Engine


def held(engine: Engine, ident: str) -> list[str]:
    """The addresses held for a container, "" for all."""
    owned = json.loads(engine.host.http("GET", "/ip")[1])["owned"]
    return [address for row in owned if ident in ("", row["containerid"]) for address in row["addrs"]]


def attach(engine: Engine, name: str, *options: str) -> tuple[str, str]:
    """A new container's id, and the address that it got."""
    ident = engine.run(name, options=options)
    return ident, engine.host.tulle("attach", name)


def hear_out(engine: Engine) -> None:
    """Until the daemon has heard of all that has happened in Docker so far: events keep their order."""
    attach(engine, "heard")
    engine.docker("rename", "heard", "heard-out")
    wait_until(lambda: engine.host.knows("heard-out"), what="the last event was heard")
    engine.docker("rm", "--force", "heard-out")


def on_interface(engine: Engine, name: str) -> str:
    return engine.inside(name, "ip", "-4", "-o", "address", "show", "tulle0", check=False)


def is_back(engine: Engine, name: str, address: str, pid: int) -> bool:
    """Whether the container runs anew, with this address and its name."""
    now = engine.pid(name)
    return (
        now not in (0, pid)
        and f"inet {address}/" in on_interface(engine, name)
        and {str(ip) for ip in engine.host.knows(name)} == {address}
    )


def nothing_left(engine: Engine, ident: str, name: str) -> bool:
    return not held(engine, ident) and not engine.host.knows(name)
