"""The items still to make, in order, each with its sample: read a few samples at a time, never a barrier.

Rounds come one after the other, samples in file order, the variants of one sample side by side. What was accepted of a
sample in the round before goes along, so that its prompt can say what not to repeat.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Sequence
from typing import Any

import msgspec

from tidemill.datagen import repository_run
from tidemill.datagen.engine.pending import Finished
from tidemill.datagen.engine.stages import Work
from tidemill.datagen.novelty import text_of
from tidemill.datagen.plan import Item, TaskPlan, chunk_items, item_number
from tidemill.datagen.ports import Samples
from tidemill.kernel.actor import Scope
from tidemill.platform.db import Database

# How much of one earlier answer a prompt repeats, in characters, and of how many.
AVOID_CHARS = 300
AVOID_ROWS = 3


class SamplesGone(Exception):
    """The sample file no longer has the rows that the task was started on."""


class Source:
    """Hands out each pending item once."""

    def __init__(
        self, *, db: Database, samples: Samples, scope: Scope, task_id: str, plan: TaskPlan, finished: Finished
    ) -> None:
        self._db = db
        self._samples = samples
        self._scope = scope
        self._task_id = task_id
        self._plan = plan
        self._finished = finished
        self._ready: deque[Work] = deque()
        self._filling = asyncio.Lock()
        self._round = 0
        self._next_sample = 0

    async def next(self) -> Work | None:
        """Return the next item, None when every one has been handed out."""
        if not self._ready:
            async with self._filling:
                while not self._ready and self._round < self._plan.rounds:
                    await self._fill()
        return self._ready.popleft() if self._ready else None

    async def _fill(self) -> None:
        """Take the next step of samples: ``batch_size``, or as many such steps as keep every slot busy."""
        plan = self._plan
        steps = max(1, -(-2 * plan.max_concurrent // (plan.batch_size * plan.variants)))
        count = min(plan.batch_size * steps, plan.samples - self._next_sample)
        first, round_no = self._next_sample, self._round
        items = [item for item in chunk_items(plan, round_no, first, count) if item.number not in self._finished]
        if items:
            rows = await self._samples.rows(self._scope, plan.file_id, plan.file_version, first, count)
            if len(rows) < count:
                raise SamplesGone(f"rows {first + len(rows)} to {first + count - 1}")
            avoid = await self._made_before(round_no, sorted({item.sample for item in items}))
            self._ready.extend(_work(item, rows[item.sample - first], avoid) for item in items)
        else:
            # A resumed task passes over what is done; others get their turn meanwhile.
            await asyncio.sleep(0)
        self._next_sample = first + count
        if self._next_sample >= plan.samples:
            self._round, self._next_sample = round_no + 1, 0

    async def _made_before(self, round_no: int, samples: Sequence[int]) -> dict[int, tuple[str, ...]]:
        """Return, by sample, what was accepted of it in the round before."""
        plan = self._plan
        if round_no == 0:
            return {}
        variants = range(max(0, plan.variants - AVOID_ROWS), plan.variants)
        numbers = [item_number(plan, sample, round_no - 1, variant) for sample in samples for variant in variants]
        async with self._db.read() as r:
            rows = await repository_run.accepted_among(r, self._scope, self._task_id, numbers)
        texts: defaultdict[int, list[str]] = defaultdict(list)
        for row in rows:
            output = msgspec.json.decode(row["data_content"], type=dict[str, Any])
            texts[row["item_no"] % plan.samples].append(text_of(output)[:AVOID_CHARS])
        return {sample: tuple(found) for sample, found in texts.items()}


def _work(item: Item, sample: dict[str, Any], avoid: dict[int, tuple[str, ...]]) -> Work:
    return Work(item=item, sample=sample, avoid=avoid.get(item.sample, ()))
