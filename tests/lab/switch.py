"""The switch between the hosts: a namespace with a bridge, where the lab makes its faults."""

from collections.abc import Iterable
from ipaddress import IPv4Address

from lab.namespace import Namespace, run

Pair = tuple[IPv4Address, IPv4Address]
"""Sender and receiver of what is dropped."""

_RULES = """
table bridge lab {
  set cut { type ipv4_addr . ipv4_addr; }
  chain faults {
    type filter hook forward priority 0; policy accept;
    ip saddr . ip daddr @cut drop
    arp saddr ip . arp daddr ip @cut drop
    jump more
  }
  chain more { }
}
"""


class Switch(Namespace):
    """Frames between the hosts pass its bridge, and its nftables rules decide which of them get through."""

    def create(self) -> None:
        super().create()
        self.ip("link add br0 type bridge", "link set br0 up")
        self.nft(_RULES)

    def plug(self, namespace: Namespace, interface: str, port: str, mtu: int = 1500) -> None:
        """A cable from an interface in a namespace to a port of this switch."""
        self.ip(
            f"link add {port} mtu {mtu} type veth peer name {interface} mtu {mtu} netns {namespace.name}",
            f"link set {port} master br0 up",
        )
        namespace.ip(f"link set {interface} up")

    def cut(self, pairs: Iterable[Pair]) -> None:
        """From now on drop exactly what these pairs say; one transaction, so there is no moment between."""
        elements = ", ".join(f"{sender} . {receiver}" for sender, receiver in pairs)
        add = f"add element bridge lab cut {{ {elements} }}\n" if elements else ""
        self.nft(f"flush set bridge lab cut\n{add}")

    def rules(self, *rules: str) -> None:
        """Replace the extra rules, nftables text each: loss, no fragments, no ICMP, a blocked port."""
        added = "".join(f"add rule bridge lab more {rule}\n" for rule in rules)
        self.nft(f"flush chain bridge lab more\n{added}")

    def lose(self, percent: int) -> None:
        """Drop that share of all IPv4 packets at random."""
        self.rules(f"ether type ip numgen random mod 100 < {percent} drop")

    def unplug(self, port: str) -> None:
        self.ip(f"link set {port} down")

    def replug(self, port: str) -> None:
        self.ip(f"link set {port} up")

    def capture(self, seconds: float, expression: str) -> str:
        """What tcpdump shows of the packets that match, with their bytes in hexadecimal."""
        command = ["timeout", f"{seconds:g}", "tcpdump", "-n", "-l", "-x", "-i", "br0", expression]
        return run([*self._enter(), *command], check=False, timeout=seconds + 20).stdout
