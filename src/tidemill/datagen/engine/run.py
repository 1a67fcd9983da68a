"""One process's part in making a task: workers that pull items, and the end.

A run takes a place in the task's crew and starts as many workers as calls may be out at once. A worker takes the next
item of the chunks that are out with the run, sees it through and hands it to the group commit. The run that leads stays
until every item is stored, by whomever, and ends the task; one that helps leaves when there is nothing more to hand
out. Either ends early when it is cancelled or drained, or when it has lost its place.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal

import msgspec
from msgspec import Struct

from tidemill.datagen import repository_crew, repository_run
from tidemill.datagen.engine.calls import Asker
from tidemill.datagen.engine.chunks import Chunks
from tidemill.datagen.engine.claim import SYSTEM, Place, PlaceLost
from tidemill.datagen.engine.commit import GroupCommit, Note
from tidemill.datagen.engine.foreman import Foreman
from tidemill.datagen.engine.lanes import Lanes
from tidemill.datagen.engine.log_lines import log_line, pause
from tidemill.datagen.engine.outcome import Outcome
from tidemill.datagen.engine.source import Source
from tidemill.datagen.engine.stages import Stages, Work
from tidemill.datagen.engine.twins import Twins
from tidemill.datagen.plan import TaskPlan
from tidemill.datagen.ports import ModelCalls, Samples
from tidemill.datagen.repository_crew import Standing
from tidemill.datagen.rules import length_profile
from tidemill.datagen.task_types import TaskType
from tidemill.kernel import clock
from tidemill.kernel.actor import Scope, UserScope
from tidemill.kernel.errors import StorageFull
from tidemill.platform.db import Database, Row

FLUSH_S = 2.0
PROFILE_ROWS = 1_000
# Early stop: this share of one kind of failure over this many finished items of one run.
WATCHED_ITEMS = 50
WATCHED_SHARE = 0.5

RunEnd = Literal["finished", "failed", "fenced", "cancelled", "drained"]


class Parts(Struct, frozen=True):
    """What every run of a process shares."""

    db: Database
    calls: ModelCalls
    lanes: Lanes
    commit: GroupCommit
    samples: Samples
    call_timeout_s: float | None


class Want(Struct, frozen=True):
    """What a leading run has room for: ``hands`` are in its crew, ``most`` could be, ``chunks`` are not handed out."""

    place: Place
    user_id: int
    hands: int
    most: int
    chunks: int


# Hears once a second how many items are stored, of how many.
Report = Callable[[int, int], None]
# Asked once a second, while there is something to hand out, to see to it that others help.
Recruit = Callable[[Want], Awaitable[None]]


class RunLost(Exception):
    """The group commit gave up on this run's rows; the next run finds them pending."""


class _Ended(Exception):
    def __init__(self, end: RunEnd) -> None:
        self.end: RunEnd = end
        super().__init__(end)


class TaskRun:
    """One run of one task in this process. ``recruit``: None for one that helps, or has nobody to ask."""

    def __init__(
        self,
        parts: Parts,
        row: Row,
        plan: TaskPlan,
        task_type: TaskType,
        place: Place,
        *,
        leads: bool,
        report: Report,
        recruit: Recruit | None,
    ) -> None:
        self.place = place
        self.user_id: int = row["user_id"]
        self.task_type = plan.task_type
        self.prompt_version = f"{task_type.name}@{task_type.prompt_version}"
        self.full: StorageFull | None = None
        self._parts = parts
        self._plan = plan
        self._type = task_type
        self._leads = leads
        self._report = report
        self._recruit = recruit
        self._scope: Scope = UserScope(self.user_id)
        self._key_id: str | None = row["key_id"]
        self._chunks = Chunks(plan, row["chunk_samples"])
        self._made = 0
        self._busy = 0
        self._workers = 0
        self._unsettled = 0
        self._all_settled = asyncio.Event()
        self._all_settled.set()
        self._gone = asyncio.Event()
        self._gone_because: BaseException | None = None
        self._recent: deque[str] = deque(maxlen=WATCHED_ITEMS)
        standing = repository_crew.standing(row)
        self._twins = Twins(parts.db, place.task_id, plan, standing.seq)
        self._foreman = Foreman(
            db=parts.db,
            place=place,
            plan=plan,
            lanes=parts.lanes,
            standing=standing,
            busy=lambda: self._busy,
            unsettled=lambda: self._unsettled,
        )
        self._source = Source(
            db=parts.db,
            samples=parts.samples,
            scope=self._scope,
            place=place,
            plan=plan,
            chunks=self._chunks,
            limit=lambda: self._foreman.limit,
            stays=leads,
        )

    # The group commit speaks to the run through these.

    @property
    def alone(self) -> bool:
        """Tell whether nobody else made the task when this run last looked."""
        return len(self._foreman.crew) == 1

    def completed_by(self, outcomes: Sequence[Outcome]) -> list[int]:
        """Return the chunks of which nothing is left once these are on disk."""
        return self._source.completed_by(outcome.item for outcome in outcomes)

    def committed(self, outcomes: Sequence[Outcome], standing: Standing, before: int) -> None:
        """Count what is on disk."""
        self._made += len(outcomes)
        self._settle(len(outcomes))
        self._twins.stored((outcome.item.number for outcome in outcomes), before, standing.seq)
        self._foreman.committed(len(outcomes), sum(outcome.cost_nano for outcome in outcomes), standing)
        self._source.stored(outcome.item for outcome in outcomes)

    def refused(self, outcomes: Sequence[Outcome]) -> None:
        """Have these tried again: another process was first with the same text."""
        self._settle(len(outcomes))
        for outcome in outcomes:
            self._source.put_back(Work(item=outcome.item, sample=outcome.sample, refused=outcome))

    def _settle(self, count: int) -> None:
        self._unsettled -= count
        if self._unsettled == 0:
            self._all_settled.set()

    def lost(self, error: BaseException | None) -> None:
        """Stop: the run has lost its place (None), or the rows could not be written."""
        self._gone_because = error
        self._gone.set()

    def blocked(self, error: StorageFull | None) -> None:
        """Remember that the disk is full; the status says so although nothing can be written."""
        self.full = error

    def rang(self) -> None:
        """Hear that something was committed somewhere."""
        self._source.rang()

    # The run itself.

    async def run(self, cancelled: asyncio.Event, draining: asyncio.Event) -> RunEnd:
        """Make what is pending; raises RunLost when it should be tried again."""
        try:
            end = await self._make(cancelled, draining)
        except PlaceLost:
            return "fenced"
        if end == "finished" and self._leads:
            return await self._finish()
        if end == "drained":
            await self._flush()
        await self._leave()
        return end

    async def _make(self, cancelled: asyncio.Event, draining: asyncio.Event) -> RunEnd:
        stages = await self._stages()
        try:
            await self._foreman.begin()
            await self._say_hello()
            async with asyncio.TaskGroup() as group:
                self._foreman.on_limit = lambda: self._staff(group, stages)
                self._foreman.on_resume = self._recent.clear
                tasks = [
                    group.create_task(self._end_when(cancelled, "cancelled")),
                    group.create_task(self._end_when(draining, "drained")),
                    group.create_task(self._end_when(self._gone, "fenced")),
                    group.create_task(self._foreman.watch(self._each_second)),
                    group.create_task(self._source.feed()),
                ]
                self._staff(group, stages)
                await self._source.ended.wait()
                self._foreman.on_limit = _nobody
                for task in tasks:
                    task.cancel()
        except BaseExceptionGroup as ends:
            return self._why(ends)
        self._report(self._foreman.standing.stored if self._leads else self._made, self._plan.total)
        return "finished"

    def _why(self, group: BaseExceptionGroup[BaseException]) -> RunEnd:
        """Return how the run ended by what ended it; raises what should not have."""
        lost, others = group.split(PlaceLost)
        ended, others = (None, None) if others is None else others.split(_Ended)
        if others is not None:
            raise others from None
        if self._gone_because is not None:
            raise RunLost(self.place.task_id) from self._gone_because
        return "fenced" if lost is not None else _first(ended)

    async def _say_hello(self) -> None:
        standing = self._foreman.standing
        total, left = self._plan.total, self._plan.total - standing.stored
        if not self._leads:
            line = log_line("joined", hands=len(self._foreman.crew))
        elif standing.seq == 0:
            line = log_line("started", total=total)
        else:
            line = log_line("went_on", left=left, total=total)
        await self._parts.commit.put(self, Note(line))

    async def _flush(self) -> None:
        """Let the group commit take what is done before the process goes."""
        try:
            async with asyncio.timeout(FLUSH_S):
                await self._all_settled.wait()
        except TimeoutError:
            return

    async def _leave(self) -> None:
        async with self._parts.db.write() as w:
            await repository_crew.leave(w, SYSTEM, self.place.task_id, self.place.entry)
            w.changed(repository_run.BELL)

    async def _stages(self) -> Stages:
        plan = self._plan
        rows = await self._parts.samples.rows(
            self._scope, plan.file_id, plan.file_version, 0, min(plan.samples, PROFILE_ROWS)
        )
        if self._foreman.standing.stored:
            await self._twins.load()
        asker = Asker(
            calls=self._parts.calls,
            lanes=self._parts.lanes,
            owner=self.place.task_id,
            user_id=self.user_id,
            key_id=self._key_id,
            timeout_s=self._parts.call_timeout_s,
            heard=self._foreman.heard,
        )
        return Stages(plan, self._type, length_profile(rows), self._twins.index, asker)

    # The workers.

    def _staff(self, group: asyncio.TaskGroup, stages: Stages) -> None:
        """Bring the workers up to the limit; those above it leave by themselves."""
        wanted = min(self._foreman.limit, max(1, self._plan.total - self._foreman.standing.stored))
        for _ in range(wanted - self._workers):
            self._workers += 1
            group.create_task(self._work(stages))
        self._source.nudge()

    async def _work(self, stages: Stages) -> None:
        foreman, source = self._foreman, self._source
        try:
            while self._workers <= foreman.limit:
                if foreman.overspent:
                    await foreman.pause(pause("budget_spent", spent=_credits(foreman.spent_nano)))
                await foreman.go.wait()
                work = await source.next()
                if work is None:
                    return
                if self._busy >= foreman.limit or not foreman.go.is_set():
                    # The share or the leave to go on has gone while this one waited.
                    source.put_back(work)
                    continue
                self._busy += 1
                try:
                    outcome = await stages.make(work)
                    self._unsettled += 1
                    self._all_settled.clear()
                    await self._parts.commit.put(self, outcome)
                finally:
                    self._busy -= 1
                await self._watch(outcome)
        finally:
            self._workers -= 1

    async def _watch(self, outcome: Outcome) -> None:
        """Pause when most of the latest items failed for one and the same kind of reason."""
        kind = outcome.kind or "" if outcome.status == "failed" else ""
        self._recent.append(kind)
        if not kind or len(self._recent) < WATCHED_ITEMS or not self._foreman.go.is_set():
            return
        if self._recent.count(kind) >= WATCHED_ITEMS * WATCHED_SHARE:
            self._recent.clear()
            reason = (outcome.reason or "")[:200]
            await self._foreman.pause(pause("mostly_failing", window=WATCHED_ITEMS, kind=kind, reason=reason))

    async def _each_second(self) -> None:
        """Report, hear what others have accepted, and see to it that others help."""
        foreman = self._foreman
        self._report(foreman.standing.stored if self._leads else self._made, self._plan.total)
        await self._twins.hear(foreman.standing.seq)
        chunks = self._chunks.count - foreman.standing.next_chunk
        if self._recruit is not None and chunks > 0 and foreman.go.is_set():
            most = self._plan.max_concurrent
            await self._recruit(Want(self.place, self.user_id, len(foreman.crew), most, chunks))

    @staticmethod
    async def _end_when(event: asyncio.Event, end: RunEnd) -> None:
        await event.wait()
        raise _Ended(end)

    async def _finish(self) -> RunEnd:
        task_id, entry, now = self.place.task_id, self.place.entry, clock.now()
        live = self._foreman.live()
        async with self._parts.db.write() as w:
            standing = await repository_crew.lock(w, SYSTEM, task_id)
            if standing is None or not await self.place.claim.holds(w):
                return "fenced"
            if standing.stored != self._plan.total:
                raise RunLost(f"{task_id}: {self._plan.total - standing.stored} items neither made nor failed")
            counts = await repository_run.counts(w, SYSTEM, task_id)
            if not await repository_run.write_line(w, task_id, entry, log_line("finished", **counts), now, live=live):
                return "fenced"
            result = msgspec.json.encode({"total": self._plan.total, **counts}).decode()
            await repository_run.end(w, task_id, entry, "finished", now, result, None)
            await repository_crew.disband(w, SYSTEM, task_id)
        return "finished"


def _nobody() -> None:
    """Hire nobody: the work is done."""


def _first(group: BaseExceptionGroup[_Ended] | None) -> RunEnd:
    while group is not None:
        error = group.exceptions[0]
        if isinstance(error, _Ended):
            return error.end
        group = error
    return "fenced"


def _credits(nano: int) -> str:
    return f"{nano / 1_000_000_000:g}"
