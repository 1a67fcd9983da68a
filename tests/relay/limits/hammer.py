"""One of several processes that all want more than they are allowed; told what to do by lines on its input.

``{"do": "hammer", "rpm": 50, "tasks": 20, "shift_s": 25}`` → ``{"let_in": 12, "most": 7}``: every task calls until the
minute is full; ``most`` is how many calls were ever under way at once, over all processes, by a counter of their own.
``{"do": "hold", "calls": 3}`` → ``{"let_in": 3}``: enters and never leaves.
"""

import asyncio
import json
import sys
from contextlib import ExitStack
from typing import Any

from tidemill.kernel import clock
from tidemill.platform.redis import Client
from tidemill.relay.limits import Bound, Claim
from tidemill.relay.limits.shared import SharedLimits

CONCURRENT = 7
# Long enough for a busy machine: whoever judges alone would let in what the others do not know of.
TIMEOUT_S = 60.0


class Hammer:
    """One process's callers."""

    def __init__(self, url: str, prefix: str, lease_s: float) -> None:
        self.limits = SharedLimits(url, prefix=prefix, lease_s=lease_s, timeout_s=TIMEOUT_S)
        self.counter = Client(url, setting="cache.url", timeout_s=TIMEOUT_S)
        self.inside = f"{prefix}:inside"
        self.let_in = 0
        self.most = 0

    async def call_until_the_minute_is_full(self, bounds: tuple[Bound, ...]) -> None:
        """Call again and again."""
        while True:
            outcome = await self.limits.reserve(bounds, 10)
            if isinstance(outcome, Claim):
                self.let_in += 1
                self.most = max(self.most, int(await self.counter.ask("INCR", self.inside)))
                await self.counter.ask("DECR", self.inside)
                self.limits.correct(outcome, 20)
                self.limits.release(outcome)
            elif outcome.what == "concurrent":
                await asyncio.sleep(0.001)
            else:
                return

    async def hammer(self, wish: dict[str, Any]) -> dict[str, int]:
        """Let every task call until the minute is full."""
        self.let_in = self.most = 0
        bounds = (
            Bound("key:1", rpm=wish["rpm"]),
            Bound("user:1", tpm=10**6),
            Bound("channel:1", concurrent=CONCURRENT),
        )
        with ExitStack() as time:
            time.enter_context(clock.shifted(wish["shift_s"]))
            async with asyncio.TaskGroup() as tasks:
                for _ in range(wish["tasks"]):
                    tasks.create_task(self.call_until_the_minute_is_full(bounds))
            await self.limits.look(bounds)  # what was sent in the background has arrived
        return {"let_in": self.let_in, "most": self.most}

    async def hold(self, wish: dict[str, Any]) -> dict[str, int]:
        """Enter as often as wished, as far as there is room."""
        outcomes = [
            await self.limits.reserve((Bound("channel:1", concurrent=CONCURRENT),), 0) for _ in range(wish["calls"])
        ]
        return {"let_in": sum(isinstance(outcome, Claim) for outcome in outcomes)}


async def main(url: str, prefix: str, lease_s: float) -> None:
    """Do what the lines say until there are no more."""
    hammer = Hammer(url, prefix, lease_s)
    await hammer.limits.start()
    while line := await asyncio.to_thread(sys.stdin.readline):
        wish = json.loads(line)
        answer = await (hammer.hold(wish) if wish["do"] == "hold" else hammer.hammer(wish))
        sys.stdout.write(f"{json.dumps(answer)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3])))
