"""An allocator that counts what it says of the first election."""

from collections.abc import Callable, Iterable
from random import Random

from tulle.instant import Instant
from tulle.ipam import weave
from tulle.ipam.allocator import Allocator
from tulle.ipam.config import IpamConfig
from tulle.ipam.records import RecordTuple
from tulle.mesh.channel import Keys


class AuditedAllocator(Allocator):
    """``voted`` is called for every message with claims of the election in it."""

    def __init__(
        self, config: IpamConfig, rng: Random, restored: Iterable[RecordTuple], voted: Callable[[], None]
    ) -> None:
        super().__init__(config, rng, restored)
        self._voted = voted

    def encode_some(self, dialect: str, keys: Keys, now: Instant) -> list[bytes]:
        """See ``Allocator``."""
        payloads = super().encode_some(dialect, keys, now)
        for payload in payloads:
            if weave.decode_state(payload).claims is not None:
                self._voted()
        return payloads
