"""What is to be written, answered and sent, in the order that keeps promises.

The disk leads: nobody outside may learn of something that a crash could make undone. So everything said
waits here until the node collects it together with the records it rests on. The node commits these before
it looks at answers or messages, and says when it could not.
"""

from tulle.errors import UserError
from tulle.ipam.events import Done, Event, Failed, Log, Save
from tulle.mesh.channel import Outgoing


class Journal:
    """Pending records, answers and messages of one allocator."""

    def __init__(self) -> None:
        self.outbox: list[Outgoing] = []
        """Messages whose records were handed out: to be sent once these are committed."""
        self._unsaved: dict[tuple[str, str], bytes | None] = {}
        self._handed: dict[tuple[str, str], bytes | None] = {}
        self._answers: list[Done] = []
        self._handed_answers: list[Done] = []
        self._notices: list[Failed | Log] = []
        self._staged: list[Outgoing] = []
        self._blocked = False

    @property
    def dirty(self) -> bool:
        """Whether anything is known here that is not on disk; then nothing may be told to others."""
        return bool(self._unsaved)

    @property
    def blocked(self) -> bool:
        """Whether the disk refused the last batch and no new try was made."""
        return self._blocked

    def save(self, kind: str, key: str, value: bytes | None) -> None:
        """Write (or delete) a record; a later value for the same key replaces an earlier one."""
        self._unsaved[kind, key] = value

    def answer(self, ticket: int, result: object) -> None:
        """Tell a requester that it is done."""
        self._answers.append(Done(ticket, result))

    def refuse(self, ticket: int, error: UserError) -> None:
        """Tell a requester that it cannot be done."""
        self._notices.append(Failed(ticket, error))

    def log(self, level: str, text: str) -> None:
        """Add a line to the log."""
        self._notices.append(Log(level, text))

    def send(self, message: Outgoing) -> None:
        """Send a message after everything saved so far is on disk."""
        self._staged.append(message)

    def collect(self) -> list[Event]:
        """Everything due: records first, then what may be said once they are committed."""
        if not (self._unsaved or self._answers or self._staged or self._notices) and not self._handed:
            self._handed_answers = []
            return []
        notices: list[Event] = list(self._notices)
        self._notices.clear()
        if self._blocked:
            return notices
        self._handed, self._unsaved = self._unsaved, {}
        self._handed_answers, self._answers = self._answers, []
        self.outbox.extend(self._staged)
        self._staged.clear()
        saves = [Save(kind, key, value) for (kind, key), value in self._handed.items()]
        return [*saves, *notices, *self._handed_answers]

    def storage_failed(self, reason: str) -> None:
        """The batch just collected is not on disk: take back what was to be said, and keep the records."""
        self._unsaved = self._handed | self._unsaved
        self._handed = {}
        for answer in self._handed_answers:
            self.refuse(answer.ticket, _not_written(reason))
        self._handed_answers = []
        self._staged[:0] = self.outbox
        self.outbox.clear()
        self._blocked = True

    def retry(self) -> None:
        """Let the next collection try the disk again."""
        self._blocked = False


def _not_written(reason: str) -> UserError:
    return UserError(
        f"the address could not be written to disk ({reason}), so it is not handed out; make room on the disk"
        " of the state directory or repair it, then try again",
        507,
    )
