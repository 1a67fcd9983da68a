"""What befalls a channel while it serves, told to whoever keeps the books: history, keys, alerts."""

from typing import Literal

from msgspec import Struct

# A breaker opened or closed again; the service refused a key (401, 403), or says that no money is left on it.
ShiftKind = Literal["opened", "closed", "key_refused", "key_broke"]


class Shift(Struct, frozen=True, kw_only=True):
    """One event. ``model`` and ``key_id`` None: the channel as a whole; a channel without a key has the id ''."""

    channel_id: int
    channel: str
    kind: ShiftKind
    model: str | None = None
    key_id: str | None = None
    key_last4: str | None = None
    reason: str = ""
