"""The show with Docker: three hosts with an engine each on this machine, and one network for all containers.

Run it with ``make demo-docker``. The engines, daemons and commands are the real ones; the hosts are network
namespaces. It ends with status 0 only if every claim held, and removes what it made, also when interrupted.
"""

import sys
from ipaddress import IPv4Address
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "demo")]

from stage import Performance, Stage, perform  # noqa: E402

from lab import Lab  # noqa: E402
from lab.engines import IMAGE, Engine, missing  # noqa: E402

COMPOSE = ROOT / "demo" / "compose"
ASKED = 40
NAME = "web.tulle.internal"
"""With its domain, the name is answered by tulle, with the replicas of all hosts. Without, Docker answers it
itself where it knows containers of that name on the same host, with those alone."""


class DockerShow(Performance):
    """What is shown with Docker."""

    def __init__(self, lab: Lab, stage: Stage) -> None:
        self.engines = [Engine(lab, f"host{number}") for number in (1, 2, 3)]
        super().__init__(lab, stage, [engine.host for engine in self.engines])
        self.one, self.two, self.three = self.hosts

    def acts(self) -> None:
        self.launch()
        self.plain()
        self.compose()
        self.kill()
        self.proxy()
        self.partition()
        self.heal()

    # --- helpers -------------------------------------------------------------------------------------------

    def known(self, number: int, name: str) -> set[IPv4Address]:
        """The addresses of a name, as that host knows them."""
        return self.hosts[number - 1].knows(name)

    def replicas(self, count: int, *numbers: int) -> bool:
        """Whether these hosts know that many addresses of the name web."""
        return all(len(self.known(number, "web")) == count for number in numbers)

    def ask(self, number: int) -> set[str]:
        """Let the client on a host ask for ``web`` many times, and show it: who answered."""
        printed = self.stage.type(self.hosts[number - 1], f"docker exec app_client_1 ask {NAME} 80 {ASKED}")
        return {line.split()[1] for line in printed.splitlines()}

    def replica(self, number: int, index: int = 1) -> str:
        """What a replica on a host answers: its host name, which is its short id."""
        ident = self.engines[number - 1].inspect(f"app_web_{index}")["Id"]
        return str(ident)[:12]

    # --- acts ----------------------------------------------------------------------------------------------

    def launch(self) -> None:
        self.stage.section(
            "Three hosts with Docker",
            "Each has an engine that knows nothing of the others: no swarm, no store. tulle is started "
            "beside it, and finds it.",
        )
        self.stage.does("starts three Docker engines, each with the image busybox:lab")
        for engine in self.engines:
            engine.begin_start()
        for engine in self.engines:
            engine.wait_ready()
        self.stage.type(self.one, "tulle launch")
        self.stage.type(self.two, f"tulle launch {self.one.address}")
        self.stage.type(self.three, f"tulle launch {self.one.address}")
        self.stage.claim("each host is connected to both others", self.all_connected, timeout=60)
        for engine in self.engines:
            self.stage.claim(
                f"the engine of {engine.host.short} has a network tulle",
                lambda engine=engine: engine.api("GET", "/networks/tulle")[0] == 200,
            )
        self.stage.type(self.one, "docker network ls")

    def plain(self) -> None:
        self.stage.section(
            "Plain docker run",
            "A container on that network has an address that no other host gives away, and its name is known "
            "everywhere.",
        )
        self.stage.type(self.one, f"docker run -d --init --name hello --network tulle {IMAGE} sleep infinity")
        self.stage.claim("host3 knows hello", lambda: self.known(3, "hello"))
        self.stage.type(self.three, f"docker run --rm --network tulle {IMAGE} ping -c 2 hello")

    def compose(self) -> None:
        self.stage.section(
            "A compose application over three hosts",
            "The same file on each host. The replicas of the service share a name, and whoever asks for it "
            "finds all of them.",
        )
        for host in self.hosts:
            self.stage.type(host, "docker-compose -p app up -d")
        self.stage.claim("every host knows three replicas", lambda: self.replicas(3, 1, 2, 3))
        answered = self.ask(1)
        replicas = {self.replica(number) for number in (1, 2, 3)}
        self.stage.claim("the client on host1 was answered by all three", lambda: answered == replicas)

    def kill(self) -> None:
        self.stage.section(
            "A replica dies",
            "Its name and its address go with it, on every host, and nobody is sent to it any more.",
        )
        dead = self.replica(2)
        self.stage.type(self.two, "docker kill app_web_1")
        self.stage.claim("every host knows two replicas", lambda: self.replicas(2, 1, 2, 3))
        answered = self.ask(3)
        self.stage.claim(
            "only the others answer, and nobody asked in vain",
            lambda: dead not in answered and "nobody" not in answered,
        )
        self.stage.type(self.two, "docker start app_web_1")
        self.stage.claim("started again, it is found again", lambda: self.replicas(3, 1, 2, 3))

    def proxy(self) -> None:
        self.stage.section(
            "Without saying a network",
            "Through the proxy, containers join by themselves, before their command runs.",
        )
        printed = self.stage.type(
            self.two, f'eval "$(tulle env)"; docker run --rm --name guest {IMAGE} ping -c 2 hello'
        )
        self.stage.claim("the guest on host2 reached hello on host1", lambda: "2 packets received" in printed)

    def partition(self) -> None:
        self.stage.section(
            "A partition",
            "host3 is cut off. Both sides go on: containers come, get addresses and names, and find each "
            "other.",
        )
        self.stage.does("drops everything between host3 and the other two")
        self.lab.partition([self.one, self.two], [self.three])
        self.stage.claim("host1 finds its side's two replicas", lambda: self.replicas(2, 1, 2), timeout=90)
        self.stage.claim("host3 finds its own", lambda: self.replicas(1, 3), timeout=90)
        self.stage.type(self.two, f"docker run -d --init --name left --network tulle {IMAGE} sleep infinity")
        self.stage.type(self.three, "docker-compose -p app up -d --scale web=2")
        self.stage.claim("host3 finds the new replica", lambda: self.replicas(2, 3))
        self.stage.type(self.one, f"docker run --rm --network tulle {IMAGE} ping -c 1 left")
        answered = self.ask(3)
        mine = {self.replica(3), self.replica(3, 2)}
        self.stage.claim("the client on host3 was answered by its side's two", lambda: answered == mine)

    def heal(self) -> None:
        self.stage.section("The heal", "The hosts meet again and exchange what is new. Nothing clashes.")
        self.stage.does("lets everything through again")
        self.lab.heal()
        self.stage.claim("the hosts have found each other again", self.all_connected, timeout=90)
        self.stage.claim("every host knows all four replicas", lambda: self.replicas(4, 1, 2, 3), timeout=60)
        self.stage.type(self.three, f"docker run --rm --network tulle {IMAGE} ping -c 1 left")
        self.stage.type(self.three, "tulle status dns")
        found = [address for engine in self.engines for address in self.addresses(engine)]
        self.stage.claim(
            f"{len(found)} containers, {len(found)} addresses", lambda: len(set(found)) == len(found)
        )

    @staticmethod
    def addresses(engine: Engine) -> list[str]:
        """Of the containers on the network tulle of an engine."""
        _, network = engine.api("GET", "/networks/tulle")
        return [one["IPv4Address"] for one in network["Containers"].values()]


if __name__ == "__main__":
    sys.exit(perform(DockerShow, Stage(COMPOSE), missing()))
