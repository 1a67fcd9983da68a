"""Rows as answers."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from tidemill.operations.contracts import (
    Attempt,
    JobDetail,
    JobEvent,
    JobView,
    OwnJob,
    Progress,
    TransportView,
    WorkerJob,
    WorkError,
    WorkerView,
)
from tidemill.operations.contracts_schedules import ScheduleView
from tidemill.platform.db import Row
from tidemill.platform.jobs import JobKind
from tidemill.platform.jobs.firings import BadCron, UnknownZone
from tidemill.platform.jobs.scheduler import timing_of

NEXT = 5
# Lines of history that end a run.
_ENDS = frozenset({"succeeded", "retry_wait", "failed", "dead", "cancelled", "queued", "owner_lost", "handed_back"})
Kinds = Mapping[str, JobKind]


def _facts(row: Row, kinds: Kinds) -> dict[str, Any]:
    kind = kinds.get(row["type"])
    return {
        "id": row["id"],
        "type": row["type"],
        "queue": row["queue"],
        "status": row["state"],
        "priority": row["priority"],
        "user_id": row["user_id"],
        "attempt": row["attempt"],
        "max_attempts": kind.max_attempts if kind else None,
        "crashes": row["crashes"],
        "progress": progress(row),
        "error": error(row),
        "cancel_requested": row["state"] == "running" and row["cancel_requested_at"] is not None,
        "schedule_id": row["schedule_id"],
        "run_at": row["run_at"],
        "created_at": row["created_at"],
        "started_at": row["started_at"],
        "finished_at": row["finished_at"],
    }


def progress(row: Row) -> Progress:
    """Return how far a job has got."""
    return Progress.of(row["progress_done"], row["progress_total"], row["progress_message"])


def error(row: Row) -> WorkError | None:
    """Return what a job's last failure said."""
    return None if row["error_code"] is None else WorkError(row["error_code"], row["error_text"] or "")


def job(row: Row, kinds: Kinds) -> JobView:
    """Return a job as lists show it."""
    return JobView(**_facts(row, kinds))


def own_job(row: Row, events: Sequence[Row], kinds: Kinds) -> OwnJob:
    """Return a job as its owner sees it."""
    return OwnJob(**_facts(row, kinds), events=[_event(line) for line in events])


def job_detail(row: Row, events: Sequence[Row], kinds: Kinds) -> JobDetail:
    """Return a job as administrators see it."""
    return JobDetail(
        **_facts(row, kinds),
        events=[_event(line) for line in events],
        payload=row["payload"],
        checkpoint=row["checkpoint"],
        idem_key=row["idem_key"],
        epoch=row["epoch"],
        worker=row["lease_owner"],
        cancel_by=row["cancel_by"],
        request_id=row["request_id"],
        published_at=row["published_at"],
        publish_count=row["publish_count"],
        attempts=attempts(events),
    )


def _event(row: Row) -> JobEvent:
    return JobEvent(row["seq"], row["at"], row["kind"], row["data"])


def attempts(events: Sequence[Row]) -> list[Attempt]:
    """Read the runs from a history: each begins with a line ``running`` and ends with the next change of state."""
    found: list[Attempt] = []
    for line in events:
        data: Mapping[str, Any] = line["data"] or {}
        if line["kind"] == "running":
            found.append(
                Attempt(
                    number=data.get("attempt", len(found) + 1),
                    worker=data.get("worker"),
                    started_at=line["at"],
                    ended_at=None,
                    outcome=None,
                    error=None,
                )
            )
        elif line["kind"] in _ENDS and found and found[-1].outcome is None:
            wrong = WorkError(data["error"], str(data.get("text", ""))) if "error" in data else None
            found[-1] = msgspec.structs.replace(found[-1], ended_at=line["at"], outcome=line["kind"], error=wrong)
    return found


def worker(row: Row, held: Sequence[Row], at: datetime, lease_s: float) -> WorkerView:
    """Return a worker as it last said it was."""
    facts = row["transport"]
    age_s = max(0.0, (at - row["heartbeat_at"]).total_seconds())
    return WorkerView(
        id=row["id"],
        host=row["host"],
        pid=row["pid"],
        version=row["version"],
        roles=row["roles"],
        types=row["types"],
        capacity=row["capacity"],
        running=row["running"],
        draining=row["draining"],
        alive=age_s <= lease_s,
        heartbeat_age_s=round(age_s, 1),
        transport=None if facts is None else msgspec.convert(facts, TransportView),
        started_at=row["started_at"],
        jobs=[WorkerJob(one["id"], one["type"], one["started_at"]) for one in held],
    )


def schedule(row: Row, at: datetime) -> ScheduleView:
    """Return a schedule with its next five firings."""
    return ScheduleView(
        id=row["id"],
        user_id=row["user_id"],
        name=row["name"],
        type=row["type"],
        payload=row["payload"],
        cron=row["cron"],
        run_at=row["run_at"],
        timezone=row["timezone"],
        misfire=row["misfire"],
        enabled=row["enabled"],
        next_run_at=row["next_run_at"],
        last_run_at=row["last_run_at"],
        last_job_id=row["last_job_id"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        next=_coming(row, at) if row["enabled"] else [],
    )


def _coming(row: Row, at: datetime) -> list[datetime]:
    """Return the next five firings; none where this machine does not know the time zone."""
    try:
        return timing_of(row).coming(at, NEXT)
    except (BadCron, UnknownZone):
        return []
