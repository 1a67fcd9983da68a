"""Job news made into live events.

News of progress is passed on as it comes. News of a state is a wake-up: the row is read, in batches, so that the event
tells what was committed, under the number that its line in the job's history has.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from tidemill.kernel.actor import SystemReason, SystemScope
from tidemill.platform.db import Database, Reader, Row
from tidemill.platform.events import Event
from tidemill.platform.jobs.rules import ENDED, WAITING
from tidemill.server.live import repository
from tidemill.server.live.event import LiveEvent, now_ms

TOPIC = "jobs"
SCOPE = SystemScope(SystemReason.LIVE_EVENTS)


class _Progress(Struct):
    current: int
    total: int
    message: str = ""


class _News(Struct):
    """What the engine says (``platform.jobs.news``)."""

    job_id: str
    type: str
    status: str
    user_id: int | None = None
    progress: _Progress | None = None


_decode = msgspec.json.Decoder(_News).decode


class JobEvents:
    """Turns what the bus says of jobs into events, for those whom somebody here watches."""

    def __init__(self, db: Database, watched: Callable[[str, int | None], bool]) -> None:
        self._db = db
        self._watched = watched

    async def made_of(self, heard: Sequence[Event]) -> Sequence[LiveEvent]:
        """Return the events that this news is worth."""
        news = [_decode(event.payload) for event in heard if event.payload]
        wanted = [one for one in news if self._watched(TOPIC, one.user_id)]
        states = [one.job_id for one in wanted if one.progress is None or one.status != "running"]
        rows: Sequence[Row] = ()
        if states:
            async with self._db.read() as r:
                rows = await repository.jobs_named(r, SCOPE, states)
        told = {row["id"] for row in rows}
        return [*(event_of(row) for row in rows), *(_progressed(one) for one in wanted if one.job_id not in told)]


async def changed_jobs(r: Reader, since: Any, limit: int) -> tuple[Sequence[LiveEvent], int | None]:
    """Return the jobs that something happened to since a moment, as events in order.

    When more than ``limit`` lines of history are that new, only the newest are read; then the second value is the
    position from which on nothing is missing.
    """
    lines = await repository.lines_since(r, SCOPE, since, limit + 1)
    if not lines:
        return (), None
    rows = await repository.jobs_named(r, SCOPE, sorted({line["job_id"] for line in lines}))
    events = sorted((event_of(row) for row in rows), key=lambda event: event.at_ms)
    return events, _milliseconds(lines[-1]["at"]) + 1 if len(lines) > limit else None


def event_of(row: Row) -> LiveEvent:
    """Return the event that tells how a job stands."""
    state: str = row["state"]
    if state in ENDED:
        kind = "job.ended"
    elif state in WAITING:
        kind = "job.queued"
    else:
        kind = "job.started"
    error = {"code": row["error_code"], "message": row["error_text"] or ""} if row["error_code"] else None
    data = {
        "job_id": row["id"],
        "user_id": row["user_id"],
        "type": row["type"],
        "queue": row["queue"],
        "status": state,
        "attempt": row["attempt"],
        "progress": _progress(row["progress_done"], row["progress_total"], row["progress_message"]),
        "error": error,
        "created_at": row["created_at"],
        "started_at": row["started_at"],
        "finished_at": row["finished_at"],
    }
    return LiveEvent(
        kind,
        TOPIC,
        key=row["id"],
        version=str(row["event_seq"]),
        at_ms=_milliseconds(row["at"]),
        user_id=row["user_id"],
        data=data,
    )


def _progressed(news: _News) -> LiveEvent:
    progress = news.progress or _Progress(0, 0)
    data = {
        "job_id": news.job_id,
        "user_id": news.user_id,
        "type": news.type,
        "status": news.status,
        "progress": _progress(progress.current, progress.total, progress.message),
    }
    version = f"{progress.current}of{progress.total}"
    return LiveEvent(
        "job.progress", TOPIC, key=news.job_id, version=version, at_ms=now_ms(), user_id=news.user_id, data=data
    )


def _progress(done: int, total: int, message: str) -> dict[str, Any]:
    percent = min(100.0, round(done * 100 / total, 1)) if total > 0 else None
    return {"current": done, "total": total, "percent": percent, "message": message}


def _milliseconds(moment: Any) -> int:
    return int(moment.timestamp() * 1000)
