"""A generation run without a server: one sample file, one state file, one output.

The same engine on a database of its own. Whatever is finished stands in the state file, so the same command goes on
where the last one ended, however it ended; with another file or another task it is refused rather than mixed up.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from tidemill.datagen import repository, repository_run, views
from tidemill.datagen.contracts import StartRequest, credits_text
from tidemill.datagen.engine.chunks import chunk_samples
from tidemill.datagen.engine.mill import Mill
from tidemill.datagen.engine.run import RunEnd
from tidemill.datagen.errors import StartRefused, problem
from tidemill.datagen.plan import NO_JUDGE, TaskPlan
from tidemill.datagen.ports import ModelCalls
from tidemill.datagen.rules import detect_language
from tidemill.datagen.samples.file_on_disk import FileOnDisk
from tidemill.datagen.start import AUTO, Checker, evaluator_of, make_plan, shown_params
from tidemill.datagen.task_types import TaskType
from tidemill.kernel import clock
from tidemill.kernel.actor import SystemReason, SystemScope
from tidemill.kernel.lang import Lang
from tidemill.platform.db import Database, Row
from tidemill.platform.settings.groups.datagen import DatagenSettings

TASK_ID = "task_of_this_state_file"
HEAD_ROWS = 50
PAGE = 500
_SCOPE = SystemScope(SystemReason.COMMAND_LINE)
# What may change between two commands of one run: how fast and how dear, not what is made.
_FREE = ("batch_size", "max_concurrent")


class StandaloneState(Struct, frozen=True, kw_only=True):
    """Where a run stands."""

    status: str
    paused: str | None
    paused_code: str | None
    current: int
    total: int
    accepted: int
    below_threshold: int
    needs_review: int
    failed: int
    retried: int
    rows_per_s: float
    eta_s: float | None
    input_tokens: int
    output_tokens: int
    cost: str
    error: str | None


class Standalone:
    """One run. ``user_id`` is the owner in the state file, whom the caller has put there, and of the calls' usage."""

    def __init__(
        self,
        *,
        db: Database,
        samples: FileOnDisk,
        calls: ModelCalls,
        task_types: Mapping[str, TaskType],
        settings: DatagenSettings,
        user_id: int,
    ) -> None:
        self._db = db
        self._samples = samples
        self._calls = calls
        self._types = task_types
        self._settings = settings
        self._user_id = user_id
        self._mill = Mill(db=db, calls=calls, samples=samples, task_types=task_types, settings=settings)

    async def prepare(self, request: StartRequest, lang: Lang) -> bool:
        """Make the task, or take the one of the state file up again; returns True when it goes on.

        Raises StartRefused naming what cannot be, or what differs from the state file.
        """
        checker = Checker(request, self._settings, lang)
        plan, task_type = await self._plan(checker, request), checker.task_type(self._types)
        budget_nano = checker.budget(request.budget)
        if checker.problems or plan is None or task_type is None:
            raise StartRefused.because(checker.problems)
        async with self._db.write() as w:
            row = await repository.task(w, _SCOPE, TASK_ID)
            if row is None:
                await repository.add(w, self._values(request, plan, budget_nano))
                return False
            plan = _same_task(request, msgspec.convert(row["plan"], TaskPlan), plan, lang)
            changes = {"plan": msgspec.to_builtins(plan), "budget_nano": budget_nano}
            if row["status"] in {"stopped", "failed"}:
                await repository.reopen(w, _SCOPE, TASK_ID, changes)
            else:
                await repository.unpause(w, _SCOPE, TASK_ID, changes)
        return True

    async def _plan(self, checker: Checker, request: StartRequest) -> TaskPlan | None:
        choices = checker.choices()
        task_type = self._types.get(request.task_type)
        facts = self._samples.known()
        if facts.rows == 0:
            checker.refuse("file", "empty_file")
        models = checker.models() or self._default_models()
        for model in models:
            if not self._calls.services(model):
                checker.refuse("model", "unserved", value=model)
        if not models:
            checker.refuse("model", "no_model")
        evaluator = evaluator_of(request)
        if evaluator not in {None, NO_JUDGE} and not self._calls.services(str(evaluator)):
            checker.refuse("evaluator", "unserved", value=evaluator)
        if checker.problems or task_type is None:
            return None
        head = await self._samples.rows(_SCOPE, facts.file_id, facts.version, 0, HEAD_ROWS)
        language: Lang = "zh" if choices.language == "zh" else "en"
        plan = make_plan(
            choices,
            task_type=task_type,
            language=detect_language(head) if choices.language == AUTO else language,
            models=models,
            evaluator=evaluator,
            file_id=facts.file_id,
            file_version=facts.version,
            rows=facts.rows,
            # A command that is given again must mean the same: without --seed it follows from the file.
            seed=facts.version & 0x7FFFFFFF,
        )
        if plan.total > self._settings.max_items:
            checker.refuse("variants", "too_large", total=plan.total, limit=self._settings.max_items)
        return plan

    def _default_models(self) -> list[str]:
        default = self._settings.default_model
        if default and self._calls.services(default):
            return [default]
        views_ = [view for view in self._calls.models() if view.is_active and self._calls.services(view.name)]
        return [view.name for view in views_ if not view.is_local] or [view.name for view in views_]

    def _values(self, request: StartRequest, plan: TaskPlan, budget_nano: int | None) -> dict[str, Any]:
        params = shown_params(request, plan, self._samples.known().filename)
        return {
            "task_id": TASK_ID,
            "user_id": self._user_id,
            "status": "running",
            "params": msgspec.json.encode(params).decode(),
            "started_at": clock.now(),
            "task_type": plan.task_type,
            "file_id": plan.file_id,
            "plan": msgspec.to_builtins(plan),
            "total": plan.total,
            "chunk_samples": chunk_samples(plan),
            "budget_nano": budget_nano,
        }

    async def run(self, stop: asyncio.Event) -> RunEnd:
        """Make what is pending; ``stop`` ends it early, with everything that is done kept."""
        try:
            return await self._mill.run(TASK_ID, asyncio.Event(), stop)
        finally:
            await self._mill.close()

    async def state(self) -> StandaloneState:
        """Return where the run stands, from the state file."""
        async with self._db.read() as r:
            row = await repository.task(r, _SCOPE, TASK_ID)
        assert row is not None  # noqa: S101 - prepare() has made it
        return _state(row)

    async def accepted(self, after: int = 0) -> AsyncGenerator[tuple[int, str]]:
        """Yield the accepted rows committed after position ``after``, as (position, JSON text), in commit order."""
        while True:
            async with self._db.read() as r:
                rows = await repository.accepted_since(r, _SCOPE, TASK_ID, after, PAGE)
            for row in rows:
                after = row["event_seq"]
                yield after, row["data_content"]
            if len(rows) < PAGE:
                return

    async def accepted_in_order(self) -> AsyncGenerator[str]:
        """Yield the accepted rows as JSON text, by item: the same order whatever happened on the way."""
        after = -1
        while True:
            async with self._db.read() as r:
                rows: Sequence[Row] = await repository_run.accepted_after(r, _SCOPE, TASK_ID, after)
            for row in rows:
                after = row["item_no"]
                yield row["data_content"]
            if len(rows) < repository_run.TEXT_PAGE:
                return


def _same_task(request: StartRequest, stored: TaskPlan, asked: TaskPlan, lang: Lang) -> TaskPlan:
    """Return the stored plan with what may change; raises StartRefused for what may not."""
    known = msgspec.structs.asdict(stored)
    wanted = msgspec.structs.asdict(asked)
    if not request.model and not request.models:
        # Named by nobody: which models happen to be active now is not a different task.
        wanted["models"] = known["models"]
    differing = [name for name in known if name not in _FREE and known[name] != wanted[name]]
    if differing:
        raise StartRefused.because([problem(lang, name, "other_state", value=known[name]) for name in differing])
    return msgspec.structs.replace(stored, **{name: wanted[name] for name in _FREE})


def _state(row: Row) -> StandaloneState:
    rate, eta_s = views.pace(row, clock.now())
    paused = row["paused"]
    return StandaloneState(
        status=row["status"],
        paused=views.paused_sentence(paused, "en"),
        paused_code=paused["code"] if paused else None,
        current=views.current(row),
        total=row["total"],
        accepted=row["accepted"],
        below_threshold=row["below_threshold"],
        needs_review=row["needs_review"],
        failed=row["failed"],
        retried=row["retried"],
        rows_per_s=rate,
        eta_s=eta_s,
        input_tokens=row["input_tokens"],
        output_tokens=row["output_tokens"],
        cost=credits_text(row["cost_nano"]),
        error=row["error_message"],
    )
