"""The group commit: one transaction every 20 ms or 256 rows for everything that all runs of the process finished.

A transaction holds the rows, the records of failures, the log lines and the counters of every task in it. Nothing is
counted, shown or sent before it is committed. When the database cannot take a group (another process holds it, the
disk is full) the group waits and is tried again; the queue before it is bounded, so the runs wait too.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec
from msgspec import UNSET, Struct, UnsetType

from tidemill.datagen.engine.outcome import Outcome, lineage
from tidemill.datagen.repository_run import Delta, add_rows, add_up
from tidemill.kernel import clock
from tidemill.kernel.errors import StorageFull, Unavailable
from tidemill.kernel.retry import full_jitter
from tidemill.platform.db import Database
from tidemill.platform.telemetry import get_logger

WINDOW_S = 0.02
GROUP_ROWS = 256
# Four groups: enough to keep commits full, few enough that a kill loses little work.
QUEUE_ROWS = 1024
RETRY_S = 0.1
RETRY_MAX_S = 5.0
TRIES = 5

_log = get_logger("datagen.commit")


class Note(Struct, frozen=True):
    """Something about a task that is no row: a log line, a pause or its end, the services' figures."""

    line: dict[str, Any] | None = None
    paused: dict[str, Any] | UnsetType | None = UNSET
    live: dict[str, Any] | UnsetType = UNSET


class Sender(Protocol):
    """The run that an entry belongs to, and how it hears what became of it."""

    task_id: str
    user_id: int
    epoch: int
    task_type: str
    prompt_version: str

    def committed(self, outcomes: Sequence[Outcome]) -> None:
        """Hear that these are on disk."""
        ...

    def lost(self, error: BaseException | None) -> None:
        """Hear that nothing more will be taken: fenced off (None), or an error."""
        ...

    def blocked(self, error: StorageFull | None) -> None:
        """Hear that the disk is full, or (None) has room again."""
        ...


class _Entry(Struct, frozen=True):
    sender: Sender
    content: Outcome | Note


class GroupCommit:
    """The one writer of a process for what runs finish."""

    def __init__(self, db: Database, *, window_s: float = WINDOW_S, group_rows: int = GROUP_ROWS) -> None:
        self._db = db
        self._window_s = window_s
        self._group_rows = group_rows
        self._queue: asyncio.Queue[_Entry] = asyncio.Queue(maxsize=QUEUE_ROWS)

    async def put(self, sender: Sender, content: Outcome | Note) -> None:
        """Queue one entry; waits while four groups are queued already."""
        await self._queue.put(_Entry(sender, content))

    async def run(self) -> None:
        """Commit groups until cancelled; a cancelled group is rolled back whole or committed whole."""
        while True:
            group = [await self._queue.get()]
            await asyncio.sleep(self._window_s)
            while len(group) < self._group_rows and not self._queue.empty():
                group.append(self._queue.get_nowait())
            await self._commit(group)

    async def _commit(self, group: Sequence[_Entry]) -> None:
        batches = _by_sender(group)
        tries = 0
        blocked = False
        while True:
            try:
                fenced = await self._write(batches)
            except (Unavailable, StorageFull) as error:
                tries += 1
                if isinstance(error, StorageFull) and not blocked:
                    blocked = True
                    _tell(batches, _blocking(error))
                await asyncio.sleep(full_jitter(tries, RETRY_S, RETRY_MAX_S))
            except Exception as error:  # noqa: BLE001 - the edge of the writer: the runs decide what it means
                tries += 1
                _log.warning("group_commit_failed", error=repr(error), attempt=tries)
                if tries >= TRIES:
                    _tell(batches, _losing(error))
                    return
                await asyncio.sleep(full_jitter(tries, RETRY_S, RETRY_MAX_S))
            else:
                break
        for batch in batches:
            if blocked:
                batch.sender.blocked(None)
            if (batch.sender.task_id, batch.sender.epoch) in fenced:
                batch.sender.lost(None)
            else:
                batch.sender.committed([content for content in batch.contents if isinstance(content, Outcome)])

    async def _write(self, batches: "Sequence[_Batch]") -> set[tuple[str, int]]:
        """Write one group; returns the runs (task, epoch) that were fenced off."""
        fenced: set[tuple[str, int]] = set()
        rows: list[dict[str, Any]] = []
        failed: list[dict[str, Any]] = []
        events: list[dict[str, Any]] = []
        async with self._db.write() as w:
            for batch in batches:
                seq = await add_up(w, batch.delta)
                if seq is None:
                    fenced.add((batch.sender.task_id, batch.sender.epoch))
                    continue
                for number, (kind, values) in enumerate(batch.numbered, seq + 1):
                    if kind == "event":
                        events.append({**values, "seq": number})
                    else:
                        (rows if kind == "row" else failed).append({**values, "event_seq": number})
            await add_rows(w, rows, failed, events)
        return fenced


class _Batch:
    """What one group holds of one run, ready to be written."""

    def __init__(self, sender: Sender) -> None:
        self.sender = sender
        self.contents: list[Outcome | Note] = []
        self.delta = Delta(task_id=sender.task_id, epoch=sender.epoch)
        self.numbered: list[tuple[str, dict[str, Any]]] = []

    def add(self, content: Outcome | Note) -> None:
        self.contents.append(content)
        if isinstance(content, Outcome):
            self._add_outcome(content)
            return
        if content.live is not UNSET:
            self.delta.live = content.live
        if content.paused is not UNSET:
            self.delta.paused = content.paused
        if content.line is not None:
            self._number(
                "event",
                {
                    "task_id": self.sender.task_id,
                    "kind": "log",
                    "data": content.line,
                    "created_at": clock.now(),
                },
            )

    def _add_outcome(self, outcome: Outcome) -> None:
        delta = self.delta
        setattr(delta, outcome.status, getattr(delta, outcome.status) + 1)
        delta.retried += outcome.retries
        delta.input_tokens += outcome.input_tokens
        delta.output_tokens += outcome.output_tokens
        delta.cost_nano += outcome.cost_nano
        if outcome.output is None:
            self._number("failed", failed_values(self.sender, outcome))
        else:
            self._number("row", row_values(self.sender, outcome))

    def _number(self, kind: str, values: dict[str, Any]) -> None:
        self.delta.events += 1
        self.numbered.append((kind, values))


def row_values(sender: Sender, outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as a row of ``generated_data``, all but its sequence number."""
    now = clock.now()
    return {
        "task_id": sender.task_id,
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


def failed_values(sender: Sender, outcome: Outcome) -> dict[str, Any]:
    """Return an outcome without a row as a record of ``task_item_failed``, all but its sequence number."""
    last = outcome.attempts[-1] if outcome.attempts else None
    return {
        "task_id": sender.task_id,
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


def _by_sender(group: Sequence[_Entry]) -> list[_Batch]:
    batches: dict[tuple[str, int], _Batch] = {}
    for entry in group:
        key = (entry.sender.task_id, entry.sender.epoch)
        if key not in batches:
            batches[key] = _Batch(entry.sender)
        batches[key].add(entry.content)
    # In one order everywhere, so that two processes never wait for each other's task rows.
    return [batches[key] for key in sorted(batches)]


def _losing(error: Exception) -> Callable[[Sender], None]:
    return lambda sender: sender.lost(error)


def _blocking(error: StorageFull) -> Callable[[Sender], None]:
    return lambda sender: sender.blocked(error)


def _tell(batches: Sequence[_Batch], say: Callable[[Sender], None]) -> None:
    for batch in batches:
        say(batch.sender)
