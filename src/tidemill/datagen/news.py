"""Tells watchers what becomes of tasks: each start and end, progress at most once a second.

The database's bell rings in every process for every commit to a task, whoever makes it. So each process reads for its
own watchers what was committed, and nothing is sent between processes: the news goes to topic ``tasks`` and to
``tasks.{user_id}`` of the bus that this process gave, keyed by the task. It is a courtesy; the rows are the truth.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import msgspec
from msgspec import Struct

from tidemill.datagen import repository_news, views
from tidemill.datagen.contracts import Tokens, credits_text
from tidemill.datagen.repository import DELETED, LIVE
from tidemill.datagen.repository_run import BELL
from tidemill.kernel import clock
from tidemill.kernel.actor import SystemReason, SystemScope
from tidemill.platform.db import Database, Row
from tidemill.platform.events import EventBus
from tidemill.platform.tasks import TaskOwner, steadily

EVERYBODYS = "tasks"
READ_INTERVAL_S = 0.2
PROGRESS_INTERVAL_S = 1.0
_SYSTEM = SystemScope(SystemReason.GENERATION)
_encode = msgspec.json.Encoder().encode


class TaskChange(Struct, kw_only=True):
    """How a task stands after something happened to it; fields as in a list of tasks."""

    event: Literal["started", "progress", "ended", "deleted"]
    at: datetime
    seq: int
    task_id: str
    user_id: int
    task_type: str
    status: str
    paused_code: str | None
    current: int
    total: int
    percent: float
    accepted: int
    below_threshold: int
    needs_review: int
    failed: int
    retried: int
    rows_per_s: float
    eta_s: float | None
    tokens: Tokens
    cost: str
    started_at: datetime
    finished_at: datetime | None


def topic_of(user_id: int) -> str:
    """Return the topic of one user's tasks."""
    return f"{EVERYBODYS}.{user_id}"


class _Told(Struct):
    """What was last told of a live task, and when."""

    row: Row
    at_s: float


class TaskNews:
    """The news of all tasks, for the watchers of one process."""

    def __init__(self, db: Database, events: EventBus) -> None:
        self._db = db
        self._events = events
        self._rung = asyncio.Event()
        # Live tasks as last told of; None until the first look, which tells nothing.
        self._told: dict[str, _Told] | None = None
        self._newest = 0

    def start(self, tasks: TaskOwner) -> None:
        """Begin to listen to the bell."""
        self._db.subscribe(BELL, self._rung.set)
        self._rung.set()
        tasks.spawn("tasks.news", steadily("tasks.news", self._round, READ_INTERVAL_S))

    async def changed_since(self, moment: datetime, limit: int) -> Sequence[TaskChange]:
        """Return up to ``limit`` tasks that are live, or began or ended since a moment, as they are now."""
        async with self._db.read() as r:
            rows = await repository_news.changed_since(r, _SYSTEM, moment, limit)
        return [_change("ended" if row["finished_at"] else "progress", row) for row in rows]

    async def _round(self) -> None:
        try:
            async with asyncio.timeout(self._due_in_s()):
                await self._rung.wait()
        except TimeoutError:
            pass  # progress that was held back is due
        self._rung.clear()
        try:
            await self._look()
        except BaseException:
            self._rung.set()
            raise

    def _due_in_s(self) -> float | None:
        """Return when the next progress may be told; None while nothing is live."""
        if not self._told:
            return None
        next_s = min(told.at_s for told in self._told.values()) + PROGRESS_INTERVAL_S
        return max(READ_INTERVAL_S, next_s - clock.monotonic())

    async def _look(self) -> None:
        known = self._told or {}
        async with self._db.read() as r:
            rows = await repository_news.live_or_after(r, _SYSTEM, self._newest)
            live = {row["task_id"]: row for row in rows if row["status"] in LIVE}
            gone = await repository_news.named(r, _SYSTEM, [name for name in known if name not in live])
        first = self._told is None
        self._newest = max([self._newest, *(row["id"] for row in rows)])
        self._told = {}
        for name, row in live.items():
            self._told[name] = known.get(name) or _Told(row, clock.monotonic())
        if first:
            return
        brief = [row for row in rows if row["status"] not in LIVE and row["task_id"] not in known]
        for row in (*gone, *brief):
            await self._tell(_change("deleted" if row["status"] == DELETED else "ended", row))
        for name in known.keys() - live.keys() - {row["task_id"] for row in gone}:
            # Erased altogether between two looks.
            await self._tell(_change("deleted", known[name].row))
        for name, row in live.items():
            await self._tell_live(name, row, new=name not in known)

    async def _tell_live(self, name: str, row: Row, *, new: bool) -> None:
        told = (self._told or {})[name]
        now_s = clock.monotonic()
        if new:
            await self._tell(_change("started", row))
        elif _figures(row) != _figures(told.row) and now_s - told.at_s >= PROGRESS_INTERVAL_S:
            told.row, told.at_s = row, now_s
            await self._tell(_change("progress", row))

    async def _tell(self, change: TaskChange) -> None:
        payload = _encode(change)
        for topic in (EVERYBODYS, topic_of(change.user_id)):
            await self._events.publish(topic, payload, key=change.task_id)


def _figures(row: Row) -> tuple[object, ...]:
    return row["status"], row["seq"], row["paused"], row["live"], *(row[name] for name in views.COUNTS)


def _change(event: Literal["started", "progress", "ended", "deleted"], row: Row) -> TaskChange:
    moments = {"started": row["started_at"], "ended": row["finished_at"]}
    done = views.current(row)
    rate, eta_s = views.pace(row, clock.now())
    return TaskChange(
        event=event,
        at=moments.get(event) or clock.now(),
        seq=row["seq"],
        task_id=row["task_id"],
        user_id=row["user_id"],
        task_type=row["task_type"],
        status=DELETED if event == "deleted" else row["status"],
        paused_code=row["paused"]["code"] if row["paused"] else None,
        current=done,
        total=row["total"],
        percent=views.percent(done, row["total"]),
        **{name: row[name] for name in (*views.COUNTS, "retried")},
        rows_per_s=rate,
        eta_s=eta_s,
        tokens=Tokens(row["input_tokens"], row["output_tokens"]),
        cost=credits_text(row["cost_nano"]),
        started_at=row["started_at"],
        finished_at=row["finished_at"],
    )
