"""Those who wait for a channel: caller by caller in turn, each caller's own in order."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Iterator

from tidemill.relay.grants import Grant
from tidemill.relay.plan import Wish


class Waiter:
    """One call that waits until ``due`` (monotonic seconds) at most."""

    __slots__ = ("due", "granted", "wish")

    def __init__(self, wish: Wish, due: float, granted: "asyncio.Future[Grant]") -> None:
        self.wish = wish
        self.due = due
        self.granted = granted


class Room:
    """Those who wait for the same model and kind of call."""

    __slots__ = ("_callers", "timer")

    def __init__(self) -> None:
        self._callers: OrderedDict[str, deque[Waiter]] = OrderedDict()
        self.timer: asyncio.TimerHandle | None = None

    def __bool__(self) -> bool:
        return bool(self._callers)

    def __contains__(self, caller: str) -> bool:
        return caller in self._callers

    def add(self, waiter: Waiter) -> None:
        """Let a call wait behind those of its caller."""
        self._callers.setdefault(waiter.wish.caller, deque()).append(waiter)

    def drop(self, waiter: Waiter) -> None:
        """Let it wait no more."""
        line = self._callers.get(waiter.wish.caller)
        if line is not None and waiter in line:
            line.remove(waiter)
            if not line:
                del self._callers[waiter.wish.caller]

    def first_of_each(self) -> Iterator[Waiter]:
        """Yield each caller's first, in the order of their turns; calls may be served meanwhile."""
        for caller in list(self._callers):
            line = self._callers.get(caller)
            if line:
                yield line[0]

    def served(self, waiter: Waiter) -> None:
        """Take a caller's first off and send the caller to the end of the round."""
        caller = waiter.wish.caller
        line = self._callers[caller]
        line.popleft()
        if line:
            self._callers.move_to_end(caller)
        else:
            del self._callers[caller]

    def stop_timer(self) -> None:
        """Wake nobody by time."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
