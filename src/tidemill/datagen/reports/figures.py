"""Turn the sums of the database into the figures of a report."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tidemill.datagen.contracts import credits_text
from tidemill.datagen.reports.contracts import (
    Bin,
    Counts,
    GroupFigures,
    Report,
    ReportItem,
    SampleOfRows,
    TokenSums,
)
from tidemill.datagen.reports.reasons import ReasonCount
from tidemill.kernel import clock
from tidemill.platform.db import Row

_STATES = ("accepted", "below_threshold", "needs_review", "rejected")


def counts(task: Row, states: Sequence[Row]) -> Counts:
    """Count what became of a task's items; ``states`` may hold other tasks' rows too."""
    mine = [row for row in states if row["task_id"] == task["task_id"]]
    by_state = {row["status"]: int(row["rows"]) for row in mine}
    rows = sum(by_state.values())
    ended = rows + task["failed"]
    return Counts(
        total=task["total"],
        rows=rows,
        failed=task["failed"],
        retried=task["retried"],
        confirmed=sum(int(row["confirmed"]) for row in mine),
        acceptance=_share(by_state.get("accepted", 0), ended),
        **{state: by_state.get(state, 0) for state in _STATES},
    )


def item(task: Row, counts: Counts) -> ReportItem:
    """Return a report for a list."""
    return ReportItem(
        task_id=task["task_id"],
        user_id=task["user_id"],
        task_type=task["task_type"],
        status=task["status"],
        file_id=task["file_id"],
        models=_models(task),
        counts=counts,
        input_tokens=task["input_tokens"],
        output_tokens=task["output_tokens"],
        cost=credits_text(task["cost_nano"]),
        started_at=task["started_at"],
        finished_at=task["finished_at"],
    )


def report(task: Row, counts: Counts, used_well: int, parts: Mapping[str, Any], reasons: ReasonCount) -> Report:
    """Put a report together."""
    seconds = ((task["finished_at"] or clock.now()) - task["started_at"]).total_seconds()
    tokens = task["input_tokens"] + task["output_tokens"]
    accepted = counts.accepted
    return Report(
        task_id=task["task_id"],
        user_id=task["user_id"],
        task_type=task["task_type"],
        status=task["status"],
        file_id=task["file_id"],
        models=_models(task),
        params=_json(task["params"]),
        min_score=_plan(task).get("min_score"),
        error_message=task["error_message"],
        started_at=task["started_at"],
        finished_at=task["finished_at"],
        seconds=round(seconds, 3),
        rows_per_s=round(counts.rows / seconds, 3) if seconds > 0 else 0.0,
        counts=counts,
        tokens=TokenSums(
            input=task["input_tokens"],
            output=task["output_tokens"],
            per_accepted=round(tokens / accepted, 1) if accepted else None,
            wasted_share=_share(max(0, tokens - used_well), tokens),
        ),
        cost=credits_text(task["cost_nano"]),
        cost_per_accepted=credits_text(task["cost_nano"] // accepted) if accepted else None,
        duplicates=reasons.duplicates,
        reasons=reasons.commonest(),
        attempts_seen=reasons.attempts,
        **parts,
    )


def merged(rows: Sequence[Row], failed: Sequence[Row], name: str, model: str | None = None) -> list[GroupFigures]:
    """Join the groups of rows with the items of the same name that ended without one."""
    left = {row[name]: row for row in failed}
    joined: list[GroupFigures] = []
    for row in rows:
        # A channel with several models: what failed on it is told once, with its largest group.
        lost = left.pop(row[name], None)
        ended = row["rows"] + (lost["items"] if lost else 0)
        joined.append(
            GroupFigures(
                rows=row["rows"],
                accepted=int(row["accepted"]),
                failed=lost["items"] if lost else 0,
                acceptance=_share(int(row["accepted"]), ended),
                final_score=_rounded(row["final_score"]),
                model_score=_rounded(row["model_score"]),
                rule_score=_rounded(row["rule_score_exact"]),
                input_tokens=int(row["in_tokens"]) + (int(lost["in_tokens"]) if lost else 0),
                output_tokens=int(row["out_tokens"]) + (int(lost["out_tokens"]) if lost else 0),
                model=row[model] if model else None,
                **{name: row[name]},
            )
        )
    for key, lost in left.items():
        joined.append(
            GroupFigures(
                rows=0,
                accepted=0,
                failed=lost["items"],
                acceptance=0.0,
                final_score=None,
                model_score=None,
                rule_score=None,
                input_tokens=int(lost["in_tokens"]),
                output_tokens=int(lost["out_tokens"]),
                **{name: key},
            )
        )
    return joined


def bins(counts: Sequence[int]) -> list[Bin]:
    """Name the steps of a histogram."""
    return [Bin(low=number, high=number + 1, count=count) for number, count in enumerate(counts)]


def sample(row: Row) -> SampleOfRows:
    """Return one of the ten rows."""
    return SampleOfRows(
        id=row["id"],
        status=row["status"],
        final_score=row["final_score"],
        direction=row["direction"],
        data=_json(row["data_content"]),
    )


def _plan(task: Row) -> dict[str, Any]:
    return task["plan"] or {}


def _models(task: Row) -> list[str]:
    return list(_plan(task).get("models", []))


def _json(text: str | None) -> Any:
    """Decode JSON that this program stored; a text of an adopted database that is none stays a text."""
    if text is None:
        return None
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 2)
