"""What two ends tell of themselves when they meet, and whether they can work together.

In a handshake each end sends a map of text to text. This module writes ours, reads theirs and holds the two
against each other.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from tulle.errors import BadMessage
from tulle.mesh.config import MeshConfig
from tulle.mesh.dialect.weave import packing
from tulle.mesh.peername import PeerName, format_name, parse_name
from tulle.mesh.shortids import SHORT_IDS
from tulle.mesh.troubles import RENAME

FLAVOUR = "mac"
_MAX_NICKNAME = 255
_TRUE = frozenset(("1", "t", "T", "true", "TRUE", "True"))
_FALSE = frozenset(("0", "f", "F", "false", "FALSE", "False"))
_DECIMAL = re.compile(r"[0-9]{1,20}\Z")

_TELLS_ALL = "TopologyPush"
"""A feature of our own, which others ignore. Who has it promises to tell news of the topology to all
neighbours of its kind that the sender does not reach, so that nobody else needs to.
"""

_RECORDS = "PeerRecords"
"""Another of our own: the topology may be told in the short form of ``descriptions``, and digests of channels
are understood (``reconciliation``)."""

SEEKS = "Seeks"
"""Another of our own: the name of the peer that the dialling end hopes to find."""

FROM, SEES = "From", "Sees"
"""Two more: the IP address of the sender's end of the connection, and that at which it sees the other end."""


@dataclass(frozen=True, slots=True)
class Greeting:
    """What the other end said of itself. ``trusted`` is whether it trusts our address.

    ``seeks``: whom it dialled, if that is anybody in particular. ``own_ip`` and ``seen_ip``: the addresses of
    its end and of ours, as it knows them; empty if it does not say.
    """

    name: PeerName
    nickname: str
    uid: int
    conn_id: int
    short_id: int | None
    trusted: bool
    carriers: tuple[str, ...]
    tells_all: bool
    records: bool = False
    seeks: PeerName | None = None
    own_ip: str = ""
    seen_ip: str = ""

    def is_translated(self, local_ip: str, remote_ip: str) -> bool:
        """Whether these addresses, as our end knows them, are others at the far end: a NAT is between."""
        return (self.own_ip or remote_ip, self.seen_ip or local_ip) != (remote_ip, local_ip)


class Unacceptable(Exception):
    """We cannot be peers with this end. With ``for_ever`` there is no use in trying again."""

    def __init__(self, reason: str, for_ever: bool = False) -> None:
        super().__init__(reason)
        self.for_ever = for_ever


def features(config: MeshConfig, short_id: int | None, conn_id: int, remote_ip: str) -> dict[str, str]:
    """What we tell the other end."""
    values = {
        "PeerNameFlavour": FLAVOUR,
        "Name": format_name(config.name),
        "NickName": config.nickname,
        "UID": str(config.uid),
        "ConnID": str(conn_id),
        "Trusted": "true" if config.trusts(remote_ip) else "false",
        "Overlays": " ".join(config.carriers),
        _TELLS_ALL: "true",
        _RECORDS: "1",
        packing.FEATURE: "1",
    }
    if short_id is not None:
        values["ShortID"] = str(short_id)
    return values


def read_features(values: Mapping[str, str]) -> Greeting:
    """What the other end tells us. Raises BadMessage."""
    flavour = _required(values, "PeerNameFlavour")
    if flavour != FLAVOUR:
        raise BadMessage(f"the peer uses names of another kind ({shown(flavour)}; ours is {FLAVOUR})")
    nickname = _required(values, "NickName")
    if len(nickname) > _MAX_NICKNAME or not nickname.isprintable():
        raise BadMessage("the peer's nickname is too long or not printable")
    uid = _number(_required(values, "UID"), "UID")
    if uid == 0:
        raise BadMessage("the peer's UID is zero")
    return Greeting(
        name=_name(_required(values, "Name")),
        nickname=nickname,
        uid=uid,
        conn_id=_number(_required(values, "ConnID"), "ConnID"),
        short_id=_short_id(values.get("ShortID")),
        trusted=_boolean(values.get("Trusted", "false")),
        carriers=tuple(values.get("Overlays", "sleeve").split()),
        tells_all=values.get(_TELLS_ALL) == "true",
        records=_TELLS_ALL in values and values.get(_RECORDS) == "1",
        seeks=_name(values[SEEKS]) if SEEKS in values else None,
        own_ip=values.get(FROM, ""),
        seen_ip=values.get(SEES, ""),
    )


def check_identity(config: MeshConfig, theirs: Greeting) -> None:
    """Raises Unacceptable if the other end is ourselves, or a stranger who bears our name."""
    if theirs.name != config.name:
        return
    if theirs.uid == config.uid:
        raise Unacceptable("this address is this host itself", for_ever=True)
    raise Unacceptable(
        f"peer {shown(theirs.nickname)} there has the same name as we, {format_name(config.name)}; {RENAME}",
        for_ever=True,
    )


def common_carriers(config: MeshConfig, theirs: Greeting) -> tuple[str, ...]:
    """The carriers both ends have, in our order. Raises Unacceptable if there are none."""
    common = tuple(carrier for carrier in config.carriers if carrier in theirs.carriers)
    if not common:
        raise Unacceptable(
            f"no carriers in common (ours: {' '.join(config.carriers)}; "
            f"theirs: {shown(' '.join(theirs.carriers)) or 'none'})"
        )
    return common


def _required(values: Mapping[str, str], key: str) -> str:
    if key not in values:
        raise BadMessage(f"the peer did not send the feature {key}")
    return values[key]


def _number(text: str, key: str) -> int:
    if not _DECIMAL.match(text) or int(text) >= 1 << 64:
        raise BadMessage(f"the feature {key} is not a number of 64 bits")
    return int(text)


def _name(text: str) -> PeerName:
    try:
        return parse_name(text)
    except ValueError:
        raise BadMessage(f"the peer's name {shown(text)} is not a peer name") from None


def _short_id(text: str | None) -> int | None:
    if text is None:
        return None
    short_id = _number(text, "ShortID")
    if short_id >= SHORT_IDS:
        raise BadMessage("the peer's short id has more than 12 bits")
    return short_id


def _boolean(text: str) -> bool:
    if text not in _TRUE and text not in _FALSE:
        raise BadMessage("the feature Trusted is neither true nor false")
    return text in _TRUE


def shown(text: str, most: int = 80) -> str:
    """Foreign text of so many characters at most, made harmless for a log line."""
    return "".join(char if char.isprintable() else "?" for char in text[:most])
