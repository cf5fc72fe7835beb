"""Docker's command line behind the proxy."""

import contextlib
import re
import subprocess
from collections.abc import Generator
from pathlib import Path

from lab import Lab
from lab.engines import CLIENT, Engine, engines


class Client:
    """Docker's command line, directed to the proxy by ``tulle env``."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        found = re.search(r"DOCKER_HOST=(\S+)", engine.host.tulle("env"))
        assert found is not None
        self.url = found[1]
        self._started: list[subprocess.Popen[str]] = []

    def start(
        self, *words: object, stdin: int = subprocess.DEVNULL, url: str | None = None
    ) -> "subprocess.Popen[str]":
        """Start it and go on; ``url`` is where to, if not to the proxy."""
        process = subprocess.Popen(
            [*self.engine.host._enter(), CLIENT, *map(str, words)],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**self.engine.host.environment(), "DOCKER_HOST": url or self.url},
        )
        self._started.append(process)
        return process

    def close(self) -> None:
        """End what was started and still runs, because a test failed."""
        for process in self._started:
            process.kill()
            process.wait()
            for stream in filter(None, (process.stdin, process.stdout, process.stderr)):
                with contextlib.suppress(BrokenPipeError):
                    stream.close()

    def __call__(self, *words: object, given: str | None = None, status: int = 0) -> str:
        process = self.start(*words, stdin=subprocess.DEVNULL if given is None else subprocess.PIPE)
        out, err = process.communicate(given, timeout=60)
        assert process.returncode == status, f"{words} ended with {process.returncode}: {out}{err}"
        return out.strip()

    def run(self, name: str, *words: object) -> str:
        """A container that sleeps."""
        return self("run", "--detach", "--name", name, *words, self.engine.image, "sleep", "1000")

    def addresses(self, name: str) -> list[str]:
        """What a running container has on tulle's network."""
        return re.findall(r"inet (\S+)", self("exec", name, "ip", "-4", "address", "show", "dev", "tulle0"))


@contextlib.contextmanager
def proxied(*arguments: object) -> Generator[Client]:
    """An engine whose host has a daemon with these arguments."""
    with Lab() as lab:
        engine = engines(lab, 1)[0]
        engine.host.launch(*arguments)
        client = Client(engine)
        try:
            yield client
        finally:
            client.close()


def ended(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    """Status and output; without the command line's own worries, which come or do not."""
    out, err = process.communicate(timeout=60)
    return process.returncode, out, re.sub(r"time=.* level=error .*\n", "", err)


def runs(client: Client, name: str, command: str) -> bool:
    """Whether the command of a container runs, rather than the helper that waits for it."""
    try:
        words = Path(f"/proc/{client.engine.pid(name)}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return words[0] == command.encode()
