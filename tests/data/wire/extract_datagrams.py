"""Turn captures of running routers into the datagrams of their sleeves.

    python tests/data/wire/extract_datagrams.py CAPTURES

CAPTURES holds one folder per run, with the traffic of each host in NAME.pcap. For each run this writes
RUN-udp.json.gz beside this script: a list of ``[time, source, target, df, hex]``, in the order of the first
host whose capture holds the traffic of these two, IP fragments put together.
"""

import gzip
import json
import sys
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path

import dpkt

HERE = Path(__file__).parent
PORT = 6783
HEADER = 8

Datagram = tuple[float, str, str, int, bytes]


def datagrams(pcap: Path) -> Iterator[Datagram]:
    """Every datagram of the sleeve in a capture, whole."""
    pieces: dict[tuple[bytes, bytes, int], list[tuple[int, bytes]]] = {}
    with pcap.open("rb") as file:
        for time, packet in dpkt.pcap.Reader(file):
            ip = dpkt.ethernet.Ethernet(packet).data
            if not isinstance(ip, dpkt.ip.IP) or ip.p != dpkt.ip.IP_PROTO_UDP:
                continue
            key = (ip.src, ip.dst, ip.id)
            payload = bytes(ip.data)
            pieces.setdefault(key, []).append((ip.offset, payload))
            if ip.mf:
                continue
            whole = b"".join(data for _, data in sorted(pieces.pop(key)))
            if whole[:4] == PORT.to_bytes(2, "big") * 2 and len(whole) == int.from_bytes(whole[4:6], "big"):
                source, target = str(IPv4Address(ip.src)), str(IPv4Address(ip.dst))
                yield round(time, 6), source, target, int(ip.df), whole[HEADER:]


def write_run(folder: Path) -> None:
    """Write the datagrams of one run, those between two hosts from one capture only."""
    found: list[Datagram] = []
    known: set[frozenset[str]] = set()
    for pcap in sorted(folder.glob("*.pcap")):
        new = [item for item in datagrams(pcap) if frozenset(item[1:3]) not in known]
        known |= {frozenset(item[1:3]) for item in new}
        found += new
    text = json.dumps([[*item[:4], item[4].hex()] for item in found])
    (HERE / f"{folder.name}-udp.json.gz").write_bytes(gzip.compress(text.encode(), mtime=0))


if __name__ == "__main__":
    for run in sorted(Path(sys.argv[1]).iterdir()):
        if (run / "timeline.txt").exists():
            write_run(run)
