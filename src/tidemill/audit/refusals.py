"""Refused credentials, folded: a flood of bad keys makes one entry per key, address and minute.

Noting one is a dictionary access on the request's path; entries are written by ``flush`` once a minute and at the
end. Bounded: past 1,000 different ones in a minute the rest is counted under one name.
"""

from collections import Counter
from datetime import datetime

from msgspec import Struct

from tidemill.audit.contracts import ActorKind
from tidemill.kernel import clock

MAX_DISTINCT = 1_000
_OTHERS = "others"


class Refusal(Struct, frozen=True):
    """What was refused: ``subject`` is a key's id or its shortened text, never the secret itself."""

    action: str
    subject: str
    reason: str
    address: str | None
    actor_id: int | None = None
    actor_name: str = ""

    @property
    def actor_kind(self) -> ActorKind:
        """A known owner makes it a key's entry, else nobody knows who called."""
        return "key" if self.actor_id is not None else "anonymous"


class Refusals:
    """Counts refusals by minute until they are written."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[datetime, Refusal]] = Counter()

    def note(self, refusal: Refusal) -> None:
        """Count one refusal."""
        minute = clock.now().replace(second=0, microsecond=0)
        if (minute, refusal) not in self._counts and len(self._counts) >= MAX_DISTINCT:
            refusal = Refusal(refusal.action, _OTHERS, refusal.reason, None)
        self._counts[minute, refusal] += 1

    def take(self) -> list[tuple[datetime, Refusal, int]]:
        """Hand over what was counted and start anew."""
        counts, self._counts = self._counts, Counter()
        return [(minute, refusal, count) for (minute, refusal), count in counts.items()]

    def give_back(self, taken: list[tuple[datetime, Refusal, int]]) -> None:
        """Keep for the next time what could not be written."""
        for minute, refusal, count in taken:
            self._counts[minute, refusal] += count
