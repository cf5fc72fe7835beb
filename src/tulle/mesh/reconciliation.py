"""Digests of channels between neighbours of our kind, in place of complete states.

A digest that differs is answered with what its sender may lack, or first with a fine digest, to which the
sender answers. What we lack ourselves our own digests bring. While news is under way digests differ for no
reason; see ``Comparing``.

A message is a byte that says whether the digest is fine, the length of the channel's name, the name, and the
digest.
"""

import math
from collections.abc import Callable, Hashable, Iterable, Mapping

from tulle.errors import BadMessage
from tulle.instant import Instant
from tulle.mesh.channel import NO_KEYS, Channel, Comparable, Keys
from tulle.mesh.comparing import Comparing
from tulle.mesh.connection import Link
from tulle.mesh.dialect import GossipMessage
from tulle.mesh.links import LinkTable
from tulle.mesh.peername import PeerName

CHANNEL = "tulle-digests"
CALM_SECONDS = 1.0
"""News that is younger than this may still be under way."""


class Reconciliation:
    """Sends digests of ``channels`` and answers those of others."""

    def __init__(
        self,
        me: PeerName,
        channels: Mapping[str, Channel],
        links: LinkTable,
        wake: Callable[[Link], None],
    ) -> None:
        self._me = me
        self._channels = channels
        self._links = links
        self._wake = wake
        self._comparing: dict[str, Comparing] = {}
        self._news_at: dict[str, float] = {}

    def news(self, channel: str, now: Instant) -> None:
        """There was news on this channel."""
        self._news_at[channel] = now.mono

    def resume(self) -> None:
        """The topology has changed: whoever was answered lately may lack things again."""
        for comparing in self._comparing.values():
            comparing.resume()

    def ask(self, channel: str, neighbours: Iterable[PeerName], now: Instant) -> list[PeerName]:
        """Queue a digest for those that can compare; returns the others, who need the complete state."""
        state = self._channels[channel]
        if not isinstance(state, Comparable) or not state.digest(False, now):
            return list(neighbours)
        others = []
        for neighbour in neighbours:
            link = self._links.up[neighbour]
            if link.greeting is not None and link.greeting.records:
                self._queue(link, (channel, False))
            else:
                others.append(neighbour)
        return others

    def encode(self, keys: Keys, now: Instant) -> list[GossipMessage]:
        """The messages for what was queued, with the digests as they are now."""
        found = []
        for name, channel in self._channels.items():
            for fine in (False, True):
                if (name, fine) in keys and isinstance(channel, Comparable):
                    digest = channel.digest(fine, now)
                    raw = name.encode()
                    payload = bytes((fine, len(raw))) + raw + digest
                    found += [GossipMessage(CHANNEL, self._me, payload)] if digest else []
        return found

    def hear(self, link: Link, payload: bytes, now: Instant) -> None:
        """A digest arrived. Raises BadMessage."""
        name, fine, theirs = _parse(payload)
        channel: object = self._channels.get(name)
        if link.peer is None or not isinstance(channel, Comparable):
            return
        keys = channel.compare(theirs, fine, link.peer, now)
        comparing = self._comparing.setdefault(name, Comparing())
        calm = self._news_at.get(name, -math.inf) < now.mono - CALM_SECONDS
        if keys is not None and not keys:
            comparing.same(link.peer)
        elif not fine and not comparing.differs(link.peer, calm, now.mono):
            return
        elif keys is None:
            self._queue(link, (name, True))
        else:
            link.queue.add_gossip(name, keys or NO_KEYS)
            self._wake(link)

    def _queue(self, link: Link, key: Hashable) -> None:
        link.queue.add_gossip(CHANNEL, frozenset({key}))
        self._wake(link)


def _parse(payload: bytes) -> tuple[str, bool, bytes]:
    if len(payload) < 2 or payload[0] > 1 or len(payload) < 2 + payload[1]:
        raise BadMessage("a digest of a channel is cut off, or not one at all")
    end = 2 + payload[1]
    try:
        return payload[2:end].decode(), bool(payload[0]), payload[end:]
    except UnicodeDecodeError:
        raise BadMessage("the name of a channel is not text") from None
