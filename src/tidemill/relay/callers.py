"""Hold each caller (a key, or the user of a session) to its own limits, in memory."""

from msgspec import Struct

from tidemill.kernel import clock
from tidemill.relay.errors import RateLimited
from tidemill.relay.ports import CallerLimits
from tidemill.relay.window import Window

# Callers whose minute is over are forgotten once this many are known.
_FORGET_AT = 4096


class Ticket(Struct, frozen=True):
    """A call let in; give it back with ``leave``."""

    caller: str
    mark: float | None


class _Caller:
    __slots__ = ("in_flight", "window")

    def __init__(self) -> None:
        self.in_flight = 0
        self.window: Window | None = None


class Callers:
    """Calls in flight and of the last minute, by caller."""

    def __init__(self) -> None:
        self._callers: dict[str, _Caller] = {}

    def enter(self, turn: str, limits: CallerLimits) -> Ticket:
        """Count a call in; raises RateLimited, and then counts nothing."""
        known = self._callers.get(turn)
        if known is None:
            self._forget_idle()
            known = self._callers[turn] = _Caller()
        if limits.max_concurrent and known.in_flight >= limits.max_concurrent:
            raise RateLimited(limit=f"{limits.max_concurrent} at once", retry_after_s=1.0)
        mark: float | None = None
        if limits.rpm:
            mark = self._count(known, limits.rpm)
        known.in_flight += 1
        return Ticket(turn, mark)

    def _count(self, known: _Caller, rpm: int) -> float:
        now = clock.monotonic()
        window = known.window
        if window is None:
            window = known.window = Window(rpm)
        window.limit = rpm
        free_in_s = window.free_in_s(now)
        if free_in_s > 0:
            raise RateLimited(limit=f"{rpm} per minute", retry_after_s=free_in_s)
        return window.add(now)

    def leave(self, ticket: Ticket, *, refused: bool = False) -> None:
        """Count a call out; ``refused``: nothing was called after all, so it takes no part of the minute."""
        known = self._callers[ticket.caller]
        known.in_flight -= 1
        if refused and ticket.mark is not None and known.window is not None:
            known.window.take_back(ticket.mark)

    def headers(self, turn: str, limits: CallerLimits) -> list[tuple[bytes, bytes]]:
        """Return OpenAI's rate-limit headers; none where there is no limit a minute."""
        if not limits.rpm:
            return []
        known = self._callers.get(turn)
        now = clock.monotonic()
        window = known.window if known is not None and known.window is not None else Window(limits.rpm)
        return [
            (b"x-ratelimit-limit-requests", b"%d" % limits.rpm),
            (b"x-ratelimit-remaining-requests", b"%d" % window.remaining(now)),
            (b"x-ratelimit-reset-requests", duration(window.reset_in_s(now))),
        ]

    def _forget_idle(self) -> None:
        if len(self._callers) < _FORGET_AT:
            return
        now = clock.monotonic()
        for turn, known in list(self._callers.items()):
            if not known.in_flight and (known.window is None or known.window.remaining(now) == known.window.limit):
                del self._callers[turn]


def duration(seconds: float) -> bytes:
    """Write a duration as OpenAI does: ``6m0s``, ``1.5s``, ``20ms``."""
    if seconds < 1:
        return b"%dms" % round(seconds * 1000)
    minutes, rest = divmod(seconds, 60)
    text = f"{rest:.3f}".rstrip("0").rstrip(".")
    return f"{int(minutes)}m{text}s".encode() if minutes else f"{text}s".encode()
