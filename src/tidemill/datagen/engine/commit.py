"""The group commit: one transaction every 20 ms or 256 rows for everything that all runs of the process finished.

A transaction holds the rows, the records of failures, the log lines and the counters of every task in it, and the end
of each chunk whose last item it holds. Nothing is counted, shown or sent before it is committed. When the database
cannot take a group (another process holds it, the disk is full) the group waits and is tried again; the queue before
it is bounded, so the runs wait too.

Here the processes that make one task meet: under the lock of the task's row each run's right to it is looked at, and
accepted texts are held against all that is stored. What has a twin there goes back to its run.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Protocol

from msgspec import Struct

from tidemill.datagen import repository_crew
from tidemill.datagen.engine.claim import SYSTEM
from tidemill.datagen.engine.outcome import Outcome
from tidemill.datagen.engine.records import Author, sum_up
from tidemill.datagen.repository_crew import Standing
from tidemill.datagen.repository_run import add_rows, add_up, known_fingerprints
from tidemill.kernel.errors import StorageFull, Unavailable
from tidemill.kernel.retry import full_jitter
from tidemill.platform.db import Database, Writer
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
    """A line of a task's log."""

    line: dict[str, Any]


class Sender(Author, Protocol):
    """The run that an entry belongs to, and how it hears what became of it."""

    @property
    def alone(self) -> bool:
        """Tell whether nobody else made the task when the run last looked."""
        ...

    def completed_by(self, outcomes: Sequence[Outcome]) -> list[int]:
        """Return the chunks of which nothing is left once these are on disk."""
        ...

    def committed(self, outcomes: Sequence[Outcome], standing: Standing, before: int) -> None:
        """Hear that these are on disk; ``before``: the task's sequence number before they were written."""
        ...

    def refused(self, outcomes: Sequence[Outcome]) -> None:
        """Hear that these are duplicates of what is stored, and are not."""
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
                written = await self._write(batches)
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
            _tell_end(batch.sender, written[id(batch)])

    async def _write(self, batches: "Sequence[_Batch]") -> "dict[int, _Written | None]":
        """Write one group; returns what became of each batch by its id, None for the runs that were fenced off.

        No text of a run that is alone has a twin that it does not know: then the group is written at once, and taken
        back if somebody has joined.
        """
        if all(batch.sender.alone or not batch.marked for batch in batches):
            try:
                async with self._db.write() as w:
                    return await _write_boldly(w, batches)
            except _Surprise:
                pass  # written again below, with everything looked at first
        async with self._db.write() as w:
            return await _write_carefully(w, batches)


class _Surprise(Exception):
    """Somebody has joined the crew of a task of the group, or a run has lost its claim."""


class _Batch:
    """What one group holds of one run."""

    def __init__(self, sender: Sender) -> None:
        self.sender = sender
        self.outcomes: list[Outcome] = []
        self.notes: list[Note] = []

    def add(self, content: Outcome | Note) -> None:
        if isinstance(content, Outcome):
            self.outcomes.append(content)
        else:
            self.notes.append(content)

    @property
    def marked(self) -> bool:
        """Tell whether it holds texts that may have twins."""
        return any(outcome.fingerprint is not None for outcome in self.outcomes)


class _Written(Struct, frozen=True):
    """What became of a batch whose run was not fenced off."""

    stored: list[Outcome]
    twins: list[Outcome]
    standing: Standing
    before: int


def _tell_end(sender: Sender, end: _Written | None) -> None:
    if end is None:
        sender.lost(None)
        return
    sender.committed(end.stored, end.standing, end.before)
    if end.twins:
        sender.refused(end.twins)


class _Records:
    """What the batches of a group insert, numbered."""

    def __init__(self) -> None:
        self._rows: list[dict[str, Any]] = []
        self._failed: list[dict[str, Any]] = []
        self._events: list[dict[str, Any]] = []

    async def move(
        self, w: Writer, batch: _Batch, stored: list[Outcome], twins: list[Outcome], *, marked: bool
    ) -> _Written | None:
        """Move a batch's task on and take up what is to be inserted for it; None when its run was fenced off."""
        sender = batch.sender
        delta, numbered = sum_up(sender, stored, [note.line for note in batch.notes], marked=marked)
        standing = await add_up(w, delta)
        if standing is None:
            return None
        before = standing.seq - delta.events
        for number, (kind, values) in enumerate(numbered, before + 1):
            if kind == "event":
                self._events.append({**values, "seq": number})
            else:
                (self._rows if kind == "row" else self._failed).append({**values, "event_seq": number})
        await repository_crew.close(w, SYSTEM, sender.place.task_id, sender.completed_by(stored))
        return _Written(stored, twins, standing, before)

    async def insert(self, w: Writer) -> None:
        """Insert everything."""
        await add_rows(w, self._rows, self._failed, self._events)


async def _write_boldly(w: Writer, batches: Sequence[_Batch]) -> dict[int, _Written | None]:
    """Write a group first and look at what it rests on then; raises _Surprise when that does not hold."""
    records = _Records()
    written: dict[int, _Written | None] = {}
    for batch in sorted(batches, key=_task_of):
        end = written[id(batch)] = await records.move(w, batch, batch.outcomes, [], marked=False)
        if end is not None and batch.marked and end.standing.epoch != batch.sender.place.entry:
            raise _Surprise
    for batch in sorted(batches, key=_job_of):
        if written[id(batch)] is not None and not await batch.sender.place.claim.holds(w):
            raise _Surprise
    await records.insert(w)
    return written


async def _write_carefully(w: Writer, batches: Sequence[_Batch]) -> dict[int, _Written | None]:
    """Look at everything first, under the locks of the tasks and jobs of the group."""
    records = _Records()
    written: dict[int, _Written | None] = {id(batch): None for batch in batches}
    taken: defaultdict[str, set[str]] = defaultdict(set)
    for batch in await _held(w, batches):
        of_task = taken[batch.sender.place.task_id]
        stored, twins = await _without_twins(w, batch, of_task)
        end = written[id(batch)] = await records.move(w, batch, stored, twins, marked=True)
        if end is not None:
            of_task.update(one.fingerprint for one in stored if one.fingerprint is not None)
    await records.insert(w)
    return written


def _task_of(batch: _Batch) -> str:
    return batch.sender.place.task_id


def _job_of(batch: _Batch) -> str:
    return batch.sender.place.claim.job_id


async def _held(w: Writer, batches: Sequence[_Batch]) -> list[_Batch]:
    """Return the batches whose task is live and whose run has its claim, both held until the transaction ends.

    In one order everywhere, tasks by name and then jobs by id, so that two transactions never wait for each other.
    """
    names = sorted({_task_of(batch) for batch in batches})
    live = {task_id for task_id in names if await repository_crew.hold(w, SYSTEM, task_id)}
    of_live = sorted((batch for batch in batches if _task_of(batch) in live), key=_job_of)
    return [batch for batch in of_live if await batch.sender.place.claim.holds(w)]


async def _without_twins(w: Writer, batch: _Batch, taken: AbstractSet[str]) -> tuple[list[Outcome], list[Outcome]]:
    """Part outcomes from those whose text the task has already; ``taken`` is what this group has added."""
    prints = [outcome.fingerprint for outcome in batch.outcomes if outcome.fingerprint is not None]
    known = set(taken)
    if prints:
        known |= await known_fingerprints(w, SYSTEM, _task_of(batch), prints)
    stored: list[Outcome] = []
    twins: list[Outcome] = []
    for outcome in batch.outcomes:
        mark = outcome.fingerprint
        (stored if mark is None or mark not in known else twins).append(outcome)
        if mark is not None:
            known.add(mark)
    return stored, twins


def _by_sender(group: Sequence[_Entry]) -> list[_Batch]:
    batches: dict[int, _Batch] = {}
    for entry in group:
        key = id(entry.sender)
        if key not in batches:
            batches[key] = _Batch(entry.sender)
        batches[key].add(entry.content)
    return list(batches.values())


def _losing(error: Exception) -> Callable[[Sender], None]:
    return lambda sender: sender.lost(error)


def _blocking(error: StorageFull) -> Callable[[Sender], None]:
    return lambda sender: sender.blocked(error)


def _tell(batches: Sequence[_Batch], say: Callable[[Sender], None]) -> None:
    for batch in batches:
        say(batch.sender)
