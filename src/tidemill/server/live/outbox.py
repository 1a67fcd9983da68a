"""What waits to be sent to one watcher: a bound of 256, then the newest of each key, then no more.

A watcher that reads as fast as events come never sees a fold. 256 events are some 100 KB: enough for a browser tab
that was busy for a moment, little enough that a thousand stuck ones do no harm.
"""

from msgspec import Struct

LIMIT = 256


class Outgoing(Struct, frozen=True):
    """One message. ``fold``: a later one with the same text may take its place; empty: every one must arrive."""

    kind: str
    data: bytes
    id: str | None = None
    run: str | None = None
    fold: str = ""


class Outbox:
    """Messages in order."""

    def __init__(self) -> None:
        # A list: empty it weighs 56 bytes, a deque 760, and there may be 20,000.
        self._waiting: list[Outgoing] = []

    def __len__(self) -> int:
        """How many messages wait."""
        return len(self._waiting)

    def put(self, message: Outgoing) -> bool:
        """Add a message; False when there is no room for it even after folding."""
        self._waiting.append(message)
        if len(self._waiting) > LIMIT:
            self._fold()
        return len(self._waiting) <= LIMIT

    def take(self) -> Outgoing | None:
        """Remove and return the oldest message."""
        return self._waiting.pop(0) if self._waiting else None

    def clear(self) -> None:
        """Forget everything."""
        self._waiting.clear()

    def _fold(self) -> None:
        """Keep the newest message of each fold, at its place."""
        seen: set[str] = set()
        kept: list[Outgoing] = []
        for message in reversed(self._waiting):
            if message.fold in seen:
                continue
            if message.fold:
                seen.add(message.fold)
            kept.append(message)
        self._waiting = kept[::-1]
