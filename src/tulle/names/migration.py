"""Names that were saved under another domain than the one that is served now."""

from tulle.names import records
from tulle.names.entry import Key
from tulle.names.events import Save


class Migration:
    """Finds such names and says what they are called under the new domain."""

    def __init__(self, domain: str) -> None:
        self._domain = domain
        self._former: str | None = None
        self._strays: list[Key] = []

    def __bool__(self) -> bool:
        return bool(self._strays)

    def restored_domain(self, value: bytes) -> None:
        """This is the record of the domain that the saved names are under."""
        self._former = records.restore_domain(value)

    def restored(self, key: Key) -> None:
        """This name was saved, perhaps under another domain."""
        if not key.hostname.lower().endswith(f".{self._domain}"):
            self._strays.append(key)

    def take(self) -> list[tuple[Key, str | None]]:
        """Each name under another domain, with what it is called now; None where that cannot be known."""
        strays, self._strays = self._strays, []
        return [(key, self._moved(key.hostname)) for key in strays]

    def note_domain(self) -> list[Save]:
        """What to save along with a name, so that it can move one day."""
        if self._former == self._domain:
            return []
        self._former = self._domain
        return [records.save_domain(self._domain)]

    def _moved(self, hostname: str) -> str | None:
        if self._former is None or not hostname.lower().endswith(f".{self._former}"):
            return None
        return hostname[: -len(self._former)] + self._domain
