"""The show: three hosts on this machine, and what tulle does for their containers.

Run it with ``make demo``. Hosts and containers are network namespaces, the daemons and the commands are the
real ones. It ends with status 0 only if every claim held, and removes what it made, also when interrupted.
"""

import sys
import time
from ipaddress import IPv4Address
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "demo")]

from stage import Performance, Stage, perform  # noqa: E402

from lab import Container, Host, Lab, receive_all  # noqa: E402
from lab.machine import missing  # noqa: E402

PROGRAMS = ROOT / "demo" / "programs"
GROUP = "239.1.2.3"
MESSAGES = 20


class Show(Performance):
    """What is shown without Docker."""

    def __init__(self, lab: Lab, stage: Stage) -> None:
        super().__init__(lab, stage, [lab.host(f"host{number}") for number in (1, 2, 3)])
        self.one, self.two, self.three = self.hosts
        self.containers: dict[str, tuple[Host, Container, IPv4Address]] = {}

    def acts(self) -> None:
        self.launch()
        self.addresses()
        self.names()
        self.load_balancing()
        self.multicast()
        self.partition()
        self.heal()
        self.kill()

    # --- helpers -------------------------------------------------------------------------------------------

    def attach(self, host: Host, short: str, name: str = "") -> IPv4Address:
        """Type the commands that make a container and attach it; remember it under its short name."""
        container = self.lab.container(short)
        option = f"--hostname {name} " if name else ""
        printed = self.stage.type(host, f"tulle attach {option}{container.reference}")
        address = IPv4Address(printed.split()[0].partition("/")[0])
        self.containers[short] = (host, container, address)
        return address

    def container(self, short: str) -> Container:
        return self.containers[short][1]

    def address(self, short: str) -> IPv4Address:
        return self.containers[short][2]

    # --- acts ----------------------------------------------------------------------------------------------

    def launch(self) -> None:
        self.stage.section(
            "Three hosts, a daemon on each",
            "Nothing else runs anywhere: no server, no store. The first host starts alone, the others are"
            " told of the first and find each other.",
        )
        self.stage.type(self.one, "tulle launch")
        self.stage.type(self.two, f"tulle launch {self.one.address}")
        self.stage.type(self.three, f"tulle launch {self.one.address}")
        self.stage.claim("each host is connected to both others", self.all_connected, timeout=40)
        self.stage.type(self.three, "tulle status connections")

    def addresses(self) -> None:
        self.stage.section(
            "Addresses",
            "Containers get addresses that nobody typed in. Each host hands out addresses from its own "
            "share, so no two are alike, and no host has to ask another.",
        )
        for number, host in enumerate(self.hosts, 1):
            self.attach(host, f"web{number}", "web")
        self.attach(self.one, "client")
        found = {address for _, _, address in self.containers.values()}
        self.stage.claim("four containers, four addresses", lambda: len(found) == 4)
        self.stage.type(self.container("client"), f"ping -c 2 -i 0.2 {self.address('web3')}")
        self.stage.type(self.two, "tulle status ipam")

    def names(self) -> None:
        self.stage.section(
            "Names",
            "Every host answers names from its own memory. Attaching a container registers its name.",
        )
        host, client, _ = self.containers["client"]
        self.stage.claim("host3 knows the client on host1", lambda: self.known(self.three, client.name))
        self.stage.type(self.three, f"tulle dns-lookup {client.name}")
        self.stage.type(self.container("web3"), f"ping -c 1 {client.name}")
        self.stage.type(host, "tulle status dns")

    def known(self, host: Host, name: str) -> list[str]:
        return host.tulle("dns-lookup", name).split()

    def load_balancing(self) -> None:
        self.stage.section(
            "Load balancing",
            "Three containers, one on each host, share the name `web`. Whoever asks for it gets all "
            "three, in random order.",
        )
        self.stage.claim("host1 knows all three", lambda: len(self.known(self.one, "web")) == 3)
        self.stage.does("starts a small service in each of them, which says what it is called")
        for short in ("web1", "web2", "web3"):
            self.container(short).start(sys.executable, PROGRAMS / "hello-server", short, "80")
        client = self.container("client")
        for short in ("web1", "web2", "web3"):
            self.stage.claim(f"{short} serves", lambda short=short: self.serves(client, self.address(short)))
        printed = self.stage.type(client, "ask web 80 60")
        self.stage.claim(
            "all three had their share", lambda: all(f"web{n} answered" in printed for n in (1, 2, 3))
        )

    def serves(self, client: Container, address: IPv4Address) -> bool:
        import socket

        try:
            with client.socket(kind=socket.SOCK_STREAM) as connection:
                connection.connect((str(address), 80))
                return bool(connection.recv(100))
        except OSError:
            return False

    def multicast(self) -> None:
        self.stage.section(
            "Multicast",
            "What a container sends to a group reaches each member on every host, once. The network "
            "underneath drops all multicast here, as clouds do.",
        )
        self.lab.switch.rules("ether type ip ip daddr 224.0.0.0/4 drop")
        members = ["web2", "web3"]
        self.stage.does(f"lets {' and '.join(members)} join the group {GROUP}")
        receivers = [self.container(short).join(GROUP, 5000) for short in members]
        time.sleep(0.5)  # the bridges learn of the members from their IGMP reports
        self.stage.type(self.container("client"), f"group-send {GROUP} 5000 {MESSAGES}")
        heard = receive_all(receivers)
        wanted = sorted(b"message %d" % number for number in range(MESSAGES))
        for short, payloads in zip(members, heard, strict=True):
            text = f"{short} received all {MESSAGES}, each once"
            self.stage.claim(text, lambda got=payloads: sorted(got) == wanted)
        for receiver in receivers:
            receiver.close()
        self.lab.switch.rules()

    def partition(self) -> None:
        self.stage.section(
            "A partition",
            "host3 is cut off from the others. Both sides go on as if nothing had happened: new containers, "
            "addresses, names.",
        )
        self.stage.does("drops everything between host3 and the other two")
        self.lab.partition([self.one, self.two], [self.three])
        self.stage.claim("host3 has noticed that it is alone", self.three_is_alone, timeout=40)
        self.attach(self.one, "alice")
        self.attach(self.two, "bob")
        self.attach(self.three, "carol")
        self.attach(self.three, "dave")
        bob, dave = self.container("bob").name, self.container("dave").name
        self.stage.claim("host1 knows the new name of host2", lambda: self.known(self.one, bob))
        self.stage.type(self.container("alice"), f"ping -c 1 {bob}")
        self.stage.type(self.container("carol"), f"ping -c 1 {dave}")
        self.stage.claim("host1 cannot know the other side's names", lambda: not self.one.knows(dave))

    def three_is_alone(self) -> bool:
        return " established " not in self.three.view("connections")

    def heal(self) -> None:
        self.stage.section(
            "The heal",
            "The hosts meet again and exchange what is new. Nothing clashes, because no share of the "
            "addresses ever had two owners.",
        )
        self.stage.does("lets everything through again")
        self.lab.heal()
        self.stage.claim("the hosts have found each other again", self.all_connected, timeout=60)
        found = [address for _, _, address in self.containers.values()]
        self.stage.claim(
            f"{len(found)} containers, {len(found)} addresses", lambda: len(set(found)) == len(found)
        )
        bob, dave = self.container("bob").name, self.container("dave").name
        self.stage.claim("host1 knows a name of the other side", lambda: self.known(self.one, dave))
        self.stage.claim("host3 does, too", lambda: self.known(self.three, bob))
        self.stage.type(self.container("alice"), f"ping -c 2 -i 0.2 {dave}")

    def kill(self) -> None:
        self.stage.section(
            "A daemon dies",
            "The kernel carries the traffic, not the daemon. A new daemon takes over what it finds.",
        )
        client, address = self.container("client"), self.address("web3")
        self.stage.does(f"pings web3 on host3 from client on host1, twenty times a second: {address}")
        stream = client.ping_stream(address, self.lab.directory / "ping.log")
        self.stage.claim("answers come in", lambda: stream.answers > 5)
        (pid,) = self.one.pids()
        self.stage.type(self.one, f"kill -9 {pid}")
        before = stream.answers
        self.stage.claim("with the daemon dead, answers still come in", lambda: stream.answers > before + 40)
        self.stage.type(self.one, "tulle launch --resume")
        self.stage.claim("the hosts are connected again", self.all_connected, timeout=40)
        self.stage.type(self.one, "tulle ps")
        sent, answered = stream.stop()
        self.stage.claim(f"{answered} of {sent} pings were answered", lambda: answered >= sent - 1)
        self.attach(self.one, "late")
        found = [address for _, _, address in self.containers.values()]
        self.stage.claim(
            "the new daemon hands out an address that nobody has", lambda: len(set(found)) == len(found)
        )


if __name__ == "__main__":
    sys.exit(perform(Show, Stage(), missing()))
