"""What running routers of the original said to each other (tests/data/wire), as values for tests.

The byte streams were made from captures by ``tests/data/wire/extract.py``; ``vectors.jsonl`` holds results of
the original's own functions.
"""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tulle.mesh.dialect.weave.sealing import Opener

WIRE = Path(__file__).parent / "data" / "wire"
RUNS = ("plain-consensus3", "enc-seed")
PASSWORD = b"wfvAwt7sj"
"""Of the encrypted run."""

_HEADER = 7


@dataclass(frozen=True)
class Chunk:
    """What one segment added to a direction's stream. ``time`` is Unix time."""

    time: float
    from_client: bool
    data: bytes


@dataclass(frozen=True)
class Recording:
    """One mesh connection; the client dialled. Keys are empty without a password."""

    client: str
    server: str
    chunks: tuple[Chunk, ...]
    client_private: bytes
    server_private: bytes
    session_key: bytes

    def __str__(self) -> str:
        return f"{self.client}-{self.server}"

    def stream(self, from_client: bool) -> bytes:
        """Everything that one end sent."""
        return b"".join(chunk.data for chunk in self.chunks if chunk.from_client == from_client)

    def bodies(self, from_client: bool) -> Iterator[bytes]:
        """The bodies of one end's complete frames, opened; the first is its features."""
        rest = self.stream(from_client)[_HEADER:]
        rest = rest[1 + (32 if rest[0] else 0) :]
        opener = Opener(self.session_key, from_dialler=from_client) if self.session_key else None
        while len(rest) >= 4:
            end = 4 + int.from_bytes(rest[:4], "big")
            if end > len(rest):
                return
            yield opener.open(rest[4:end]) if opener else rest[4:end]
            rest = rest[end:]


@cache
def recordings(name: str) -> tuple[Recording, ...]:
    """The connections of one run, or of one ``handshake-...``."""
    return tuple(
        Recording(
            client=connection["client"],
            server=connection["server"],
            chunks=tuple(
                Chunk(time, way == ">", bytes.fromhex(data)) for time, way, data in connection["chunks"]
            ),
            client_private=bytes.fromhex(connection.get("client_private", "")),
            server_private=bytes.fromhex(connection.get("server_private", "")),
            session_key=bytes.fromhex(connection.get("session_key", "")),
        )
        for connection in json.loads(gzip.decompress((WIRE / f"{name}.json.gz").read_bytes()))
    )


def all_recordings() -> list[Recording]:
    """The connections of both long runs."""
    return [recording for run in RUNS for recording in recordings(run)]


def all_bodies() -> list[bytes]:
    """Every message body of both long runs, without the features."""
    return [
        body
        for recording in all_recordings()
        for from_client in (True, False)
        for body in list(recording.bodies(from_client))[1:]
    ]


@cache
def story(name: str) -> dict[str, Any]:
    """What was done in a run, and what its host h1 reported of itself meanwhile; see ``extract.py``."""
    told: dict[str, Any] = json.loads((WIRE / f"{name}-h1.json").read_text())
    return told


@cache
def vectors(operation: str) -> tuple[dict[str, Any], ...]:
    """The results of one function of the original: name, req, res."""
    lines = (json.loads(line) for line in (WIRE / "vectors.jsonl").read_text().splitlines())
    return tuple(vector for vector in lines if vector["req"]["Op"] == operation)


@dataclass(frozen=True)
class Datagram:
    """What one host of a run sent to another's sleeve. ``time`` is Unix time."""

    time: float
    source: str
    target: str
    df: bool
    data: bytes


@cache
def datagrams(name: str) -> tuple[Datagram, ...]:
    """The datagrams of one run; see ``extract_datagrams.py``."""
    items = json.loads(gzip.decompress((WIRE / f"{name}-udp.json.gz").read_bytes()))
    return tuple(
        Datagram(time, source, target, bool(df), bytes.fromhex(data))
        for time, source, target, df, data in items
    )
