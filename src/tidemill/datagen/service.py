"""What can be done with generation tasks: start, watch, stop, resume, delete, list.

Each change is one transaction with its audit entry and its job. A running task is a job: the job engine starts it,
takes it up again after a crash and carries a stop to wherever it runs.
"""

import random
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from tidemill.audit.facade import record
from tidemill.datagen import repository, repository_crew, repository_run, views
from tidemill.datagen.contracts import (
    ActiveTask,
    PreviewAnswer,
    PreviewRow,
    ResumeRequest,
    StartRequest,
    TaskRef,
    TaskStatus,
    TaskSummary,
    TaskTypeView,
    credits_text,
)
from tidemill.datagen.engine.chunks import chunk_samples
from tidemill.datagen.engine.feed import Feeds, ended_before
from tidemill.datagen.engine.log_lines import FOR_THE_OWNER, log_line, pause
from tidemill.datagen.engine.mill import Mill, Previewed
from tidemill.datagen.errors import StartRefused, TaskNotFound, TaskNotResumable, TaskNotRunning, problem
from tidemill.datagen.plan import NO_JUDGE, TaskPlan
from tidemill.datagen.ports import ModelCalls, Samples
from tidemill.datagen.rules import detect_language
from tidemill.datagen.samples.contracts import FileFacts
from tidemill.datagen.start import AUTO, Checker, Choices, evaluator_of, make_plan, shown_params
from tidemill.datagen.task_types import TaskType
from tidemill.kernel import clock
from tidemill.kernel.actor import Actor, Scope, SystemReason, SystemScope
from tidemill.kernel.ids import short_id
from tidemill.kernel.lang import Lang
from tidemill.kernel.pages import Page, PageRequest, encode_cursor
from tidemill.operations.contracts import TaskState
from tidemill.platform.db import Database, Row, Writer
from tidemill.platform.jobs import Jobs
from tidemill.platform.settings.groups.datagen import DatagenSettings
from tidemill.relay.errors import ModelNotAllowed

JOB = "datagen.run"
PREVIEW_ROWS = 3
LANGUAGE_ROWS = 50
OTHERS = 50
_SYSTEM = SystemScope(SystemReason.GENERATION)


class Ready(Struct, frozen=True):
    """A start request with everything decided; ``head`` are the first rows of its file."""

    plan: TaskPlan
    choices: Choices
    task_type: TaskType
    head: list[dict[str, Any]]


class TaskService:
    """Generation tasks of all users; each method takes who acts or how far they may look."""

    def __init__(
        self,
        *,
        db: Database,
        jobs: Jobs,
        mill: Mill,
        calls: ModelCalls,
        samples: Samples,
        task_types: Mapping[str, TaskType],
        settings: DatagenSettings,
    ) -> None:
        self._db = db
        self._jobs = jobs
        self._mill = mill
        self._calls = calls
        self._samples = samples
        self._types = task_types
        self._settings = settings
        self._feeds = Feeds(db, keep_alive_s=settings.keep_alive_s)

    # Starting.

    async def start(
        self, actor: Actor, request: StartRequest, lang: Lang, *, task_id: str | None = None
    ) -> TaskRef | PreviewAnswer:
        """Start a task (or preview it). Raises StartRefused naming every field that cannot be, FileNotFound.

        ``task_id`` names the task instead of the time; IntegrityError says that there is one of that name.
        """
        ready = await self.check(actor, request, lang)
        if request.preview:
            return await self._preview(actor, ready)
        return await self._create(actor, request, ready, lang, task_id)

    async def check(self, actor: Actor, request: StartRequest, lang: Lang) -> Ready:
        """Decide everything that a start decides, and keep nothing; raises as ``start``."""
        checker = Checker(request, self._settings, lang)
        task_type = checker.task_type(self._types)
        choices = checker.choices()
        models = self._models(checker, actor)
        evaluator = self._evaluator(checker, request, actor)
        async with self._db.read() as r:
            facts = await self._samples.facts(r, actor.scope, request.file_id)
        if facts.rows == 0:
            checker.refuse("file_id", "empty_file")
        if checker.problems or task_type is None:
            raise StartRefused.because(checker.problems)
        head = await self._head(actor.scope, facts)
        plan = make_plan(
            choices,
            task_type=task_type,
            language=_language(choices, head),
            models=models,
            evaluator=evaluator,
            file_id=facts.file_id,
            file_version=facts.version,
            rows=facts.rows,
            seed=random.getrandbits(31),
        )
        if plan.total > self._settings.max_items:
            checker.refuse("variants_per_sample", "too_large", total=plan.total, limit=self._settings.max_items)
            raise StartRefused.because(checker.problems)
        return Ready(plan, choices, task_type, head)

    def _models(self, checker: Checker, actor: Actor) -> list[str]:
        """Return the models that serve the task: the named ones, the configured default, or every active one."""
        named = checker.models()
        for model in named:
            _may_use(actor, model)
            if not self._calls.services(model):
                checker.refuse("model", "unserved", value=model)
        if named:
            return named
        default = self._settings.default_model
        if default and self._calls.services(default):
            return [default]
        active = [name for name in self._active() if actor.models is None or name in actor.models]
        if not active:
            checker.refuse("model", "no_model")
        return active

    def _active(self) -> list[str]:
        """Return the configured models that are active; local ones only when nothing else is configured."""
        views = [view for view in self._calls.models() if view.is_active and self._calls.services(view.name)]
        return [view.name for view in views if not view.is_local] or [view.name for view in views]

    def _evaluator(self, checker: Checker, request: StartRequest, actor: Actor) -> str | None:
        evaluator = evaluator_of(request)
        if evaluator not in {None, NO_JUDGE}:
            _may_use(actor, str(evaluator))
            if not self._calls.services(str(evaluator)):
                checker.refuse("evaluator_model", "unserved", value=evaluator)
        return evaluator

    async def _head(self, scope: Scope, facts: FileFacts) -> list[dict[str, Any]]:
        return await self._samples.rows(scope, facts.file_id, facts.version, 0, min(facts.rows, LANGUAGE_ROWS))

    async def _preview(self, actor: Actor, ready: Ready) -> PreviewAnswer:
        rows = ready.head[: min(PREVIEW_ROWS, ready.plan.samples)]
        made = await self._mill.preview(ready.plan, ready.task_type, rows, user_id=actor.user_id, key_id=actor.key_id)
        return PreviewAnswer([_preview_row(one) for one in made])

    async def _create(
        self, actor: Actor, request: StartRequest, ready: Ready, lang: Lang, task_id: str | None
    ) -> TaskRef:
        plan, choices, now = ready.plan, ready.choices, clock.now()
        task_id = task_id or f"task_{now:%Y%m%d_%H%M%S}_{short_id(8)}"
        async with self._db.write() as w:
            # Holds the file: no edit may drop the version that this task is about to read.
            held = await self._samples.facts(w, actor.scope, plan.file_id, hold=True)
            if held.rows == 0:
                raise StartRefused.because([problem(lang, "file_id", "empty_file")])
            if held.version != plan.file_version:
                plan = msgspec.structs.replace(
                    plan, file_version=held.version, samples=min(held.rows, choices.sample_limit or held.rows)
                )
            await repository.add(
                w,
                {
                    "task_id": task_id,
                    "user_id": actor.user_id,
                    "key_id": actor.key_id,
                    "status": "running",
                    "params": msgspec.json.encode(shown_params(request, plan, held.filename)).decode(),
                    "started_at": now,
                    "task_type": plan.task_type,
                    "file_id": plan.file_id,
                    "plan": msgspec.to_builtins(plan),
                    "total": plan.total,
                    "chunk_samples": chunk_samples(plan),
                    "budget_nano": choices.budget_nano,
                },
            )
            details = {"task_type": plan.task_type, "file_id": plan.file_id, "total": plan.total}
            await self._audit(w, actor, "task.start", task_id, details)
            await self._enqueue(w, actor, task_id)
        return TaskRef(task_id, "running")

    async def _enqueue(self, w: Writer, actor: Actor, task_id: str) -> None:
        job_id = await self._jobs.enqueue(w, actor.scope, JOB, {"task_id": task_id}, user_id=actor.user_id)
        await repository.set_job(w, _SYSTEM, task_id, job_id)

    # Stopping, resuming, deleting.

    async def stop(self, actor: Actor, task_id: str) -> TaskRef:
        """Stop a running task: calls in flight are cancelled, what is done stays. Raises TaskNotRunning."""
        async with self._db.write() as w:
            row = await self._found(await repository.task(w, actor.scope, task_id), task_id)
            if not await self._halt(w, actor.scope, task_id):
                raise TaskNotRunning(status=row["status"])
            await self._dismiss(w, row)
            await self._audit(w, actor, "task.stop", task_id, {})
        return TaskRef(task_id, "stopped")

    async def give_up(self, w: Writer, actor: Actor, job_id: str, payload: dict[str, Any]) -> None:
        """Stop the task whose job somebody cancels or discards, in that transaction (a ``JobKeeper`` of operations)."""
        row = await repository.task(w, _SYSTEM, str(payload.get("task_id")))
        if row is not None and row["job_id"] == job_id and await self._halt(w, _SYSTEM, row["task_id"]):
            await self._dismiss(w, row)
            await self._audit(w, actor, "task.stop", row["task_id"], {"job_id": job_id})

    @staticmethod
    async def _halt(w: Writer, scope: Scope, task_id: str) -> bool:
        """Turn a live task to stopped and say so to its watchers; False when it is not live."""
        now = clock.now()
        seq = await repository.halt(w, scope, task_id, now)
        if seq is None:
            return False
        await repository_run.add_event(w, task_id, seq - 1, "log", log_line("stopped"), now)
        await repository_run.add_event(w, task_id, seq, "complete", {"status": "stopped"}, now)
        return True

    async def resume(self, actor: Actor, task_id: str, request: ResumeRequest, lang: Lang) -> TaskRef:
        """Go on with a stopped or failed task, or with one that waits for its owner. Raises TaskNotResumable."""
        checker = Checker(StartRequest(file_id=0, task_type=""), self._settings, lang)
        budget_nano = checker.budget(request.budget)
        if checker.problems:
            raise StartRefused.because(checker.problems)
        changes = {} if budget_nano is None else {"budget_nano": budget_nano}
        async with self._db.write() as w:
            row = await self._found(await repository.task(w, actor.scope, task_id), task_id)
            limit = row["budget_nano"] if budget_nano is None else budget_nano
            if limit is not None and row["cost_nano"] >= limit and views.current(row) < row["total"]:
                raise StartRefused.because(
                    [problem(lang, "budget", "raise_budget", spent=credits_text(row["cost_nano"]))]
                )
            if row["status"] == "running" and row["paused"] and row["paused"]["code"] in FOR_THE_OWNER:
                await repository.unpause(w, actor.scope, task_id, changes)
            elif await repository.reopen(w, actor.scope, task_id, changes):
                await self._enqueue(w, actor, task_id)
            else:
                raise TaskNotResumable(status=row["status"])
            await self._audit(w, actor, "task.resume", task_id, {})
        return TaskRef(task_id, "running")

    async def delete(self, actor: Actor, scope: Scope, task_id: str) -> None:
        """Delete a task with its rows and report; a running one is stopped first.

        It is out of sight at once; its rows go in slices, and what a crash leaves goes at the next start.
        """
        async with self._db.write() as w:
            row = await self._found(await self._by_name_or_number(w, scope, task_id), task_id)
            await repository.hide(w, scope, row["task_id"])
            if row["status"] in repository.LIVE:
                await self._dismiss(w, row)
            await self._audit(w, actor, "task.delete", row["task_id"], {"owner": row["user_id"]})
        await self.erase(row["task_id"])

    async def _dismiss(self, w: Writer, row: Row) -> None:
        """Cancel every job that makes a task, or is about to; what they have in flight is not stored any more."""
        jobs = {row["job_id"], *await repository_crew.disband(w, _SYSTEM, row["task_id"])}
        for job_id in sorted(job_id for job_id in jobs if job_id):
            await self._jobs.cancel(w, _SYSTEM, job_id)

    async def erase(self, task_id: str) -> None:
        """Erase a hidden task's rows, a thousand a transaction."""
        done = False
        while not done:
            async with self._db.write() as w:
                done = await repository.erase_slice(w, _SYSTEM, task_id)

    async def recover(self) -> tuple[int, int]:
        """At start: end erasures that a crash cut short, give running tasks without a living job a new one.

        Returns how many of each.
        """
        async with self._db.read() as r:
            hidden = await repository.hidden(r, _SYSTEM)
            orphans = await repository.orphaned(r, _SYSTEM)
        for task_id in hidden:
            await self.erase(task_id)
        requeued = 0
        for row in orphans:
            task_id = row["task_id"]
            async with self._db.write() as w:
                # Another process may be starting as well: who holds the row first gives the task its job.
                if not await repository_crew.hold(w, _SYSTEM, task_id):
                    continue
                if not await repository.orphaned(w, _SYSTEM, task_id):
                    continue
                job_id = await self._jobs.enqueue(w, _SYSTEM, JOB, {"task_id": task_id}, user_id=row["user_id"])
                await repository.set_job(w, _SYSTEM, task_id, job_id)
                requeued += 1
        return len(hidden), requeued

    # Looking.

    async def page(self, scope: Scope, request: PageRequest, status: str | None, lang: Lang) -> Page[TaskSummary]:
        """List tasks, newest first."""
        async with self._db.read() as r:
            rows = await repository.page(r, scope, request, status)
            total = None if request.cursor else await repository.count(r, scope, status)
        more = len(rows) > request.page_size
        rows = rows[: request.page_size]
        following = encode_cursor(rows[-1]["id"]) if more else None
        items = [views.summary(row, lang) for row in rows]
        return Page(items, total, request.page, request.page_size, following)

    async def status(self, scope: Scope, task_id: str, lang: Lang) -> TaskStatus:
        """Return one task with its services' figures."""
        async with self._db.read() as r:
            row = await self._found(await repository.task(r, scope, task_id), task_id)
        return views.status(row, lang, paused=self._full(task_id))

    async def status_of(self, scope: Scope, task_id: str) -> TaskState | None:
        """Return how far a task has got, None when it is none (a ``StatusSource`` of operations)."""
        async with self._db.read() as r:
            row = await repository.task(r, scope, task_id)
        return None if row is None else views.state(row)

    async def active(self, scope: Scope, lang: Lang) -> ActiveTask | None:
        """Return the newest running task with the others beside it, None when nothing runs."""
        async with self._db.read() as r:
            rows = await repository.running(r, scope, OTHERS + 1)
        if not rows:
            return None
        newest = views.status(rows[0], lang, paused=self._full(rows[0]["task_id"]))
        others = [views.summary(row, lang) for row in rows[1:]]
        return ActiveTask(**{name: getattr(newest, name) for name in newest.__struct_fields__}, others=others)

    def _full(self, task_id: str) -> dict[str, Any] | None:
        return pause("storage_full") if self._mill.disk_is_full(task_id) else None

    def types(self, lang: Lang) -> list[TaskTypeView]:
        """Return the installed task types."""
        return [
            TaskTypeView(
                name=one.name,
                version=one.version,
                title=one.title[lang],
                titles={**one.title},
                description=one.description[lang],
                input_fields=msgspec.to_builtins(one.input_fields),
                schema=one.schema,
                rules=msgspec.to_builtins(one.rules),
                rubric=msgspec.to_builtins(one.rubric),
                example=one.example,
            )
            for one in self._types.values()
        ]

    async def watch(self, scope: Scope, task_id: str, after: int | None, lang: Lang) -> AsyncGenerator[bytes] | None:
        """Return a task's event stream from ``after`` on; None when the watcher has seen its end already."""
        async with self._db.read() as r:
            row = await self._found(await repository.task(r, scope, task_id), task_id)
        if ended_before(row, after):
            return None
        return self._feeds.watch(scope, task_id, after, lang)

    def close_streams(self) -> None:
        """End every event stream: the process drains."""
        self._feeds.close()

    # Shared.

    @staticmethod
    async def _found(row: Row | None, task_id: str) -> Row:
        if row is None:
            raise TaskNotFound(task_id=task_id)
        return row

    @staticmethod
    async def _by_name_or_number(w: Writer, scope: Scope, name: str) -> Row | None:
        if name.isdecimal() and len(name) <= 18:  # noqa: PLR2004 - digits that surely fit 64 bits
            return await repository.task_by_number(w, scope, int(name))
        return await repository.task(w, scope, name)

    @staticmethod
    async def _audit(w: Writer, actor: Actor, action: str, task_id: str, details: dict[str, Any]) -> None:
        await record(w, actor=actor, action=action, object_type="task", object_id=task_id, details=details)


def _may_use(actor: Actor, model: str) -> None:
    if actor.models is not None and model not in actor.models:
        raise ModelNotAllowed(model=model)


def _language(choices: Choices, head: Sequence[dict[str, Any]]) -> Lang:
    if choices.language == AUTO:
        return detect_language(head)
    return "zh" if choices.language == "zh" else "en"


def _preview_row(made: Previewed) -> PreviewRow:
    outcome = made.outcome
    reasons = outcome.attempts[-1].reasons if outcome.attempts else []
    return PreviewRow(
        prompt="\n\n".join(f"[{message['role']}]\n{message['content']}" for message in made.prompt),
        messages=made.prompt,
        output=outcome.output,
        rule_score=outcome.rule_score,
        model_score=outcome.model_score,
        final_score=outcome.final_score,
        status=outcome.status,
        reasons=[*reasons, *([outcome.reason] if outcome.reason and not reasons else [])],
        model=outcome.model,
    )
