"""The systemd unit: what it allows the daemon is enough, and the daemon tells systemd when it is ready."""

import re
import socket
from pathlib import Path

from lab import Host, Lab
from lab.host import tulle_program

UNIT = Path(__file__).parents[2] / "packaging" / "systemd" / "tulle.service"


def allowed() -> set[str]:
    """The capabilities that the unit leaves the daemon, but for one that some machines deny even to root."""
    (line,) = re.findall(r"^CapabilityBoundingSet=(.*)$", UNIT.read_text(), re.MULTILINE)
    return {word.lower().removeprefix("cap_") for word in line.split()} - {"sys_resource"}


def launch_as_systemd_would(host: Host, notify: Path) -> None:
    capabilities = ",".join(["-all", *(f"+{name}" for name in sorted(allowed()))])
    confined = ["setpriv", "--bounding-set", capabilities, "--inh-caps", capabilities, "--no-new-privs"]
    environment = host.environment() | {"NOTIFY_SOCKET": str(notify)}
    with host.log.open("w") as output:
        host.process = host.start(
            *confined, *tulle_program(), "launch", "--foreground", output=output, env=environment
        )


def test_the_unit_allows_enough_and_is_notified(lab: Lab) -> None:
    one = lab.host()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(lab.directory / "notify"))
        systemd.settimeout(30)
        launch_as_systemd_would(one, lab.directory / "notify")
        assert systemd.recv(100) == b"READY=1"
        here, there = one.container("a"), one.container("b")
        process = there.start("sleep", "1000")
        one.attach(here)
        one.tulle("attach", f"pid:{process.pid}")
        (address,) = there.addresses()
        assert here.pings(address.ip, wait=5)
        assert here.pings(one.tulle("expose").split()[0], wait=5)
        one.tulle("stop")
        assert systemd.recv(100) == b"STOPPING=1"
