"""A bounded number of places, given out in the order of arrival.

asyncio.Semaphore would do but for one thing: the count must be able to change while requests wait.
"""

import asyncio
from collections import deque


class Slots:
    """Places to work in; ``limit`` 0 means no bound.

    Invariant: a request waits only while every place is taken; the one that has waited longest goes first.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.taken = 0
        self.longest_line = 0
        self._line: deque[asyncio.Future[None]] = deque()

    @property
    def waiting(self) -> int:
        """How many requests stand in line."""
        return len(self._line)

    async def take(self) -> None:
        """Return when a place is ours; whoever cancels the wait loses the place in line and nothing else."""
        if not self._line and self._free():
            self.taken += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line.append(turn)
        self.longest_line = max(self.longest_line, len(self._line))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give_back()  # the place came in the same moment as the cancellation
            elif turn in self._line:  # else a place being given out has already passed it by
                self._line.remove(turn)
            raise

    def give_back(self) -> None:
        """Free a place and call in whoever waits longest."""
        self.taken -= 1
        self._call_in()

    def resize(self, limit: int) -> None:
        """Change the bound; requests at work stay, waiting ones are called in where there is room."""
        self.limit = limit
        self._call_in()

    def _free(self) -> bool:
        return self.limit == 0 or self.taken < self.limit

    def _call_in(self) -> None:
        while self._line and self._free():
            turn = self._line.popleft()
            if not turn.done():
                self.taken += 1
                turn.set_result(None)
