"""How units are sealed: ciphers, and keys that are renewed.

Each direction of a path begins with a secret of its own. From the secret of an epoch follow, by HKDF, one key
for each cipher and the secret of the next epoch. Nothing has to be said between the ends: the epoch stands in
every header. The library with the ciphers is loaded when the first of them is needed: see ``tulle.hkdf``.
"""

import time
from collections.abc import Callable
from enum import IntEnum
from functools import cache
from typing import Protocol

from tulle.hkdf import expand

Octets = bytes | bytearray | memoryview

TAG = 16
"""Bytes that a seal adds."""


class Aead(Protocol):
    """A cipher with its key, as the library has it."""

    def encrypt(self, nonce: bytes, data: Octets, associated_data: Octets) -> bytes:
        """``data`` sealed."""

    def encrypt_into(self, nonce: bytes, data: Octets, associated_data: Octets, buf: Octets) -> int:
        """Seal ``data`` into ``buf``, which takes ``TAG`` bytes more; their number."""

    def decrypt_into(self, nonce: bytes, data: Octets, associated_data: Octets, buf: Octets) -> int:
        """Open into ``buf``; raises ``broken_seal()``."""


class Seal(IntEnum):
    """How a unit is sealed; the high bits of the header's kind."""

    NONE = 0x00
    AES_256_GCM = 0x10
    CHACHA20_POLY1305 = 0x20


_PURPOSES = {
    Seal.AES_256_GCM: b"tulle sleeve key AES-256-GCM",
    Seal.CHACHA20_POLY1305: b"tulle sleeve key ChaCha20-Poly1305",
}

LIFETIME = 3600.0
"""Seconds for which a key seals."""

CAPACITY = 1 << 28
"""Datagrams that one key seals: some 400 GB, far below where AES-GCM's security begins to wear (NIST SP
800-38D and RFC 8446 section 5.5 have the arithmetic)."""

GRACE = 60.0
"""Seconds for which the key before the newest still opens what comes late."""

AHEAD = 1024
"""Epochs that a sender may have gone through unheard; at one an hour, more than 40 days."""

_CALIBRATION = 1 << 16


@cache
def fastest() -> Seal:
    """The cipher that this machine seals a superframe faster with."""
    return min(_PURPOSES, key=_seconds)


def _seconds(seal: Seal) -> float:
    aead = _maker(seal)(bytes(32))
    data, sealed, best = bytes(_CALIBRATION), bytearray(_CALIBRATION + TAG), float("inf")
    for number in range(8):
        began = time.perf_counter()
        aead.encrypt_into(number.to_bytes(12, "big"), data, b"", sealed)
        best = min(best, time.perf_counter() - began)
    return best


def next_secret(secret: bytes) -> bytes:
    """The next epoch's; there is no way back."""
    return expand(secret, b"tulle sleeve next epoch")


def cipher(secret: bytes, seal: Seal) -> Aead:
    """The cipher of an epoch."""
    return _maker(seal)(expand(secret, _PURPOSES[seal]))


def broken_seal() -> type[Exception]:
    """What opening raises if a unit is not what was sealed."""
    from cryptography.exceptions import InvalidTag

    return InvalidTag


def _maker(seal: Seal) -> Callable[[bytes], Aead]:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

    return AESGCM if seal is Seal.AES_256_GCM else ChaCha20Poly1305


def nonce(header: bytes | bytearray | memoryview) -> bytes:
    """That of the unit with this header: its sequence, which no two units under one key share."""
    return b"\0\0\0\0" + bytes(header[8:16])


class SendingKeys:
    """The key that seals now, renewed in time."""

    def __init__(self, secret: bytes, seal: Seal, now: float) -> None:
        self.seal = seal
        self.epoch = 0
        self._secret = secret
        self._use(now, 0)

    def aead(self, number: int, now: float) -> Aead:
        """What seals the datagram with this number."""
        if now >= self._until or number >= self._limit:
            self.epoch += 1
            self._secret = next_secret(self._secret)
            self._use(now, number)
        return self._aead

    def _use(self, now: float, number: int) -> None:
        self._aead = cipher(self._secret, self.seal)
        self._until = now + LIFETIME
        self._limit = number + CAPACITY


class ReceivingKeys:
    """The keys that may open: of the newest epoch heard of, the one before it for a while, and those to come.

    What an epoch's number costs is bounded: secrets are derived once, and at most ``AHEAD`` of them.
    """

    def __init__(self, secret: bytes) -> None:
        self._secrets = {0: secret}
        self._aeads: dict[tuple[int, int], Aead] = {}
        self._newest = 0
        self._furthest = 0
        self._turned = float("-inf")

    def aead(self, epoch: int, seal: int, now: float) -> Aead | None:
        """What may open a unit that says this of itself; None if nothing does."""
        if epoch < self._newest and now > self._turned + GRACE:
            return None
        found = self._aeads.get((epoch, seal))
        return found if found is not None else self._make(epoch, seal)

    def opened(self, epoch: int, now: float) -> None:
        """A unit of this epoch was authentic."""
        if epoch <= self._newest:
            return
        self._derive(epoch)
        kept = (self._newest, epoch)
        self._newest, self._turned = epoch, now
        self._secrets = {one: secret for one, secret in self._secrets.items() if one >= epoch or one in kept}
        self._aeads = {key: aead for key, aead in self._aeads.items() if key[0] in kept}

    def _make(self, epoch: int, seal: int) -> Aead | None:
        if seal not in _PURPOSES or epoch > self._newest + AHEAD:
            return None
        self._derive(epoch)
        secret = self._secrets.get(epoch)
        if secret is None:
            return None
        made = cipher(secret, Seal(seal))
        if epoch in (self._newest, self._newest + 1):
            self._aeads[epoch, seal] = made
        return made

    def _derive(self, epoch: int) -> None:
        while self._furthest < epoch:
            self._secrets[self._furthest + 1] = next_secret(self._secrets[self._furthest])
            self._furthest += 1
