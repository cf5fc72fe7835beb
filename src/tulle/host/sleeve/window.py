"""The replay window: which numbers have been seen, as far back as reordering can reach."""

_WORD = 64
_WORDS = 1024
REACH = (_WORDS - 1) * _WORD
"""A number that is so much lower than the highest seen is too late."""


class ReplayWindow:
    """A bit for each of the last ``REACH`` numbers. Its size is fixed."""

    def __init__(self) -> None:
        self._words = [0] * _WORDS
        self._top_word = 0
        self.next = 0
        """One more than the highest number marked."""

    def is_fresh(self, number: int) -> bool:
        """Whether a number is neither seen nor too late."""
        word = number >> 6
        if word > self._top_word:
            return True
        if word <= self._top_word - _WORDS:
            return False
        return not self._words[word % _WORDS] >> (number & 63) & 1

    def mark(self, number: int, count: int = 1) -> None:
        """It was seen, with the ``count - 1`` numbers after it, of which no one asks."""
        word = number >> 6
        top = self._top_word
        if word > top:
            for empty in range(max(top + 1, word - _WORDS + 1), word + 1):
                self._words[empty % _WORDS] = 0
            self._top_word = word
        self._words[word % _WORDS] |= 1 << (number & 63)
        if number + count > self.next:
            self.next = number + count
