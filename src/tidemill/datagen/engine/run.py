"""One task being made: workers that pull items, the pauses, and the end.

A run takes the task on under a fencing epoch, learns from the database what is finished, and starts as many workers as
calls may be out at once. A worker takes the next item, sees it through and hands it to the group commit. The run ends
when every item is committed, when it is cancelled or drained, or when another run has taken the task on.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec
from msgspec import Struct

from tidemill.datagen import repository, repository_run
from tidemill.datagen.engine.calls import Asker, CallLog
from tidemill.datagen.engine.commit import GroupCommit, Note
from tidemill.datagen.engine.figures import Figures
from tidemill.datagen.engine.lanes import Lanes
from tidemill.datagen.engine.log_lines import FOR_THE_OWNER, log_line, pause
from tidemill.datagen.engine.outcome import Outcome
from tidemill.datagen.engine.pending import Finished
from tidemill.datagen.engine.source import Source
from tidemill.datagen.engine.stages import Stages
from tidemill.datagen.novelty import NoveltyIndex, text_of
from tidemill.datagen.plan import NO_JUDGE, TaskPlan
from tidemill.datagen.ports import ModelCalls, Samples
from tidemill.datagen.repository_run import Delta
from tidemill.datagen.rules import length_profile
from tidemill.datagen.task_types import TaskType
from tidemill.kernel import clock
from tidemill.kernel.actor import Scope, SystemReason, SystemScope, UserScope
from tidemill.kernel.errors import StorageFull
from tidemill.platform.db import Database, Row

TICK_S = 1.0
FLUSH_S = 2.0
PROFILE_ROWS = 1_000
# Early stop: this share of one kind of failure over this many finished items.
WATCHED_ITEMS = 50
WATCHED_SHARE = 0.5

RunEnd = Literal["finished", "failed", "fenced", "cancelled", "drained"]
SYSTEM = SystemScope(SystemReason.GENERATION)


class Parts(Struct, frozen=True):
    """What every run of a process shares."""

    db: Database
    calls: ModelCalls
    lanes: Lanes
    commit: GroupCommit
    samples: Samples
    call_timeout_s: float | None


# Hears once a second how many items are stored, of how many.
Report = Callable[[int, int], None]


class RunLost(Exception):
    """The group commit gave up on this run's rows; the next run finds them pending."""


class _Ended(Exception):
    def __init__(self, end: RunEnd) -> None:
        self.end: RunEnd = end
        super().__init__(end)


class TaskRun:
    """One run of one task in this process."""

    def __init__(self, parts: Parts, row: Row, plan: TaskPlan, task_type: TaskType, report: Report) -> None:
        self.task_id: str = row["task_id"]
        self.user_id: int = row["user_id"]
        self.epoch: int = row["epoch"]
        self.task_type = plan.task_type
        self.prompt_version = f"{task_type.name}@{task_type.prompt_version}"
        self.plan = plan
        self.finished = Finished(plan.total)
        self.full: StorageFull | None = None
        self._parts = parts
        self._type = task_type
        self._report = report
        self._scope: Scope = UserScope(self.user_id)
        self._key_id: str | None = row["key_id"]
        self._spent_nano: int = row["cost_nano"]
        self._budget_nano: int | None = row["budget_nano"]
        self._paused: dict[str, Any] | None = row["paused"]
        self._first = row["seq"] == 0
        self._figures = Figures(row["live"], clock.monotonic())
        self._uncommitted = 0
        self._all_committed = asyncio.Event()
        self._all_committed.set()
        self._gone = asyncio.Event()
        self._gone_because: BaseException | None = None
        self._go = asyncio.Event()
        self._waits_for_owner = False
        self._recent: deque[str] = deque(maxlen=WATCHED_ITEMS)
        self._last_live: dict[str, Any] | None = None

    # The group commit speaks to the run through these.

    def committed(self, outcomes: Sequence[Outcome]) -> None:
        """Count what is on disk."""
        for outcome in outcomes:
            self.finished.add(outcome.item.number)
        self._figures.rows(len(outcomes))
        self._settle(len(outcomes))

    def _settle(self, count: int) -> None:
        self._uncommitted -= count
        if self._uncommitted == 0:
            self._all_committed.set()

    def lost(self, error: BaseException | None) -> None:
        """Stop: another run has the task (None), or the rows could not be written."""
        self._gone_because = error
        self._gone.set()

    def blocked(self, error: StorageFull | None) -> None:
        """Remember that the disk is full; the status says so although nothing can be written."""
        self.full = error

    # The run itself.

    async def run(self, cancelled: asyncio.Event, draining: asyncio.Event) -> RunEnd:
        """Make what is pending; raises RunLost when it should be tried again."""
        await self._load_finished()
        stages = await self._stages()
        source = Source(
            db=self._parts.db,
            samples=self._parts.samples,
            scope=self._scope,
            task_id=self.task_id,
            plan=self.plan,
            finished=self.finished,
        )
        self._waits_for_owner = self._paused is not None and self._paused["code"] in FOR_THE_OWNER
        if not self._waits_for_owner:
            self._go.set()
        line = log_line("started", total=self.plan.total)
        if not self._first:
            line = log_line("went_on", left=self.finished.left, total=self.plan.total)
        await self._note(Note(line=line))
        try:
            async with asyncio.TaskGroup() as group:
                watchers = [
                    group.create_task(self._end_when(cancelled, "cancelled")),
                    group.create_task(self._end_when(draining, "drained")),
                    group.create_task(self._end_when(self._gone, "fenced")),
                    group.create_task(self._tick()),
                ]
                workers = [
                    group.create_task(self._work(stages, source))
                    for _ in range(min(self.plan.max_concurrent, max(1, self.finished.left)))
                ]
                await asyncio.gather(*workers)
                await self._all_committed.wait()
                for watcher in watchers:
                    watcher.cancel()
        except BaseExceptionGroup as group:
            ended, others = group.split(_Ended)
            if others is not None:
                raise others from None
            if self._gone_because is not None:
                raise RunLost(self.task_id) from self._gone_because
            end = _first(ended)
            if end == "drained":
                await self._flush()
            return end
        self._report(self.finished.count, self.plan.total)
        return await self._finish()

    async def _flush(self) -> None:
        """Let the group commit take what is done before the process goes."""
        try:
            async with asyncio.timeout(FLUSH_S):
                await self._all_committed.wait()
        except TimeoutError:
            return

    async def _load_finished(self) -> None:
        for failed in (False, True):
            after = -1
            while True:
                async with self._parts.db.read() as r:
                    numbers = await repository_run.finished_numbers(r, SYSTEM, self.task_id, after, failed=failed)
                for number in numbers:
                    self.finished.add(number)
                if len(numbers) < repository_run.PAGE:
                    break
                after = numbers[-1]

    async def _stages(self) -> Stages:
        plan = self.plan
        rows = await self._parts.samples.rows(
            self._scope, plan.file_id, plan.file_version, 0, min(plan.samples, PROFILE_ROWS)
        )
        novelty = None if plan.dedup == "off" else NoveltyIndex(plan.dedup)
        if novelty is not None and self.finished.count:
            await self._load_novelty(novelty)
        asker = Asker(
            calls=self._parts.calls,
            lanes=self._parts.lanes,
            owner=self.task_id,
            user_id=self.user_id,
            key_id=self._key_id,
            timeout_s=self._parts.call_timeout_s,
            heard=self._heard,
        )
        return Stages(plan, self._type, length_profile(rows), novelty, asker)

    async def _load_novelty(self, novelty: NoveltyIndex) -> None:
        after = -1
        while True:
            async with self._parts.db.read() as r:
                rows = await repository_run.accepted_after(r, SYSTEM, self.task_id, after)
            for row in rows:
                novelty.add(text_of(msgspec.json.decode(row["data_content"])), row["item_no"])
            if len(rows) < repository_run.TEXT_PAGE:
                return
            after = rows[-1]["item_no"]

    def _heard(self, call: CallLog) -> None:
        self._figures.heard(call)
        self._spent_nano += call.cost_nano

    async def _work(self, stages: Stages, source: Source) -> None:
        while True:
            if self._budget_nano is not None and self._spent_nano >= self._budget_nano and self._paused is None:
                await self._pause(pause("budget_spent", spent=_credits(self._spent_nano)))
            await self._go.wait()
            work = await source.next()
            if work is None:
                return
            outcome = await stages.make(work)
            self._uncommitted += 1
            self._all_committed.clear()
            await self._parts.commit.put(self, outcome)
            await self._watch(outcome)

    async def _watch(self, outcome: Outcome) -> None:
        """Pause when most of the latest items failed for one and the same kind of reason."""
        kind = outcome.kind or "" if outcome.status == "failed" else ""
        self._recent.append(kind)
        if not kind or len(self._recent) < WATCHED_ITEMS or self._paused is not None:
            return
        if self._recent.count(kind) >= WATCHED_ITEMS * WATCHED_SHARE:
            self._recent.clear()
            reason = (outcome.reason or "")[:200]
            await self._pause(pause("mostly_failing", window=WATCHED_ITEMS, kind=kind, reason=reason))

    async def _pause(self, reason: dict[str, Any]) -> None:
        """Say that the task waits, and why; a pause that the owner must end holds the workers as well."""
        self._paused = reason
        line = log_line("paused", zh=reason["zh"], en=reason["en"])
        if reason["code"] not in FOR_THE_OWNER:
            await self._note(Note(line=line, paused=reason))
            return
        self._go.clear()
        # Written at once: until it stands there, its absence would look like the owner's resume.
        async with self._parts.db.write() as w:
            delta = Delta(task_id=self.task_id, epoch=self.epoch, events=1, paused=reason)
            seq = await repository_run.add_up(w, delta)
            if seq is not None:
                await repository_run.add_event(w, self.task_id, seq + 1, "log", line, clock.now())
        if seq is None:
            self.lost(None)
        self._waits_for_owner = True

    async def _unpause(self) -> None:
        self._paused = None
        self._go.set()
        await self._note(Note(line=log_line("unpaused"), paused=None))

    async def _note(self, note: Note) -> None:
        await self._parts.commit.put(self, note)

    async def _tick(self) -> None:
        """Once a second: publish the figures, notice services that went or came back, and the owner's resume."""
        while True:
            await asyncio.sleep(TICK_S)
            self._report(self.finished.count, self.plan.total)
            live = self._figures.live(list(self._parts.lanes.serving(self.plan.models)), clock.monotonic())
            if live != self._last_live:
                self._last_live = live
                await self._note(Note(live=live))
            if self._waits_for_owner:
                await self._look_for_resume()
            if not self._go.is_set():
                continue
            down = self._down()
            if down is not None and self._paused is None:
                await self._pause(down)
            elif down is None and self._paused is not None:
                await self._unpause()

    def _down(self) -> dict[str, Any] | None:
        pools = [self.plan.models]
        if self.plan.evaluator not in {None, NO_JUDGE}:
            pools.append((str(self.plan.evaluator),))
        for models in pools:
            why = self._parts.lanes.down(models)
            if why is not None:
                return pause("no_channel") if why == "no_channel" else pause("no_service", reason=why)
        return None

    async def _look_for_resume(self) -> None:
        async with self._parts.db.read() as r:
            row = await repository.task(r, SYSTEM, self.task_id)
        if row is None or row["paused"] is not None:
            return
        self._budget_nano = row["budget_nano"]
        self._waits_for_owner = False
        self._paused = None
        self._recent.clear()
        self._go.set()

    @staticmethod
    async def _end_when(event: asyncio.Event, end: RunEnd) -> None:
        await event.wait()
        raise _Ended(end)

    async def _finish(self) -> RunEnd:
        if self.finished.left:
            raise RunLost(f"{self.task_id}: {self.finished.left} items neither made nor failed")
        now = clock.now()
        async with self._parts.db.write() as w:
            row = await repository.task(w, SYSTEM, self.task_id)
            if row is None or row["epoch"] != self.epoch or row["status"] != "running":
                return "fenced"
            counts = {name: row[name] for name in ("accepted", "below_threshold", "needs_review", "failed", "retried")}
            live = self._figures.live(list(self._parts.lanes.serving(self.plan.models)), clock.monotonic())
            await repository_run.write_line(w, self.task_id, self.epoch, log_line("finished", **counts), now, live=live)
            result = msgspec.json.encode({"total": row["total"], **counts}).decode()
            await repository_run.end(w, self.task_id, self.epoch, "finished", now, result, None)
        return "finished"


def _first(group: BaseExceptionGroup[_Ended] | None) -> RunEnd:
    while group is not None:
        error = group.exceptions[0]
        if isinstance(error, _Ended):
            return error.end
        group = error
    return "fenced"


def _credits(nano: int) -> str:
    return f"{nano / 1_000_000_000:g}"
