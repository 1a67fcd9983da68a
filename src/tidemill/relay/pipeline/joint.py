"""Join the text that a second service sends to the text that has gone out: nothing twice, nothing left out. Pure.

A service is given the text so far without the blanks at its end (several refuse those, and a model continues better
from a word), so it writes them again. Some services send all that they were given once more; a text that begins with
the whole text so far is taken for that, unless it is so short or so regular that it may well be the next words.
"""

# Shorter texts come back by chance.
_TELLING_LENGTH = 24
# As far as a text is looked at for its regularity.
_LOOKED_AT = 4096


class Joint:
    """What a continuation begins with, until it is known what of it is new.

    ``so_far``: what the client has; ``given``: what the service was given, ``so_far`` without its last blanks.
    ``restates``: the service is known to send what it was given once more.
    """

    __slots__ = ("_blanks", "_held", "_restated", "decided")

    def __init__(self, so_far: str, given: str, *, restates: bool = False) -> None:
        self._blanks = so_far[len(given) :]
        telling = restates or (len(given) >= _TELLING_LENGTH and not _is_regular(given[:_LOOKED_AT]))
        self._restated = given if given and telling else ""
        self._held = ""
        self.decided = not self._blanks and not self._restated

    def feed(self, text: str) -> str:
        """Return what of ``text``, and of what was held back, is known to be new."""
        if self.decided:
            return text
        self._held += text
        if self._restated:
            if len(self._held) < len(self._restated) and self._restated.startswith(self._held):
                return ""
            self._held = self._held.removeprefix(self._restated)
            self._restated = ""
        if len(self._held) < len(self._blanks) and self._blanks.startswith(self._held):
            return ""
        return self.rest()

    def rest(self) -> str:
        """Return what is held back: no more comes, or none that could tell more of it."""
        self.decided = True
        held, self._held = self._held, ""
        common = 0
        while common < min(len(held), len(self._blanks)) and held[common] == self._blanks[common]:
            common += 1
        return held[common:]


def given_of(so_far: str) -> str:
    """Return the text that a service is given to continue."""
    return so_far.rstrip()


def _is_regular(text: str) -> bool:
    """Tell whether ``text`` repeats one of its beginnings all through, so that its next words may be its first."""
    # The longest border of each beginning (Knuth, Morris and Pratt): a text is regular when it overlaps itself by half.
    borders = [0] * len(text)
    longest = 0
    for place in range(1, len(text)):
        while longest and text[place] != text[longest]:
            longest = borders[longest - 1]
        if text[place] == text[longest]:
            longest += 1
        borders[place] = longest
    return 2 * longest >= len(text)
