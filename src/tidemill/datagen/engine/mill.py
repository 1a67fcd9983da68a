"""The engine of one process: its lanes, its group commit, and the runs between them."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from tidemill.datagen import repository_run
from tidemill.datagen.engine.calls import Asker, CallLog
from tidemill.datagen.engine.commit import GroupCommit
from tidemill.datagen.engine.lanes import Lanes
from tidemill.datagen.engine.log_lines import log_line
from tidemill.datagen.engine.outcome import Outcome
from tidemill.datagen.engine.run import SYSTEM, Parts, Report, RunEnd, TaskRun
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
        self._runs: dict[str, TaskRun] = {}
        self._committing: asyncio.Task[None] | None = None

    def disk_is_full(self, task_id: str) -> bool:
        """Tell whether this process runs the task and cannot store its rows for want of room."""
        run = self._runs.get(task_id)
        return run is not None and run.full is not None

    async def run(
        self,
        task_id: str,
        cancelled: asyncio.Event,
        draining: asyncio.Event,
        report: Report = lambda done, total: None,  # noqa: ARG005 - nobody listens
    ) -> RunEnd:
        """Take a task on and make what is pending; returns how it ended. A task that cannot go on becomes failed."""
        if self._committing is None:
            self._committing = self._owner.spawn("datagen.commit", self._commit.run())
        for attempt in range(RUN_TRIES):
            async with self._parts.db.write() as w:
                row = await repository_run.take_on(w, SYSTEM, task_id)
            if row is None:
                return "fenced"
            try:
                return await self._run_once(row, cancelled, draining, report)
            except (FileNotFound, SamplesGone) as error:
                return await self._fail(row, f"the sample file cannot be read any more: {error}")
            except Exception as error:  # noqa: BLE001 - the edge of a run: it is tried again, then told to the owner
                _log.exception("datagen.run_failed", task_id=task_id, attempt=attempt)
                if attempt + 1 == RUN_TRIES:
                    return await self._fail(row, f"{type(error).__name__}: {error}")
                await asyncio.sleep(full_jitter(attempt, RETRY_S, RETRY_MAX_S))
        return "fenced"

    async def _run_once(self, row: Row, cancelled: asyncio.Event, draining: asyncio.Event, report: Report) -> RunEnd:
        plan = msgspec.convert(row["plan"], TaskPlan)
        task_type = self._types.get(plan.task_type)
        if task_type is None:
            return await self._fail(row, f"the task type {plan.task_type} is not installed any more")
        run = self._runs[row["task_id"]] = TaskRun(self._parts, row, plan, task_type, report)
        try:
            return await run.run(cancelled, draining)
        except ExceptionGroup as group:
            # One cause is enough to say; its own trace is kept.
            raise _innermost(group) from group
        finally:
            self._runs.pop(row["task_id"], None)

    async def _fail(self, row: Row, reason: str) -> RunEnd:
        now = clock.now()
        async with self._parts.db.write() as w:
            line = log_line("failed", reason=reason)
            await repository_run.write_line(w, row["task_id"], row["epoch"], line, now, live=row["live"])
            ended = await repository_run.end(w, row["task_id"], row["epoch"], "failed", now, None, reason)
        return "failed" if ended else "fenced"

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
