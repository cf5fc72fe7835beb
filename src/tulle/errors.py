"""The two families of errors: what the network sent us, and what a user asked of us."""


class BadMessage(Exception):
    """Bytes from the network that are not what the protocol allows.

    The only exception a parser of network bytes may raise. The connection it came from is closed and the
    text becomes the reason shown to the user, so it is one plain clause: "ring entries are not sorted".
    """


class Incompatible(BadMessage):
    """The message is well made, but its sender and we can never agree; the text says what to do about it."""


class UserError(Exception):
    """Something a user asked for cannot be done; the text says what happened and what to do next.

    ``status`` is the HTTP status of the answer (4xx: the request is wrong; 409: it clashes with what is
    there; 503: not ready yet).
    """

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.status = status


class StorageError(Exception):
    """What must survive a crash could not be written (disk full, read-only, I/O error)."""
