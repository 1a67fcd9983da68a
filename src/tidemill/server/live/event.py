"""One live event, and the ids by which a watcher finds its way back.

An id is ``{milliseconds}.{topic}.{key}.{version}``. The milliseconds are the position to resume after; the whole
text names the event, so that a repeat can be dropped. Where the database has the moment of a change (the end of a
job), a replay carries the id that the live event carried.
"""

from functools import cached_property
from typing import Any

import msgspec

from tidemill.kernel import clock

# Tells a watcher that events were lost and that the lists are to be read again.
RESET = "reset"
READY = "ready"
_encode = msgspec.json.Encoder().encode


class LiveEvent:
    """Something that happened to ``key``, which belongs to ``user_id`` (None: to nobody; administrators see it).

    ``public``: whoever may watch its topic hears of it.
    """

    def __init__(
        self,
        kind: str,
        topic: str,
        *,
        key: str,
        version: str,
        at_ms: int,
        user_id: int | None,
        data: Any,
        public: bool = False,
    ) -> None:
        self.kind = kind
        self.topic = topic
        self.key = key
        self.version = version
        self.at_ms = at_ms
        self.user_id = user_id
        self.public = public
        self._data = data

    @cached_property
    def id(self) -> str:
        """The position and the name."""
        return ".".join(part for part in (str(self.at_ms), self.topic, self.key, self.version) if part)

    @property
    def is_final(self) -> bool:
        """Whether it tells of an end."""
        return self.kind.endswith((".ended", ".deleted"))

    @property
    def fold(self) -> str:
        """Events of one fold replace one another where a watcher is slow: only the newest matters."""
        return f"{self.topic}:{self.key}"

    @cached_property
    def body(self) -> bytes:
        """The event as JSON, made once for all watchers."""
        return _encode({"type": self.kind, "topic": self.topic, "id": self.id, "data": self._data})


def now_ms() -> int:
    """Return the present position."""
    return int(clock.now().timestamp() * 1000)


def position_of(identifier: str) -> int | None:
    """Return the position that an id (or a bare position) holds, None when it is none of ours."""
    head = identifier.partition(".")[0]
    return int(head) if head.isascii() and head.isdigit() and len(head) <= len("1000000000000000") else None


def reset_event() -> LiveEvent:
    """Return the word that something was missed."""
    return LiveEvent(RESET, "", key="", version="", at_ms=now_ms(), user_id=None, data={})
