"""What the whole task has accepted, as far as this run knows: what a new text is held against before it is accepted.

Exact duplicates are found over all processes: here mostly, and for certain in the commit. Near ones are found among
what this run made and what it has heard of the others, which it does once a second: two processes that write nearly the
same within that second, and the time one commit takes, both keep it.
"""

from collections.abc import Iterable

import msgspec

from tidemill.datagen import repository_run
from tidemill.datagen.engine.claim import SYSTEM
from tidemill.datagen.engine.pending import Finished
from tidemill.datagen.novelty import NoveltyIndex, text_of
from tidemill.datagen.plan import TaskPlan
from tidemill.platform.db import Database


class Twins:
    """The accepted texts of one task; ``index`` is None where duplicates are welcome."""

    def __init__(self, db: Database, task_id: str, plan: TaskPlan, seq: int) -> None:
        self.index = None if plan.dedup == "off" else NoveltyIndex(plan.dedup)
        self._exact = plan.dedup == "exact"
        self._db = db
        self._task_id = task_id
        self._mine = Finished(plan.total)
        self._heard_seq = seq
        self._shared = True

    def mine(self, numbers: Iterable[int]) -> None:
        """Note which items this run has stored: their texts are known."""
        if self.index is not None:
            for number in numbers:
                self._mine.add(number)

    async def load(self) -> None:
        """Read what is stored already."""
        if self.index is None:
            return
        page, size = repository_run.accepted_after, repository_run.TEXT_PAGE
        if self._exact:
            page, size = repository_run.accepted_prints, repository_run.PRINT_PAGE
        after = -1
        while True:
            async with self._db.read() as r:
                rows = await page(r, SYSTEM, self._task_id, after)
            for row in rows:
                after = row["item_no"]
                if row["data_content"] is None:
                    self.index.add_print(row["fingerprint"], after)
                else:
                    self.index.add(text_of(msgspec.json.decode(row["data_content"])), after)
            if len(rows) < size:
                return

    async def hear(self, until_seq: int, *, shared: bool) -> None:
        """Read what others have accepted up to ``until_seq``; ``shared``: whether there are others now."""
        if self.index is None or not (shared or self._shared):
            self._heard_seq = max(self._heard_seq, until_seq)
            return
        # Once more after the last one has left: what it stored since the look before.
        self._shared = shared
        while self._heard_seq < until_seq:
            async with self._db.read() as r:
                rows = await repository_run.accepted_between(r, SYSTEM, self._task_id, self._heard_seq, until_seq)
            for row in rows:
                if row["item_no"] not in self._mine:
                    self.index.add(text_of(msgspec.json.decode(row["data_content"])), row["item_no"])
            self._heard_seq = rows[-1]["event_seq"] if len(rows) == repository_run.TEXT_PAGE else until_seq
