"""A peer of Weave Net's kind for tests, written a second time: from the notes on the protocol and recorded
bytes, with nothing of tulle's.

It speaks version 2 over TCP, offers the sleeve, gossips a topology, answers what a sleeve is asked, and has
one container, of which nothing is real but the ARP and ICMP that it answers.
"""

import contextlib
import hashlib
import select
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from nacl.bindings import (
    crypto_box_beforenm,
    crypto_box_keypair,
    crypto_secretbox,
    crypto_secretbox_open,
)

PORT = 6783
HEADER = b"weave\x01\x02"
IP_MTU_DISCOVER, DONT, DO = 10, 0, 2
MAP_TYPE = bytes.fromhex("0eff81040102ff8200010c010c0000")
SUMMARY_TYPE = bytes.fromhex(
    "62ff810301010b7065657253756d6d61727901ff8200010601084e616d6542797465010a0001084e69636b4e616d65010c00"
    "0103554944010600010756657273696f6e010600010753686f72744944010600010a48617353686f727449440102000000"
)
CONNECTIONS_TYPE = bytes.fromhex(
    "0dff85020102ff860001ff8400005bff8303010111636f6e6e656374696f6e53756d6d61727901ff8400010401084e616d65"
    "42797465010a00010d52656d6f746554435041646472010c0001084f7574626f756e64010200010b45737461626c69736865"
    "640102000000"
)
NONE = bytes(14)


# gob


def uint(number: int) -> bytes:
    """A number as gob writes it."""
    if number < 128:
        return bytes((number,))
    data = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return bytes((256 - len(data),)) + data


def take_uint(data: bytes) -> tuple[int, bytes]:
    """A number, and what follows it."""
    if data[0] < 128:
        return data[0], data[1:]
    size = 256 - data[0]
    return int.from_bytes(data[1 : 1 + size], "big"), data[1 + size :]


def text(data: bytes) -> bytes:
    """Bytes or text, with their length."""
    return uint(len(data)) + data


def value(data: bytes) -> bytes:
    """A message of a gob stream."""
    return text(data)


def encode_map(values: dict[str, str]) -> bytes:
    """A map of text to text."""
    items = b"".join(text(key.encode()) + text(item.encode()) for key, item in values.items())
    return MAP_TYPE + value(b"\xff\x82\x00" + uint(len(values)) + items)


def decode_map(data: bytes) -> dict[str, str]:
    """The map in a stream that holds one."""
    while True:
        length, data = take_uint(data)
        message, data = data[:length], data[length:]
        kind, message = take_uint(message)
        if kind & 1:
            continue  # the definition of a type
        count, rest = take_uint(message[1:])
        words = []
        for _ in range(2 * count):
            size, rest = take_uint(rest)
            words.append(rest[:size].decode())
            rest = rest[size:]
        return dict(zip(words[::2], words[1::2], strict=True))


def gossip(channel: str, source: bytes, payload: bytes) -> bytes:
    """A gossip message."""
    head = value(b"\x0c\x00" + text(channel.encode()))
    name = value(b"\x06\x00" + uint(int.from_bytes(source, "big")))
    return b"\x04" + head + name + value(b"\x0a\x00" + text(payload))


# Ethernet


def checksum(data: bytes) -> int:
    """The internet checksum."""
    total = sum(struct.unpack(f">{(len(data) + 1) // 2}H", data + b"\0" * (len(data) & 1)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def ipv4(source: IPv4Address, target: IPv4Address, protocol: int, payload: bytes) -> bytes:
    """A packet without DF."""
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), 1, 0, 64, protocol, 0)
    head += source.packed + target.packed
    return head[:10] + checksum(head).to_bytes(2, "big") + head[12:] + payload


def arp(operation: int, mac: bytes, ip: IPv4Address, to_mac: bytes, to_ip: IPv4Address) -> bytes:
    """An ARP packet."""
    head = bytes.fromhex("000108000604") + operation.to_bytes(2, "big")
    return head + mac + ip.packed + to_mac + to_ip.packed


def echo(kind: int, identity: int, number: int, data: bytes) -> bytes:
    """An ICMP echo (8) or its answer (0)."""
    message = struct.pack(">BBHHH", kind, 0, 0, identity, number) + data
    return message[:2] + checksum(message).to_bytes(2, "big") + message[4:]


@dataclass
class Container:
    """What lives behind the peer."""

    mac: bytes
    ip: IPv4Address
    neighbours: dict[IPv4Address, bytes] = field(default_factory=dict)
    answered: set[int] = field(default_factory=set)
    heard: list[bytes] = field(default_factory=list)

    def receive(self, frame: bytes) -> bytes | None:
        """A frame for it or for all; its answer."""
        kind, packet = frame[12:14], frame[14:]
        if kind == b"\x08\x06":
            sender, target = IPv4Address(packet[14:18]), IPv4Address(packet[24:28])
            if target != self.ip:
                return None
            self.neighbours[sender] = packet[8:14]
            if packet[7] == 1:
                answer = arp(2, self.mac, self.ip, packet[8:14], sender)
                return packet[8:14] + self.mac + b"\x08\x06" + answer
        elif frame[0] & 1:
            self.heard.append(frame)
        elif kind == b"\x08\x00" and IPv4Address(packet[16:20]) == self.ip and packet[9] == 1:
            total = int.from_bytes(packet[2:4], "big")
            source, message = IPv4Address(packet[12:16]), packet[20:total]
            assert checksum(message) == 0, "the checksum must be complete"
            if message[0] == 8:
                answer = echo(0, *struct.unpack_from(">HH", message, 4), message[8:])
                return frame[6:12] + self.mac + b"\x08\x00" + ipv4(self.ip, source, 1, answer)
            if message[0] == 0:
                self.answered.add(int.from_bytes(message[6:8], "big"))
        return None


class WeavePeer:
    """One peer with one connection, on the host of its sockets. Call ``dial`` or ``accept``, then ``start``.

    ``number`` makes its name and short id, ``mtu`` is that of its network; ``trusts``: the other's address.
    """

    def __init__(
        self,
        number: int,
        udp: socket.socket,
        container: IPv4Address,
        password: bytes = b"",
        overlays: str = "sleeve",
        mtu: int = 1500,
        trusts: bool = False,
    ) -> None:
        self.name = bytes.fromhex("02574e4500") + bytes((number,))
        self.short_id = 100 + number
        self.password = password
        self.overlays = overlays
        self.trusts = trusts
        self.udp = udp
        self.udp.bind(("", PORT))
        self.mtu = mtu
        self.container = Container(bytes.fromhex("0a57454156") + bytes((number,)), container)
        self.controls: list[tuple[int, bytes]] = []
        self.other: dict[str, str] = {}
        self.other_name = b""
        self.heartbeats = 0
        self.ignored = 0
        self.established = False
        self.silent = False
        """Send no datagrams and hear none, as if a firewall stood between."""
        self.where: dict[bytes, bytes] = {}
        self._version = 1
        self._counters = [0, 0]
        self._sent = self._taken = 0
        self._key = self._sleeve_key = b""
        self._held = b""
        self._remote: tuple[str, int] | None = None
        self._next_beat = 0.0
        self._running = True
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, daemon=True)

    # the connection

    def dial(self, tcp: socket.socket, address: IPv4Address) -> None:
        """Connect to a peer."""
        tcp.settimeout(10)
        tcp.connect((str(address), PORT))
        self._remote = (str(address), PORT)
        self._begin(tcp, dialler=True)

    def accept(self, listening: socket.socket) -> None:
        """Be connected to."""
        listening.settimeout(30)
        tcp, _ = listening.accept()
        self._begin(tcp, dialler=False)

    def start(self) -> None:
        """Go on in the background."""
        self._thread.start()

    def close(self) -> None:
        """End, as the original does: with a reset."""
        self._running = False
        if self._thread.is_alive():
            self._thread.join()
        self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.tcp.close()
        self.udp.close()

    def _begin(self, tcp: socket.socket, dialler: bool) -> None:
        self.tcp, self.dialler = tcp, dialler
        tcp.settimeout(10)
        public, private = crypto_box_keypair()
        tcp.sendall(HEADER + (b"\x01" + public if self.password else b"\x00"))
        header = self._exactly(7)
        assert header[:5] == b"weave"
        assert header[5] <= 2 <= header[6]
        assert self._exactly(1) == (b"\x01" if self.password else b"\x00")
        if self.password:
            shared = crypto_box_beforenm(self._exactly(32), private)
            self._key = hashlib.sha256(shared + self.password).digest()
        uid, conn_id = time.time_ns(), int.from_bytes(hashlib.sha256(public).digest()[:8], "big")
        name = ":".join(f"{byte:02x}" for byte in self.name)
        features = {"PeerNameFlavour": "mac", "Name": name, "NickName": "original", "UID": str(uid)}
        features |= {
            "ConnID": str(conn_id),
            "ShortID": str(self.short_id),
            "Trusted": str(self.trusts).lower(),
        }
        self._tell(encode_map({**features, "Overlays": self.overlays}))
        self._uid = uid
        self.other = decode_map(self._opened(self._exactly(int.from_bytes(self._exactly(4), "big"))))
        self.other_name = bytes.fromhex(self.other["Name"].replace(":", ""))
        self.conn_uid = conn_id ^ int(self.other["ConnID"])
        both_trust = self.trusts and self.other["Trusted"] == "true"
        self._sleeve_key = b"" if both_trust else self._key
        theirs = self.other["Overlays"].split()
        self.index = [one for one in self.overlays.split() if one in theirs].index("sleeve")
        self._hello()

    def _exactly(self, size: int) -> bytes:
        while len(self._held) < size:
            data = self.tcp.recv(65536)
            if not data:
                raise ConnectionError("closed")
            self._held += data
        data, self._held = self._held[:size], self._held[size:]
        return data

    def _nonce(self, number: int, sender_dialled: bool) -> bytes:
        return bytes((0x40 | (0x80 if sender_dialled else 0),)) + bytes(15) + number.to_bytes(8, "big")

    def _opened(self, body: bytes) -> bytes:
        if not self._key:
            return body
        self._taken += 1
        return crypto_secretbox_open(body, self._nonce(self._taken - 1, not self.dialler), self._key)

    def _tell(self, body: bytes) -> None:
        if self._key:
            body = crypto_secretbox(body, self._nonce(self._sent, self.dialler), self._key)
            self._sent += 1
        self.tcp.sendall(len(body).to_bytes(4, "big") + body)

    def _hello(self) -> None:
        """Gossip our place in the topology: one connection."""
        self._version += 1
        address = f"{self.tcp.getpeername()[0]}:{self.tcp.getpeername()[1]}".encode()
        me = b"\xff\x82\x01" + text(self.name) + b"\x01" + text(b"original") + b"\x01" + uint(self._uid)
        me += b"\x01" + uint(self._version) + b"\x01" + uint(self.short_id) + b"\x01\x01\x00"
        link = b"\x01" + text(self.other_name) + b"\x01" + text(address)
        if self.dialler:
            link += b"\x01\x01" + (b"\x01\x01" if self.established else b"")
        elif self.established:
            link += b"\x02\x01"
        payload = SUMMARY_TYPE + value(me) + CONNECTIONS_TYPE + value(b"\xff\x86\x00\x01" + link + b"\x00")
        self._tell(gossip("topology", self.name, payload))

    # the sleeve

    def send(self, frames: list[tuple[bytes, bytes]], df: bool) -> None:
        """Frames, each with the peer it is for, in one datagram."""
        body = b"".join(self.name + to + len(data).to_bytes(2, "big") + data for to, data in frames)
        if self._sleeve_key:
            number = (self._counters[df] | (df << 63)).to_bytes(8, "big")
            self._counters[df] += 1
            nonce = (b"\x80" if self.dialler else b"\0") + bytes(15) + number
            body = number + crypto_secretbox(body, nonce, self._sleeve_key)
        if self._remote is None or self.silent:
            return
        self.udp.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, DO if df else DONT)
        with contextlib.suppress(OSError):
            self.udp.sendto(self.name + body, self._remote)

    def _run(self) -> None:
        while self._running:
            readable, _, _ = select.select([self.tcp, self.udp], [], [], 0.02)
            with self._lock:
                if self.udp in readable:
                    self._hear(*self.udp.recvfrom(65536))
                if self.tcp in readable and not self._read():
                    return
                self._beat()

    def _beat(self) -> None:
        if time.monotonic() >= self._next_beat:
            self._next_beat = time.monotonic() + (10 if self.established else 0.5)
            self.send([(self.other_name, NONE + self.conn_uid.to_bytes(8, "big"))], df=True)

    def _read(self) -> bool:
        try:
            data = self.tcp.recv(65536)
        except OSError:
            return False
        self._held += data
        while len(self._held) >= 4 and len(self._held) >= 4 + (size := int.from_bytes(self._held[:4], "big")):
            message, self._held = self._opened(self._held[4 : 4 + size]), self._held[4 + size :]
            if message[:2] == bytes((7, self.index)):
                self._control(message[2], message[3:])
        return bool(data)

    def _control(self, tag: int, payload: bytes) -> None:
        self.controls.append((tag, payload))
        if tag == 1 and not self.established:
            self.established = True
            self._hello()
            self.send([(self.other_name, bytes(60001))], df=False)
            overhead = 28 + (30 if self._sleeve_key else 6) + 14
            self.send([(self.other_name, bytes(self.mtu - overhead))], df=True)

    def _hear(self, datagram: bytes, source: tuple[str, int]) -> None:
        if self.silent:
            return
        if datagram[:6] != self.other_name:
            self.ignored += 1
            return
        body = datagram[6:]
        if self._sleeve_key:
            nonce = (b"\0" if self.dialler else b"\x80") + bytes(15) + body[:8]
            body = crypto_secretbox_open(body[8:], nonce, self._sleeve_key)
        while len(body) >= 14:
            size = int.from_bytes(body[12:14], "big")
            source_name, to, frame = body[:6], body[6:12], body[14 : 14 + size]
            assert len(frame) == size, "a frame is cut off"
            body = body[14 + size :]
            assert to == self.name
            if frame[:14] == NONE:
                self._special(frame, source)
            else:
                self.where[frame[6:12]] = source_name
                answer = self.container.receive(frame)
                if answer is not None:
                    self._send_frame(answer)

    def _special(self, frame: bytes, source: tuple[str, int]) -> None:
        if len(frame) == 22:
            assert int.from_bytes(frame[14:], "big") == self.conn_uid
            self._remote = source
            self.heartbeats += 1
            if self.heartbeats == 1:
                self._tell(bytes((7, self.index, 1)))
        elif len(frame) == 60001:
            self._tell(bytes((7, self.index, 2)))
        else:
            self._tell(bytes((7, self.index, 3)) + (len(frame) - 14).to_bytes(2, "big"))

    def _send_frame(self, frame: bytes) -> None:
        self.send([(self.where.get(frame[:6], self.other_name), frame)], df=False)

    # what its container does

    def ping(self, target: IPv4Address, number: int, size: int = 56) -> None:
        """Ask for the address if it is not known, else send an echo."""
        with self._lock:
            box = self.container
            mac = box.neighbours.get(target)
            if mac is None:
                ask = arp(1, box.mac, box.ip, bytes(6), target)
                self.send([(self.other_name, b"\xff" * 6 + box.mac + b"\x08\x06" + ask)], df=False)
            else:
                packet = ipv4(box.ip, target, 1, echo(8, 7, number, bytes(size)))
                self._send_frame(mac + box.mac + b"\x08\x00" + packet)

    def pings(self, target: IPv4Address, number: int, timeout: float = 5) -> bool:
        """Whether an echo comes back in time; asked again every half second."""
        end = time.monotonic() + timeout
        while time.monotonic() < end and number not in self.container.answered:
            self.ping(target, number)
            time.sleep(0.1)
        return number in self.container.answered
