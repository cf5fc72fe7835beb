"""Turn captures of running routers into the byte streams of their mesh connections.

    python tests/data/wire/extract.py CAPTURES

CAPTURES holds one folder per run, with the traffic of each host in NAME.pcap, and ``session_keys.jsonl`` if
the run had a password. For each run this writes RUN.json.gz beside this script: a list of connections, each

    {"client": "10.99.0.3:53271", "server": "10.99.0.2:6783", "chunks": [[time, ">", hex], ...],
     "client_private": hex, "server_private": hex, "session_key": hex}        (keys: only with a password)

A chunk is what one segment added to a direction's stream (``>`` from the client, ``<`` from the server), in
order and without retransmits, with its Unix time at the first host whose capture holds the connection.
Connections that never carried a header of both sides are left out, and so are those of protocol version 1.

For a run with a ``timeline.txt`` and reports, RUN-h1.json tells what was done when, and what host h1 reported
of itself between two operations (``before`` is the time of the second):

    {"self": {...}, "operations": [[time, host, text]],
     "reports": [{"step": ..., "before": time, "peers": [...], "ring": [...], "names": [...]}]}
"""

import gzip
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import dpkt

HERE = Path(__file__).parent
OBSERVED = "h1"
REPORTED_BEFORE = {
    "1-meshed": "POST /ip/c1",
    "2-ring": "PUT /ip/c9",
    "3-claimed": "PUT name web",
    "4-dns": "DELETE name",
    "5-dns-tomb": "ping c1 c2",
    "6-h3-dead": "DELETE /peer/h3",
    "7-rmpeer": "DELETE /peer (reset",
    "8-reset": "stop",
}
"""Each report, and the operation that followed it."""
HEADER_SIZE = 7
KEY_SIZE = 32

End = tuple[str, int]


@dataclass
class Direction:
    """One end's bytes: what was sent in order so far, and what arrived ahead of a gap."""

    first: int
    size: int = 0
    ahead: dict[int, bytes] = field(default_factory=dict)

    def add(self, sequence: int, data: bytes) -> bytes:
        """The bytes by which the stream grows, now that this segment has been seen."""
        offset = (sequence - self.first) % 2**32
        if offset < 2**31:
            self.ahead[offset] = max(self.ahead.get(offset, b""), data, key=len)
        grown = b""
        while ready := [at for at in self.ahead if at <= self.size]:
            segment = self.ahead[ready[0]][self.size - ready[0] :]
            del self.ahead[ready[0]]
            self.size += len(segment)
            grown += segment
        return grown


@dataclass
class Connection:
    """A TCP connection, from its SYN on."""

    client: End
    server: End
    directions: dict[End, Direction]
    chunks: list[tuple[float, str, bytes]] = field(default_factory=list)

    def stream(self, arrow: str) -> bytes:
        """All bytes of one direction."""
        return b"".join(data for _, way, data in self.chunks if way == arrow)


def segments(pcap: Path) -> Iterator[tuple[float, End, End, dpkt.tcp.TCP]]:
    """Every TCP segment of a capture, with its ends."""
    with pcap.open("rb") as file:
        for time, packet in dpkt.pcap.Reader(file):
            ip = dpkt.ethernet.Ethernet(packet).data
            if isinstance(ip, dpkt.ip.IP) and isinstance(ip.data, dpkt.tcp.TCP):
                tcp = ip.data
                yield time, (str(IPv4Address(ip.src)), tcp.sport), (str(IPv4Address(ip.dst)), tcp.dport), tcp


def connections(pcap: Path) -> list[Connection]:
    """The connections whose beginning a capture holds."""
    found: dict[frozenset[End], Connection] = {}
    for time, source, target, tcp in segments(pcap):
        ends = frozenset((source, target))
        if tcp.flags & dpkt.tcp.TH_SYN:
            if ends not in found:
                found[ends] = Connection(source, target, {})
            found[ends].directions[source] = Direction(tcp.seq + 1)
        elif ends in found and source in found[ends].directions and tcp.data:
            connection = found[ends]
            grown = connection.directions[source].add(tcp.seq, bytes(tcp.data))
            if grown:
                connection.chunks.append((time, ">" if source == connection.client else "<", grown))
    return list(found.values())


def wanted(connection: Connection) -> bool:
    """Whether both ends spoke, and version 2."""
    headers = connection.stream(">")[:HEADER_SIZE], connection.stream("<")[:HEADER_SIZE]
    return all(len(header) == HEADER_SIZE and header[-1] == 2 for header in headers)


def keys_of(connection: Connection, records: list[dict[str, str]]) -> dict[str, str]:
    """The secrets of a connection, found by the public keys that its ends sent."""
    public = [connection.stream(way)[HEADER_SIZE + 1 :][:KEY_SIZE].hex() for way in "><"]
    by_remote = {record["remote_pub"]: record for record in records}
    if not all(key in by_remote for key in public):
        return {}
    return {
        "client_private": by_remote[public[1]]["local_priv"],
        "server_private": by_remote[public[0]]["local_priv"],
        "session_key": by_remote[public[0]]["session_key"],
    }


def as_json(connection: Connection, records: list[dict[str, str]]) -> dict[str, Any]:
    """A connection as it is written."""
    return {
        "client": "{}:{}".format(*connection.client),
        "server": "{}:{}".format(*connection.server),
        **keys_of(connection, records),
        "chunks": [[round(time, 6), way, data.hex()] for time, way, data in connection.chunks],
    }


def write_run(name: str, pcaps: list[Path], records: list[dict[str, str]]) -> None:
    """Write the connections of these captures, each once."""
    found: dict[tuple[End, End], Connection] = {}
    for pcap in pcaps:
        for connection in connections(pcap):
            if wanted(connection):
                found.setdefault((connection.client, connection.server), connection)
    text = json.dumps([as_json(connection, records) for connection in found.values()])
    (HERE / f"{name}.json.gz").write_bytes(gzip.compress(text.encode(), mtime=0))


def operations(folder: Path) -> list[tuple[float, str, str]]:
    """What was done: time, host (empty for what concerns none), and what."""
    found = []
    for line in (folder / "timeline.txt").read_text().splitlines():
        time, _, text = line.partition(" ")
        if re.fullmatch(r"\d{10}\.\d+", time):
            host, _, rest = text.partition(" ")
            named = re.fullmatch(r"h\d", host)
            found.append((float(time), host, rest) if named else (float(time), "", text))
    return found


def reduced(report: dict[str, Any]) -> dict[str, Any]:
    """Of a report: what the peers told each other."""
    peer_fields = ("Name", "NickName", "UID", "ShortID", "Version")
    connection_fields = ("Name", "Address", "Outbound", "Established")
    peers = [
        {
            **{key: peer[key] for key in peer_fields},
            "Connections": [
                {key: end[key] for key in connection_fields} for end in peer["Connections"] or []
            ],
        }
        for peer in sorted(report["Router"]["Peers"], key=lambda peer: str(peer["Name"]))
    ]
    entry_fields = ("Token", "Size", "Peer", "Version")
    ring = [{key: entry[key] for key in entry_fields} for entry in report["IPAM"]["Entries"] or []]
    return {"peers": peers, "ring": ring, "names": report["DNS"]["Entries"] or []}


def write_story(folder: Path) -> None:
    """Write what was done in a run, and what one host said of itself meanwhile."""
    done = operations(folder)
    reports = []
    for step, following in REPORTED_BEFORE.items():
        report = json.loads((folder / f"report.{step}.{OBSERVED}.json").read_text())
        before = next(time for time, _, text in done if text.startswith(following))
        reports.append({"step": step, "before": before, **reduced(report)})
    me = next(peer for peer in reports[0]["peers"] if peer["NickName"] == OBSERVED)
    story = {"self": me, "operations": done, "reports": reports}
    (HERE / f"{folder.name}-{OBSERVED}.json").write_text(json.dumps(story, indent=1) + "\n")


def main(captures: Path) -> None:
    """Write one file per run, and for the handshakes one per connection."""
    for folder in sorted(path for path in captures.iterdir() if path.is_dir()):
        key_file = folder / "session_keys.jsonl"
        lines = key_file.read_text().splitlines() if key_file.exists() else []
        records = [json.loads(line) for line in lines]
        pcaps = sorted(folder.glob("*.pcap"))
        if folder.name == "handshake-variants":
            for pcap in pcaps:
                if pcap.stem.startswith("v2-"):
                    write_run(f"handshake-{pcap.stem.removeprefix('v2-')}", [pcap], records)
        else:
            write_run(folder.name, pcaps, records)
            write_story(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
