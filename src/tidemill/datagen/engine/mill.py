"""The engine of one process: its lanes, its group commit, and the runs between them."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from tidemill.datagen import repository_crew, repository_run
from tidemill.datagen.engine.calls import Asker, CallLog
from tidemill.datagen.engine.claim import SYSTEM, Claim, Place, Unclaimed
from tidemill.datagen.engine.commit import GroupCommit
from tidemill.datagen.engine.lanes import Lanes
from tidemill.datagen.engine.log_lines import log_line
from tidemill.datagen.engine.outcome import Outcome
from tidemill.datagen.engine.run import Parts, Recruit, Report, RunEnd, TaskRun
from tidemill.datagen.engine.source import SamplesGone
from tidemill.datagen.engine.stages import Stages, Work
from tidemill.datagen.errors import PreviewTimedOut
from tidemill.datagen.plan import TaskPlan, item_of
from tidemill.datagen.ports import ModelCalls, Samples
from tidemill.datagen.rules import length_profile
from tidemill.datagen.samples.errors import FileNotFound
from tidemill.datagen.task_types import TaskType
from tidemill.kernel import clock
from tidemill.kernel.ids import uuid7
from tidemill.kernel.retry import full_jitter
from tidemill.platform.db import Database, Row
from tidemill.platform.settings.groups.datagen import DatagenSettings
from tidemill.platform.tasks import TaskOwner
from tidemill.platform.telemetry import get_logger

RUN_TRIES = 3
RETRY_S = 1.0
RETRY_MAX_S = 30.0

_log = get_logger("datagen.engine")


class TypeGone(Exception):
    """The task's type is not installed here."""


class _Duty(Struct, frozen=True):
    """What a job asks of this process."""

    task_id: str
    claim: Claim
    cancelled: asyncio.Event
    draining: asyncio.Event
    report: Report
    recruit: Recruit | None
    leads: bool


class Previewed(Struct, frozen=True):
    """One item of a preview: the prompt of its first attempt and what became of it."""

    prompt: list[dict[str, Any]]
    outcome: Outcome


class Mill:
    """Runs generation tasks in this process."""

    def __init__(
        self,
        *,
        db: Database,
        calls: ModelCalls,
        samples: Samples,
        task_types: Mapping[str, TaskType],
        settings: DatagenSettings,
    ) -> None:
        self._types = task_types
        self._settings = settings
        self._owner = TaskOwner()
        self._commit = GroupCommit(db, window_s=settings.commit_window_ms / 1000, group_rows=settings.commit_rows)
        self._lanes = Lanes(calls)
        self._parts = Parts(db, calls, self._lanes, self._commit, samples, settings.call_timeout_s)
        self._runs: list[TaskRun] = []
        self._committing: asyncio.Task[None] | None = None

    @property
    def database(self) -> Database:
        """Where tasks are kept."""
        return self._parts.db

    def disk_is_full(self, task_id: str) -> bool:
        """Tell whether this process makes the task and cannot store its rows for want of room."""
        return any(run.place.task_id == task_id and run.full is not None for run in self._runs)

    def makes(self, task_id: str) -> bool:
        """Tell whether this process takes part in making the task."""
        return any(run.place.task_id == task_id for run in self._runs)

    async def run(
        self,
        task_id: str,
        cancelled: asyncio.Event,
        draining: asyncio.Event,
        report: Report = lambda done, total: None,  # noqa: ARG005 - nobody listens
        *,
        claim: Claim | None = None,
        recruit: Recruit | None = None,
    ) -> RunEnd:
        """Take a task on and see it to its end; returns how it ended. A task that cannot go on becomes failed."""
        duty = _Duty(task_id, claim or Unclaimed(), cancelled, draining, report, recruit, leads=True)
        for attempt in range(RUN_TRIES):
            row = await self._join(duty)
            if row is None:
                return "fenced"
            try:
                return await self._run_once(row, duty)
            except (FileNotFound, SamplesGone) as error:
                return await self._fail(row, f"the sample file cannot be read any more: {error}")
            except TypeGone as error:
                return await self._fail(row, f"the task type {error} is not installed any more")
            except Exception as error:  # noqa: BLE001 - the edge of a run: it is tried again, then told to the owner
                _log.exception("datagen.run_failed", task_id=task_id, attempt=attempt)
                if attempt + 1 == RUN_TRIES:
                    return await self._fail(row, f"{type(error).__name__}: {error}")
                await asyncio.sleep(full_jitter(attempt, RETRY_S, RETRY_MAX_S))
        return "fenced"

    async def help(
        self, task_id: str, cancelled: asyncio.Event, draining: asyncio.Event, report: Report, claim: Claim
    ) -> RunEnd:
        """Take part in a task that another run leads, until there is nothing more to hand out; raises what stops it."""
        duty = _Duty(task_id, claim, cancelled, draining, report, None, leads=False)
        row = await self._join(duty)
        return "fenced" if row is None else await self._run_once(row, duty)

    async def _join(self, duty: _Duty) -> Row | None:
        if self._committing is None:
            self._committing = self._owner.spawn("datagen.commit", self._commit.run())
            self._parts.db.subscribe(repository_run.BELL, self._ring)
        async with self._parts.db.write() as w:
            standing = await repository_crew.lock(w, SYSTEM, duty.task_id)
            if standing is None or not await duty.claim.holds(w):
                return None
            return await repository_crew.join(w, SYSTEM, duty.task_id, duty.claim.job_id, clock.now())

    def _ring(self) -> None:
        for run in self._runs:
            run.rang()

    async def _run_once(self, row: Row, duty: _Duty) -> RunEnd:
        plan = msgspec.convert(row["plan"], TaskPlan)
        task_type = self._types.get(plan.task_type)
        if task_type is None:
            raise TypeGone(plan.task_type)
        place = Place(duty.task_id, row["epoch"], duty.claim)
        run = TaskRun(
            self._parts, row, plan, task_type, place, leads=duty.leads, report=duty.report, recruit=duty.recruit
        )
        self._runs.append(run)
        try:
            return await run.run(duty.cancelled, duty.draining)
        except ExceptionGroup as group:
            # One cause is enough to say; its own trace is kept.
            raise _innermost(group) from group
        finally:
            self._runs.remove(run)

    async def _fail(self, row: Row, reason: str) -> RunEnd:
        now, task_id, entry = clock.now(), row["task_id"], row["epoch"]
        async with self._parts.db.write() as w:
            standing = await repository_crew.lock(w, SYSTEM, task_id)
            if standing is None:
                return "fenced"
            line = log_line("failed", reason=reason)
            await repository_run.write_line(w, task_id, entry, line, now, live=standing.live)
            if not await repository_run.end(w, task_id, entry, "failed", now, None, reason):
                return "fenced"
            await repository_crew.disband(w, SYSTEM, task_id)
        return "failed"

    async def preview(
        self,
        plan: TaskPlan,
        task_type: TaskType,
        rows: Sequence[dict[str, Any]],
        *,
        user_id: int,
        key_id: str | None,
    ) -> list[Previewed]:
        """Make one row from each of ``rows`` and keep nothing; raises PreviewTimedOut when no answer comes in time."""
        asker = Asker(
            calls=self._parts.calls,
            lanes=self._lanes,
            owner=f"preview-{uuid7()}",
            user_id=user_id,
            key_id=key_id,
            timeout_s=self._settings.call_timeout_s,
            heard=_ignore,
        )
        stages = Stages(plan, task_type, length_profile(rows), None, asker)
        works = [Work(item=item_of(plan, number), sample=sample) for number, sample in enumerate(rows)]
        try:
            async with asyncio.timeout(self._settings.preview_timeout_s), asyncio.TaskGroup() as group:
                made = [group.create_task(stages.make(work)) for work in works]
        except TimeoutError as error:
            why = self._lanes.down(plan.models) or "slow"
            raise PreviewTimedOut(reason=why, seconds=f"{self._settings.preview_timeout_s:g}") from error
        return [Previewed(stages.messages(work), task.result()) for work, task in zip(works, made, strict=True)]

    async def close(self) -> None:
        """Stop the group commit and the lanes; the runs have ended before."""
        self._lanes.close()
        await self._owner.cancel()
        self._committing = None


def _ignore(call: CallLog) -> None:
    del call  # a preview has no figures


def _innermost(group: ExceptionGroup[Exception]) -> Exception:
    return next(_leaves(group), group)


def _leaves(error: BaseException) -> Iterator[Exception]:
    inner: Sequence[BaseException] | None = getattr(error, "exceptions", None)
    if inner is None:
        if isinstance(error, Exception):
            yield error
        return
    for one in inner:
        yield from _leaves(one)
