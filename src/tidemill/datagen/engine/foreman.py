"""Looks after one run's part in its task: its share of the calls, the pauses and the money of all, the figures.

Once a second it reads where the task stands, whoever moved it, and writes only what has changed. A run alone has all
the calls; when another joins, each gives back what it has too much as its calls end, and the other takes that up.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from msgspec import Struct

from tidemill.datagen import repository_crew, repository_run
from tidemill.datagen.engine.calls import CallLog
from tidemill.datagen.engine.claim import SYSTEM, Place, PlaceLost
from tidemill.datagen.engine.crew import Counts, is_uneven, merged_live, next_pause, slots_for
from tidemill.datagen.engine.figures import Figures
from tidemill.datagen.engine.lanes import Lanes
from tidemill.datagen.engine.log_lines import FOR_THE_OWNER, log_line, pause
from tidemill.datagen.plan import NO_JUDGE, TaskPlan
from tidemill.datagen.repository_crew import Hand, Standing
from tidemill.datagen.repository_run import Delta
from tidemill.kernel import clock
from tidemill.platform.db import Database, Writer
from tidemill.platform.telemetry import get_logger

TICK_S = 1.0
# While calls pass from one run to another.
SHARE_S = 0.2

_log = get_logger("datagen.foreman")


class _Intent(Struct, frozen=True):
    """What one look wants to write."""

    limit: int
    slots: int
    part: dict[str, Any]
    more: Counts
    paused: dict[str, Any] | None
    line: dict[str, Any] | None
    live: dict[str, Any]


class Foreman:
    """One run's view of its task, and its voice in it.

    Invariants: the run begins a call only while ``busy() < limit``; ``limit`` is at most the slots that stand for it in
    the database; ``go`` is clear while the task waits for its owner.
    """

    def __init__(
        self,
        *,
        db: Database,
        place: Place,
        plan: TaskPlan,
        lanes: Lanes,
        standing: Standing,
        busy: Callable[[], int],
        unsettled: Callable[[], int],
    ) -> None:
        self._db = db
        self._place = place
        self._plan = plan
        self._lanes = lanes
        self._busy = busy
        # How many outcomes are on their way to the disk.
        self._unsettled = unsettled
        self.standing = standing
        self.limit = 0
        self.crew: list[Hand] = []
        self.figures = Figures(clock.monotonic())
        self.go = asyncio.Event()
        self._pausing = False
        self._commits = 0
        # Money (1e-9 credit): of the calls heard here, of those the part that is committed, and of all others' calls.
        self._heard_nano = 0
        self._committed_nano = 0
        self._others_nano = standing.cost_nano
        # Told when the limit has changed, and when the owner has let a waiting task go on.
        self.on_limit: Callable[[], None] = _nothing
        self.on_resume: Callable[[], None] = _nothing

    # What the run tells.

    def heard(self, call: CallLog) -> None:
        """Count one call."""
        self.figures.heard(call)
        self._heard_nano += call.cost_nano

    def committed(self, rows: int, cost_nano: int, standing: Standing) -> None:
        """Count what is on disk now."""
        self.figures.rows(rows)
        self._commits += 1
        self._committed_nano += cost_nano
        self._others_nano = standing.cost_nano - self._committed_nano
        self._take(standing)

    @property
    def overspent(self) -> bool:
        """Tell whether the task's budget is spent, what is not committed here included."""
        budget = self.standing.budget_nano
        return budget is not None and self.go.is_set() and self.spent_nano >= budget

    @property
    def spent_nano(self) -> int:
        """What the task has cost, as far as it is known here (1e-9 credit)."""
        return self._others_nano + self._heard_nano

    # Looking.

    async def begin(self) -> None:
        """Take what share of the calls is free; raises PlaceLost."""
        await self._settle()

    async def watch(self, then: Callable[[], Awaitable[None]]) -> None:
        """Look once a second, more often while calls pass from one run to another; ``then`` follows each second."""
        due_s = clock.monotonic() + TICK_S
        while True:
            pause_s = max(0.0, min(TICK_S, due_s - clock.monotonic()))
            if is_uneven(self._plan.max_concurrent, self.crew):
                pause_s = min(pause_s, SHARE_S)
            await asyncio.sleep(pause_s)
            try:
                if clock.monotonic() >= due_s:
                    due_s = clock.monotonic() + TICK_S
                    self.figures.move_on(clock.monotonic())
                    await self._look()
                    await then()
                else:
                    await self._look()
            except PlaceLost:
                raise
            except Exception as error:  # noqa: BLE001 - a look that failed is made again; the commit says what is fatal
                _log.warning("datagen.look_failed", task_id=self._place.task_id, error=repr(error))

    async def _look(self) -> None:
        if self.figures.untold():
            # While calls are made there is always something to write.
            await self._settle()
            return
        quiet = self._quiet()
        place = self._place
        async with self._db.read() as r:
            standing = await repository_crew.look(r, SYSTEM, place.task_id)
            crew = await repository_crew.hands(r, SYSTEM, place.task_id, place.entry)
        mine = next((hand for hand in crew if hand.entry == place.entry), None)
        if standing is None or mine is None:
            raise PlaceLost
        intent = self._intent(standing, crew)
        before = (mine.slots, mine.part, standing.paused)
        if intent.more or before != (intent.slots, intent.part, intent.paused) or intent.limit != self.limit:
            await self._settle()
            return
        self.crew = crew
        if quiet is not None and quiet == self._quiet():
            self._others_nano = standing.cost_nano - self._committed_nano
        self._take(standing)

    def _quiet(self) -> int | None:
        """Return a number that stays the same while nothing of this run is on its way to the disk."""
        return None if self._unsettled() else self._commits

    def _intent(self, standing: Standing, crew: list[Hand]) -> _Intent:
        part = self.figures.part(list(self._lanes.serving(self._plan.models)), self._down())
        parts = [part, *(hand.part for hand in crew if hand.entry != self._place.entry and hand.part is not None)]
        more = self.figures.untold()
        limit, slots = slots_for(self._plan.max_concurrent, crew, self._place.entry, self._busy())
        paused, line = next_pause(standing.paused, parts)
        return _Intent(limit, slots, part, more, paused, line, merged_live(standing.live, parts, more))

    async def _settle(self) -> None:
        """Write what one look wants, from what stands there under the lock."""
        place = self._place
        async with self._db.write() as w:
            standing = await place.lock(w)
            crew = await repository_crew.hands(w, SYSTEM, place.task_id, place.entry)
            if all(hand.entry != place.entry for hand in crew):
                raise PlaceLost
            intent = self._intent(standing, crew)
            # From here on nothing begins that the slots to be written do not pay for.
            self.limit = min(self.limit, intent.limit)
            await repository_crew.tell(w, SYSTEM, place.task_id, place.entry, intent.slots, intent.part)
            delta = Delta(task_id=place.task_id, entry=place.entry, live=intent.live, paused=intent.paused)
            standing = await self._move(w, delta, intent.line)
        self.figures.told(intent.more)
        self.crew = [
            Hand(hand.entry, intent.slots, intent.part) if hand.entry == place.entry else hand for hand in crew
        ]
        self.limit = intent.limit
        self.on_limit()
        self._take(standing)

    async def _move(self, w: Writer, delta: Delta, line: dict[str, Any] | None) -> Standing:
        delta.events = 0 if line is None else 1
        standing = await repository_run.add_up(w, delta)
        if standing is None:
            raise PlaceLost
        if line is not None:
            await repository_run.add_event(w, delta.task_id, standing.seq, "log", line, clock.now())
        w.changed(repository_run.BELL)
        return standing

    def live(self) -> dict[str, Any]:
        """Return the task's figures as this run alone would tell them now: for its end."""
        part = self.figures.part(list(self._lanes.serving(self._plan.models)), None)
        return merged_live(self.standing.live, [part], self.figures.untold())

    # Pauses.

    def _down(self) -> dict[str, Any] | None:
        pools = [self._plan.models]
        if self._plan.evaluator not in {None, NO_JUDGE}:
            pools.append((str(self._plan.evaluator),))
        for models in pools:
            why = self._lanes.down(models)
            if why is not None:
                return pause("no_channel") if why == "no_channel" else pause("no_service", reason=why)
        return None

    async def pause(self, reason: dict[str, Any]) -> None:
        """Have the task wait for its owner, in all its runs; raises PlaceLost."""
        if self._pausing or not self.go.is_set():
            return
        self._pausing = True
        self.go.clear()
        try:
            async with self._db.write() as w:
                standing = await self._place.lock(w)
                if not _waits_for_owner(standing):
                    delta = Delta(task_id=self._place.task_id, entry=self._place.entry, paused=reason)
                    line = log_line("paused", zh=reason["zh"], en=reason["en"])
                    standing = await self._move(w, delta, line)
        finally:
            self._pausing = False
        self._take(standing)

    def _take(self, standing: Standing) -> None:
        """Follow the task: what an older look has seen is no news."""
        if standing.seq < self.standing.seq:
            return
        self.standing = standing
        if _waits_for_owner(standing):
            self.go.clear()
        elif not self._pausing and not self.go.is_set():
            self.go.set()
            self.on_resume()


def _waits_for_owner(standing: Standing) -> bool:
    return standing.paused is not None and standing.paused["code"] in FOR_THE_OWNER


def _nothing() -> None:
    """Nobody listens yet."""
