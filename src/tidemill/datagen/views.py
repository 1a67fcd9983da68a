"""Tasks as they are shown: the stored row, in the reader's language."""

from datetime import datetime
from typing import Any

import msgspec

from tidemill.datagen.contracts import ServiceFigures, TaskStatus, TaskSummary, Tokens, credits_text
from tidemill.kernel import clock
from tidemill.kernel.lang import Lang
from tidemill.operations.contracts import Progress, TaskState, WorkError
from tidemill.platform.db import Row

COUNTS = ("accepted", "below_threshold", "needs_review", "failed")


def current(row: Row) -> int:
    """Return how many items have ended."""
    return sum(row[name] for name in COUNTS)


def percent(done: int, total: int) -> float:
    """Return the share that is done, to one decimal; 100 only when all is."""
    if total <= 0 or done >= total:
        return 100.0
    return min(99.9, round(done * 100 / total, 1))


def summary(row: Row, lang: Lang, *, paused: dict[str, Any] | None = None) -> TaskSummary:
    """Return a task for a list; ``paused`` overrides what is stored."""
    return TaskSummary(**_fields(row, lang, paused))


def status(row: Row, lang: Lang, *, paused: dict[str, Any] | None = None) -> TaskStatus:
    """Return a task with its services' figures."""
    return TaskStatus(**_fields(row, lang, paused), services=services(row))


def state(row: Row) -> TaskState:
    """Return how far a task has got, in the one shape for everything that runs long."""
    failure = row["error_message"] if row["status"] == "failed" else None
    return TaskState(
        task_id=row["task_id"],
        type=row["task_type"],
        status=row["status"],
        progress=Progress(current(row), row["total"], percent(current(row), row["total"])),
        error=None if failure is None else WorkError("task_failed", failure),
        created_at=row["started_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
    )


def services(row: Row) -> list[ServiceFigures]:
    """Return the services' figures; nothing is in flight once a task has ended."""
    figures = msgspec.convert(_part(row, "live").get("services", []), list[ServiceFigures])
    if row["status"] != "running":
        for service in figures:
            service.in_flight = 0
    return figures


def pace(row: Row, now: datetime) -> tuple[float, float | None]:
    """Return rows a second (lately, or over the whole of an ended task) and the seconds still to go."""
    done = current(row)
    if row["status"] != "running":
        seconds = ((row["finished_at"] or now) - row["started_at"]).total_seconds()
        return (round(done / seconds, 3) if seconds > 0 else 0.0), None
    rate = float(_part(row, "live").get("rows_per_s", 0.0))
    return rate, (round((row["total"] - done) / rate, 1) if rate > 0 else None)


def paused_sentence(paused: dict[str, Any] | None, lang: Lang) -> str | None:
    """Return why a task waits, in the reader's language."""
    return None if paused is None else paused.get(lang, paused.get("en"))


def _part(row: Row, name: str) -> dict[str, Any]:
    part: dict[str, Any] | None = row[name]
    return part or {}


def _fields(row: Row, lang: Lang, override: dict[str, Any] | None) -> dict[str, Any]:
    done = current(row)
    rate, eta_s = pace(row, clock.now())
    paused = override or row["paused"]
    models: list[str] = list(_part(row, "plan").get("models", []))
    return {
        "id": row["id"],
        "task_id": row["task_id"],
        "user_id": row["user_id"],
        "status": row["status"],
        "paused_reason": paused_sentence(paused, lang),
        "paused_code": paused["code"] if paused else None,
        "task_type": row["task_type"],
        "file_id": row["file_id"],
        "model": ", ".join(models),
        "models": models,
        "params": row["params"],
        "result": row["result"],
        "current": done,
        "total": row["total"],
        "percent": percent(done, row["total"]),
        **{name: row[name] for name in COUNTS},
        "retried": row["retried"],
        "rows_per_s": rate,
        "eta_s": eta_s,
        "tokens": Tokens(row["input_tokens"], row["output_tokens"]),
        "cost": credits_text(row["cost_nano"]),
        "budget": None if row["budget_nano"] is None else credits_text(row["budget_nano"]),
        "started_at": row["started_at"],
        "finished_at": row["finished_at"],
        "error_message": row["error_message"],
    }
