"""What a group commit inserts: rows, records of failure and log lines, in the order of the task's sequence."""

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from tidemill.datagen.engine.claim import Place
from tidemill.datagen.engine.outcome import Outcome, lineage
from tidemill.datagen.repository_run import Delta
from tidemill.kernel import clock


class Author(Protocol):
    """What a record says of the run that made it."""

    place: Place
    user_id: int
    task_type: str
    prompt_version: str


def sum_up(
    sender: Author, stored: Sequence[Outcome], lines: Sequence[dict[str, Any]], *, marked: bool
) -> tuple[Delta, list[tuple[str, dict[str, Any]]]]:
    """Return what a run adds to its task, and what is inserted for it: (row | failed | event, values) by number.

    ``marked``: with the fingerprints by which other runs find duplicates.
    """
    delta = Delta(task_id=sender.place.task_id, entry=sender.place.entry, events=len(stored) + len(lines))
    now = clock.now()
    numbered: list[tuple[str, dict[str, Any]]] = [
        ("event", {"task_id": sender.place.task_id, "kind": "log", "data": line, "created_at": now}) for line in lines
    ]
    for outcome in stored:
        setattr(delta, outcome.status, getattr(delta, outcome.status) + 1)
        delta.retried += outcome.retries
        delta.input_tokens += outcome.input_tokens
        delta.output_tokens += outcome.output_tokens
        delta.cost_nano += outcome.cost_nano
        if outcome.output is None:
            numbered.append(("failed", failed_values(sender, outcome)))
        else:
            numbered.append(
                ("row", {**row_values(sender, outcome), "fingerprint": outcome.fingerprint if marked else None})
            )
    return delta, numbered


def row_values(sender: Author, outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as a row of ``generated_data``, all but its sequence number and fingerprint."""
    now = clock.now()
    return {
        "task_id": sender.place.task_id,
        "user_id": sender.user_id,
        "data_content": msgspec.json.encode(outcome.output).decode(),
        "model_score": outcome.model_score,
        "rule_score": None if outcome.rule_score is None else int(outcome.rule_score + 0.5),
        "retry_count": outcome.retries,
        "generation_model": outcome.model,
        "task_type": sender.task_type,
        "is_confirmed": False,
        "created_at": now,
        "updated_at": now,
        "status": outcome.status,
        "final_score": outcome.final_score,
        "rule_score_exact": outcome.rule_score,
        "item_no": outcome.item.number,
        "row_version": 1,
        "lineage": lineage(outcome, sender.prompt_version),
        "direction": outcome.direction,
        "channel": outcome.channel,
        "input_tokens": outcome.input_tokens,
        "output_tokens": outcome.output_tokens,
        "attempts": max(1, len(outcome.attempts)),
    }


def failed_values(sender: Author, outcome: Outcome) -> dict[str, Any]:
    """Return an outcome without a row as a record of ``task_item_failed``, all but its sequence number."""
    last = outcome.attempts[-1] if outcome.attempts else None
    return {
        "task_id": sender.place.task_id,
        "item_no": outcome.item.number,
        "kind": (outcome.kind or "unknown")[:40],
        "reason": outcome.reason or "",
        "attempts": len(outcome.attempts),
        "channel": last.channel if last else None,
        "direction": outcome.direction,
        "input_tokens": outcome.input_tokens,
        "output_tokens": outcome.output_tokens,
        "lineage": lineage(outcome, sender.prompt_version),
        "created_at": clock.now(),
    }
