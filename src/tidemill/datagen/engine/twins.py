"""What the whole task has accepted, as far as this run knows: what a new text is held against before it is accepted.

Exact duplicates are found over all processes: here mostly, and for certain in the commit. Near ones are found among
what this run made and what it has heard of the others, which it does once a second: two processes that write nearly the
same within that second, and the time one commit takes, both keep it.

A run that is alone knows all that is stored, so its rows carry no fingerprint (the index of random digests costs as
much as the rows themselves) and the commit asks nothing. Whoever joins reads what was stored before, and from then on
every row of every run carries one.
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
        # The number of the task's sequence up to which every accepted text is known here.
        self._known_seq = seq

    def stored(self, numbers: Iterable[int], before: int, after: int) -> None:
        """Note that this run has stored these items, under numbers above ``before`` up to ``after``."""
        if self.index is not None:
            for number in numbers:
                self._mine.add(number)
        if before == self._known_seq:
            self._known_seq = after

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

    async def hear(self, until: int) -> None:
        """Learn what others have accepted up to the number ``until``."""
        while self.index is not None and self._known_seq < until:
            after = self._known_seq
            async with self._db.read() as r:
                rows = await repository_run.accepted_between(r, SYSTEM, self._task_id, after, until)
            for row in rows:
                if row["item_no"] not in self._mine:
                    self.index.add(text_of(msgspec.json.decode(row["data_content"])), row["item_no"])
            heard = rows[-1]["event_seq"] if len(rows) == repository_run.TEXT_PAGE else until
            # A commit of this run may have moved it on meanwhile, from exactly here.
            self._known_seq = max(self._known_seq, heard)
