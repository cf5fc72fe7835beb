"""Answers for names that do not exist, without taking each query apart.

There is no end of such names, so answers cannot be kept ready for them. But those of one length, asked for in
one way, get the same answer but for the name itself: what that is, is learned from the first, and the rest is
a look whether the name is there.
"""

from tulle.names.directory import Directory
from tulle.names.question import HEADER

_MOST = 1024
"""Ways of asking that are kept. When there are more, all are forgotten: learning one is cheap."""

_LABEL = HEADER + 1
_ID = 2
_TYPE_AND_CLASS = 4


class Missing:
    """Names directly under ``domain``, which is in wire form."""

    def __init__(self, directory: Directory, domain: bytes) -> None:
        self._directory = directory
        self._domain = domain
        self._ways: dict[bytes, tuple[bytes, bytes]] = {}
        """What goes before and after the question, by header, length of the label and rest of the query."""

    def learn(self, query: bytes, answer: bytes) -> None:
        """This query asks for a name that does not exist, and gets this ``answer`` (without its id)."""
        end = query.find(self._domain, HEADER) + len(self._domain)
        if end != query[HEADER] + _LABEL + len(self._domain):
            return
        if len(self._ways) >= _MOST:
            self._ways.clear()
        rest = end + _TYPE_AND_CLASS - _ID
        self._ways[query[_ID:_LABEL] + query[end:]] = answer[: HEADER - _ID], answer[rest:]

    def answer(self, query: bytes) -> bytes | None:
        """The answer; None for a name that exists, or a way of asking that is new. Any bytes may come."""
        end = query.find(self._domain, HEADER) + len(self._domain)
        way = self._ways.get(query[_ID:_LABEL] + query[end:])
        if way is None or end != query[HEADER] + _LABEL + len(self._domain):
            return None
        if self._directory.exists(query[HEADER:end].lower()):
            return None
        return query[:_ID] + way[0] + query[HEADER : end + _TYPE_AND_CLASS] + way[1]
