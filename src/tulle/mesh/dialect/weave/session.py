"""One connection in Weave Net's protocol, version 2, without I/O.

Both ends send "weave" and the lowest and highest version they speak, then whether they use a password (and
if so a public key), then frames: a length and a body, sealed if there is a password. The first body of each
end is its features, all others are messages.

The original offers versions 1 to 2. We speak 2 only and say so: its ends then settle on 2, and a router too
old for it learns of the mismatch instead of guessing.
"""

from collections.abc import Callable, Mapping

from tulle.errors import BadMessage
from tulle.mesh.dialect import Control, Features, Message
from tulle.mesh.dialect.weave.messages import (
    decode_features,
    decode_message,
    encode_bare_control,
    encode_features,
    encode_message,
)
from tulle.mesh.dialect.weave.packing import FEATURE, Packer, Unpacker
from tulle.mesh.dialect.weave.sealing import KEY_SIZE, OVERHEAD, Opener, Sealer, public_key, session_key

PREFIX = b"weave"
VERSION = 2
MAX_FRAME = 10 * 1024 * 1024
"""Bytes in one frame, sealed, as in the original."""

MAX_FEATURES = 64 * 1024
"""Bytes of the first frame: strangers get no more memory than that."""

MAX_BODY = MAX_FRAME - OVERHEAD
"""Bytes in one message, tag included."""

_LENGTH_SIZE = 4

_Step = Callable[[], "Features | Message | None"]


class WeaveSession:
    """The wire of one connection; see ``tulle.mesh.dialect.Session``.

    ``private_key`` (32 random bytes, new for every connection) is used only with a password. After a
    BadMessage the session is over: the bytes that follow have no meaning.
    """

    dialect = "weave"

    def __init__(
        self, outbound: bool, features: Mapping[str, str], password: bytes | None, private_key: bytes
    ) -> None:
        self.session_key: bytes | None = None
        self._outbound = outbound
        self._features = encode_features(dict(features))
        self._packs = FEATURE in features and password is None
        self._packer: Packer | None = None
        self._unpacker: Unpacker | None = None
        self._password = password
        self._private_key = private_key
        self._greeted = False
        self._bare_control = False
        self._key: bytes | None = None
        self._sealer: Sealer | None = None
        self._opener: Opener | None = None
        self._received = bytearray()
        self._to_send = b""
        self._step: _Step = self._read_header
        self._wanted = len(PREFIX) + 2

    def start(self) -> bytes:
        """The first bytes to send; with no password that is our whole side of the handshake."""
        header = PREFIX + bytes((VERSION, VERSION))
        if self._password is None:
            return header + b"\x00" + self._frame(self._features)
        return header + b"\x01" + public_key(self._private_key)

    def receive(self, data: bytes) -> list[Features | Message]:
        """Take bytes in. Messages that came before a bad one in the same piece are lost with it."""
        self._received += data
        self._refuse_strangers()
        arrived: list[Features | Message] = []
        while len(self._received) >= self._wanted:
            item = self._step()
            if item is not None:
                arrived.append(item)
        return arrived

    def data_to_send(self) -> bytes:
        """What the handshake wants sent: our features, once the other end's key is known."""
        data, self._to_send = self._to_send, b""
        return data

    def encode(self, message: Message) -> bytes:
        """The bytes of a message. Raises ValueError if its body is larger than a frame may be."""
        if not self._greeted:
            raise RuntimeError("the handshake is not over yet")
        if self._bare_control and isinstance(message, Control):
            return self._frame(encode_bare_control(message))
        body = encode_message(message)
        return self._frame(self._packer.pack(body) if self._packer else body)

    def _frame(self, body: bytes) -> bytes:
        if len(body) > MAX_BODY:
            raise ValueError(f"a message of {len(body)} bytes is larger than the protocol allows")
        sealed = self._sealer.seal(body) if self._sealer else body
        return len(sealed).to_bytes(_LENGTH_SIZE, "big") + sealed

    # -- reading: each step takes the bytes it wanted and says how many the next one wants ----------------

    def _take(self) -> bytes:
        taken = bytes(self._received[: self._wanted])
        del self._received[: self._wanted]
        return taken

    def _next(self, step: _Step, wanted: int) -> None:
        self._step, self._wanted = step, wanted

    def _refuse_strangers(self) -> None:
        """Say at once that the other end is something else, for it may wait for us for ever."""
        if self._step == self._read_header:
            seen = bytes(self._received[: len(PREFIX)])
            if not PREFIX.startswith(seen):
                raise BadMessage("the other end is not a mesh peer: it does not speak this protocol")

    def _read_header(self) -> None:
        lowest, highest = self._take()[len(PREFIX) :]
        if highest < VERSION:
            raise BadMessage(
                f"the peer speaks protocol version {highest} at most, and we need {VERSION}: upgrade it"
            )
        if lowest > VERSION:
            raise BadMessage(f"the peer needs protocol version {lowest} or later, and we speak {VERSION}")
        self._next(self._read_flag, 1)

    def _read_flag(self) -> None:
        flag = self._take()[0]
        if flag not in (0, 1):
            raise BadMessage("the handshake is malformed")
        if flag == 1 and self._password is None:
            raise BadMessage("the peer uses a password and we do not: start both with the same one")
        if flag == 0 and self._password is not None:
            raise BadMessage("the peer uses no password and we do: start both with the same one")
        if flag == 1:
            self._next(self._read_key, KEY_SIZE)
        else:
            self._next(self._read_length, _LENGTH_SIZE)

    def _read_key(self) -> None:
        key = session_key(self._take(), self._private_key, self._password or b"")
        self._key = key
        self._sealer = Sealer(key, from_dialler=self._outbound)
        self._opener = Opener(key, from_dialler=not self._outbound)
        self._to_send += self._frame(self._features)
        self._next(self._read_length, _LENGTH_SIZE)

    def _read_length(self) -> None:
        size = int.from_bytes(self._take(), "big")
        most = MAX_FRAME if self._greeted else MAX_FEATURES
        if size > most:
            raise BadMessage(f"the peer sends a message of {size} bytes; {most} are allowed")
        self._next(self._read_message if self._greeted else self._read_features, size)

    def _read_features(self) -> Features:
        sealed = self._take()
        try:
            body = self._opener.open(sealed) if self._opener else sealed
        except BadMessage:
            raise BadMessage("the peer uses another password: start both with the same one") from None
        features = Features(decode_features(body))
        self._greeted = True
        self._bare_control = "Overlays" not in features.values
        if self._packs and FEATURE in features.values:
            self._packer, self._unpacker = Packer(), Unpacker()
        self.session_key = self._key
        self._next(self._read_length, _LENGTH_SIZE)
        return features

    def _read_message(self) -> Message | None:
        body = self._take()
        self._next(self._read_length, _LENGTH_SIZE)
        if self._opener:
            body = self._opener.open(body)
        return decode_message(self._unpacker.unpack(body) if self._unpacker else body)
