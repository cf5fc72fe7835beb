"""Talking to the kernel about links, addresses and routes: requests as values, one round trip for many.

pyroute2 knows the messages; the exchange is our own and blocking, because a request does its work inside
``send`` (the kernel may wait there for its configuration lock), which would hold up an event loop. All of
this runs in worker threads (see ``namespace.py``).
"""

import errno
import os
import socket
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from types import TracebackType
from typing import Any, NamedTuple, Self

from tulle.host.netlink_messages import fibmsg, ifaddrmsg, ifinfmsg, ndmsg, rtmsg, tcmsg

Attributes = Sequence[tuple[str, Any]]

REQUEST, ACK, EXCL, CREATE, REPLACE, DUMP = 0x001, 0x004, 0x200, 0x400, 0x100, 0x300
MAIN_TABLE = 254
SCOPE_GLOBAL, SCOPE_LINK = 0, 253
_IFF_UP = 1
_PROTO_BOOT = 3
_TABLE_IN_ATTRIBUTE = 252
_NUD_PERMANENT = 0x80
_ERROR, _DONE = 2, 3
_HEADER = struct.Struct("=IHHII")
_SOL_NETLINK, _EXT_ACK, _STRICT_CHECK = 270, 11, 12
_ACK_HAS_TEXT, _ACK_CAPPED, _DUMP_CHANGED = 0x200, 0x100, 0x10
_TEXT = 1
_AT_ONCE = 64
"""Requests whose answers fit into a socket's queue with room to spare."""


class AddressMessage(ifaddrmsg):  # type: ignore[misc]
    """As pyroute2 has it, but the id of another namespace is a number, not a string."""

    nla_map = tuple(
        (name, "int32" if name == "IFA_TARGET_NETNSID" else kind) for name, kind in ifaddrmsg.nla_map
    )


_FAMILIES = {16: ifinfmsg, 20: AddressMessage, 24: rtmsg, 28: ndmsg, 32: fibmsg, 36: tcmsg}
"""The class of the messages NEW, DEL, GET and SET of a family of four types, by the first of them."""

NEWLINK, DELLINK, GETLINK = 16, 17, 18
NEWADDR, DELADDR, GETADDR = 20, 21, 22
NEWROUTE, GETROUTE = 24, 26
NEWNEIGH = 28
NEWRULE, DELRULE, GETRULE = 32, 33, 34
NEWQDISC = 36


@dataclass(frozen=True, slots=True)
class Request:
    """One message to the kernel. Errors in ``tolerated`` (errno) count as success."""

    kind: int
    flags: int
    fields: Mapping[str, int]
    attributes: Attributes
    tolerated: frozenset[int] = frozenset()

    def encode(self, sequence: int, flags: int) -> bytes:
        """The bytes of the message, as request number ``sequence``, with ``flags`` added to its own."""
        message = _FAMILIES[self.kind & ~3]()
        message.update(self.fields)
        message["attrs"] = list(self.attributes)
        message["header"]["type"] = self.kind
        message["header"]["flags"] = self.flags | flags | REQUEST
        message["header"]["sequence_number"] = sequence
        message.encode()
        return bytes(message.data)


class KernelRefused(OSError):
    """The kernel said no to a request; ``strerror`` holds its own words where it gave some."""

    def __init__(self, code: int, text: str, request: Request) -> None:
        super().__init__(code, text or os.strerror(code))
        self.request = request


class _Reply(NamedTuple):
    """A message from the kernel; ``data`` is all of it, header included."""

    kind: int
    flags: int
    sequence: int
    data: bytes


class Rtnl:
    """A route-netlink socket in the namespace of the thread that made it. Blocking; for one thread."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        self._socket.setsockopt(_SOL_NETLINK, _EXT_ACK, 1)
        self._socket.setsockopt(_SOL_NETLINK, _STRICT_CHECK, 1)
        self._socket.bind((0, 0))
        self._sequence = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def send(self, requests: Sequence[Request]) -> None:
        """Have all requests done, in order, many of them in one system call.

        The kernel works through all of them even if one fails; the first failure that is not tolerated is
        raised as KernelRefused.
        """
        refusals: list[KernelRefused] = []
        for start in range(0, len(requests), _AT_ONCE):
            refusals += self._send_some(requests[start : start + _AT_ONCE])
        if refusals:
            raise refusals[0]

    def _send_some(self, requests: Sequence[Request]) -> list[KernelRefused]:
        numbered = {self._next(): request for request in requests}
        self._socket.send(b"".join(request.encode(number, ACK) for number, request in numbered.items()))
        refusals = []
        while numbered:
            for reply in self._receive():
                request = numbered.pop(reply.sequence, None)
                if request is not None and (refusal := _refusal(request, reply)):
                    refusals.append(refusal)
        return refusals

    def get(self, request: Request) -> Any:
        """The message that answers ``request``, or None where it ended in a tolerated error."""
        answers = self._exchange(request, ACK)
        return answers[0] if answers else None

    def dump(self, request: Request) -> list[Any]:
        """Every message that answers ``request``; asked again if the kernel's list changed midway."""
        while True:
            with suppress(InterruptedError):
                return self._exchange(request, DUMP)

    def _exchange(self, request: Request, flags: int) -> list[Any]:
        number = self._next()
        self._socket.send(request.encode(number, flags))
        answers = []
        changed = False
        while True:
            for reply in self._receive():
                if reply.sequence != number:
                    continue
                changed |= bool(reply.flags & _DUMP_CHANGED)
                if reply.kind not in (_ERROR, _DONE):
                    answers.append(_decoded(reply.kind, reply.data))
                elif refusal := _refusal(request, reply):
                    raise refusal
                elif changed:
                    raise InterruptedError
                else:
                    return answers

    def _next(self) -> int:
        self._sequence += 1
        return self._sequence

    def _receive(self) -> Iterator[_Reply]:
        data = self._socket.recv(1 << 18)
        offset = 0
        while offset + _HEADER.size <= len(data):
            length, kind, flags, sequence, _port = _HEADER.unpack_from(data, offset)
            yield _Reply(kind, flags, sequence, data[offset : offset + length])
            offset += (length + 3) & ~3


def _decoded(kind: int, data: bytes) -> Any:
    message = _FAMILIES[kind & ~3](data)
    message.decode()
    return message


def _refusal(request: Request, reply: _Reply) -> KernelRefused | None:
    """What an acknowledgement says: nothing if all is well or the error is one the request tolerates."""
    (code,) = struct.unpack_from("=i", reply.data, _HEADER.size)
    if code == 0 or -code in request.tolerated:
        return None
    return KernelRefused(-code, _kernel_text(reply), request)


def _kernel_text(reply: _Reply) -> str:
    """The kernel's explanation at the end of an error message, or the empty string."""
    if not reply.flags & _ACK_HAS_TEXT:
        return ""
    offset = _HEADER.size + 4
    echoed = _HEADER.size if reply.flags & _ACK_CAPPED else int.from_bytes(reply.data[offset:][:4], "little")
    offset += (echoed + 3) & ~3
    while offset + 4 <= len(reply.data):
        length, kind = struct.unpack_from("=HH", reply.data, offset)
        if kind == _TEXT:
            return reply.data[offset + 4 : offset + length].rstrip(b"\0").decode(errors="replace")
        offset += max((length + 3) & ~3, 4)
    return ""


def list_links() -> Request:
    """All links."""
    return Request(GETLINK, 0, {}, ())


def list_routes() -> Request:
    """All routes of IPv4."""
    return Request(GETROUTE, 0, {"family": socket.AF_INET}, ())


def set_link(index: int, attributes: Attributes = (), *, up: bool | None = None) -> Request:
    """Change a link; ``up`` None leaves it up or down as it is."""
    fields = {"index": index, "flags": int(bool(up)), "change": int(up is not None)}
    return Request(NEWLINK, 0, fields, attributes)


def set_named_link(
    name: str,
    attributes: Attributes = (),
    *,
    up: bool | None = None,
    tolerated: frozenset[int] = frozenset(),
) -> Request:
    """Change the link called ``name``."""
    fields = {"flags": int(bool(up)), "change": int(up is not None)}
    return Request(NEWLINK, 0, fields, [("IFLA_IFNAME", name), *attributes], tolerated)


def new_link(attributes: Attributes) -> Request:
    """Make a link; refused with EEXIST if there is one of that name."""
    return Request(NEWLINK, CREATE | EXCL, {}, attributes)


def delete_link(index: int) -> Request:
    return Request(DELLINK, 0, {"index": index}, (), frozenset({errno.ENODEV}))


def delete_named_link(name: str) -> Request:
    """Remove the link called ``name``; a missing one is a tolerated error."""
    return Request(DELLINK, 0, {}, [("IFLA_IFNAME", name)], frozenset({errno.ENODEV}))


def get_link(name: str) -> Request:
    """Look a link up by name; a missing one is a tolerated error."""
    return Request(GETLINK, 0, {}, [("IFLA_IFNAME", name)], frozenset({errno.ENODEV}))


def filter_hooks(index: int, tolerated: frozenset[int] = frozenset()) -> Request:
    """Give a link the places where programs see its frames (the clsact queueing discipline)."""
    fields = {"index": index, "handle": 0xFFFF0000, "parent": 0xFFFFFFF1}
    return Request(NEWQDISC, CREATE | EXCL, fields, [("TCA_KIND", "clsact")], tolerated)


def early_filter_hooks(index: int) -> Request:
    """The same for a link that is not up yet: given to one that is, they cost it the frames of some
    milliseconds. A kernel without them is no error.
    """
    return filter_hooks(index, frozenset({errno.EEXIST, errno.ENOENT, errno.EOPNOTSUPP}))


def add_address(index: int, address: IPv4Interface, *, scope: int = SCOPE_GLOBAL, label: str = "") -> Request:
    """Give a link an address; one that it already has is left as it is."""
    attributes = [("IFA_LOCAL", str(address.ip)), ("IFA_ADDRESS", str(address.ip))]
    if address.network.prefixlen < 31:
        attributes.append(("IFA_BROADCAST", str(address.network.broadcast_address)))
    if label:
        attributes.append(("IFA_LABEL", label))
    fields = _address_fields(index, address) | {"scope": scope}
    return Request(NEWADDR, CREATE | EXCL, fields, attributes, frozenset({errno.EEXIST}))


def delete_address(index: int, address: IPv4Interface) -> Request:
    """Take an address from a link; one that is not there is no error."""
    tolerated = frozenset({errno.EADDRNOTAVAIL, errno.ENODEV})
    return Request(DELADDR, 0, _address_fields(index, address), [("IFA_LOCAL", str(address.ip))], tolerated)


def list_addresses(index: int, namespace: int | None = None) -> Request:
    """The IPv4 addresses of a link; ``namespace`` is the kernel's id (nsid) of the namespace it is in."""
    attributes = [] if namespace is None else [("IFA_TARGET_NETNSID", namespace)]
    return Request(GETADDR, 0, {"family": socket.AF_INET, "index": index}, attributes)


def address_of(message: Any) -> IPv4Interface:
    """The address that an answer to ``list_addresses`` speaks of."""
    return IPv4Interface((message.get_attr("IFA_LOCAL"), message["prefixlen"]))


def on_link_route(
    index: int, network: IPv4Network, *, table: int = MAIN_TABLE, yielding: bool = False
) -> Request:
    """Reach ``network`` directly through a link.

    An equal route that is there already is replaced, or, if this one is ``yielding``, left in place.
    """
    attributes: list[tuple[str, Any]] = [("RTA_OIF", index), ("RTA_TABLE", table)]
    if network.prefixlen:
        attributes.append(("RTA_DST", str(network.network_address)))
    fields = {
        "family": socket.AF_INET,
        "dst_len": network.prefixlen,
        "table": table if table < 256 else _TABLE_IN_ATTRIBUTE,
        "proto": _PROTO_BOOT,
        "scope": SCOPE_LINK,
        "type": 1,
    }
    flags = CREATE | (EXCL if yielding else REPLACE)
    return Request(NEWROUTE, flags, fields, attributes, frozenset({errno.EEXIST} if yielding else ()))


def permanent_neighbour(index: int, address: IPv4Address, mac: str) -> Request:
    """Fix the link-layer address of a neighbour, so that it is never asked for."""
    fields = {"family": socket.AF_INET, "ifindex": index, "state": _NUD_PERMANENT}
    return Request(NEWNEIGH, CREATE | REPLACE, fields, [("NDA_DST", str(address)), ("NDA_LLADDR", mac)])


def is_up(link: Any) -> bool:
    return bool(link["flags"] & _IFF_UP)


def _address_fields(index: int, address: IPv4Interface) -> dict[str, int]:
    return {"family": socket.AF_INET, "prefixlen": address.network.prefixlen, "index": index}
