"""The items that this run makes: chunks of the task are leased as they are wanted, and read with their samples.

Rounds come one after the other, samples in file order, the variants of one sample side by side. What was accepted of a
sample in the round before goes along, so that its prompt can say what not to repeat. Never a barrier: the next chunk is
leased while the last one is made.
"""

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from tidemill.datagen import repository_crew, repository_run
from tidemill.datagen.engine.chunks import Chunks
from tidemill.datagen.engine.claim import SYSTEM, Place, PlaceLost
from tidemill.datagen.engine.stages import Work
from tidemill.datagen.novelty import text_of
from tidemill.datagen.plan import Item, TaskPlan, item_number
from tidemill.datagen.ports import Samples
from tidemill.kernel.actor import Scope
from tidemill.platform.db import Database

# How much of one earlier answer a prompt repeats, in characters, and of how many.
AVOID_CHARS = 300
AVOID_ROWS = 3
# While chunks are out with others: how often to see whether one was left behind, and at most how often when told.
LOOK_S = 1.0
PAUSE_S = 0.1


class SamplesGone(Exception):
    """The sample file no longer has the rows that the task was started on."""


class Source:
    """Hands out each pending item of this run's chunks once.

    ``limit`` tells how many calls the run may have out now. One that ``stays`` waits for the chunks of others, in case
    they are left behind; one that does not ends when there is none left to lease.
    Invariant: ``_left`` counts, by chunk, the items that are not stored yet.
    """

    def __init__(
        self,
        *,
        db: Database,
        samples: Samples,
        scope: Scope,
        place: Place,
        plan: TaskPlan,
        chunks: Chunks,
        limit: Callable[[], int],
        stays: bool,
    ) -> None:
        self._db = db
        self._samples = samples
        self._scope = scope
        self._place = place
        self._plan = plan
        self._chunks = chunks
        self._limit = limit
        self._stays = stays
        self._ready: deque[Work] = deque()
        self._left: dict[int, int] = {}
        self._whole: list[int] = []
        self._asking = 0
        self._stocked = asyncio.Event()
        self._wanted = asyncio.Event()
        self._rung = asyncio.Event()
        self._dry = False
        self.ended = asyncio.Event()

    async def next(self) -> Work | None:
        """Return the next item; None when all are stored and no more will come."""
        while not self._ready:
            if self.ended.is_set():
                return None
            self._stocked.clear()
            self._asking += 1
            self._wanted.set()
            try:
                await self._stocked.wait()
            finally:
                self._asking -= 1
        work = self._ready.popleft()
        if self._is_low():
            self._wanted.set()
        return work

    def put_back(self, work: Work) -> None:
        """Take an item back: nobody has begun it, or its answer was refused and it is to be made again."""
        self._ready.appendleft(work)
        self._stocked.set()

    def nudge(self) -> None:
        """Hear that the limit has changed."""
        self._wanted.set()

    def rang(self) -> None:
        """Hear that something was committed somewhere."""
        self._rung.set()

    def _is_low(self) -> bool:
        limit = self._limit()
        return limit > 0 and (len(self._ready) < limit // 2 or (self._asking > 0 and not self._ready))

    # What has become of the items.

    def completed_by(self, items: Iterable[Item]) -> list[int]:
        """Return the chunks of which nothing is left once these items are stored."""
        counts = Counter(self._chunks.of(item) for item in items)
        return [number for number, count in counts.items() if self._left.get(number) == count]

    def stored(self, items: Iterable[Item]) -> None:
        """Hear that these items are on disk."""
        for item in items:
            number = self._chunks.of(item)
            self._left[number] -= 1
            if self._left[number] == 0:
                del self._left[number]
        self._look_for_end()

    def _look_for_end(self) -> None:
        if self._dry and not self._left:
            self.ended.set()
            self._stocked.set()

    # Where they come from.

    async def feed(self) -> None:
        """Keep items ready until the task has no more; raises PlaceLost, SamplesGone."""
        while True:
            while not self._is_low():
                self._wanted.clear()
                await self._wanted.wait()
            if await self._fill():
                continue
            if not self._stays or await self._others_are_done():
                break
        self._dry = True
        self._look_for_end()

    async def _others_are_done(self) -> bool:
        """Wait until a chunk was left behind (False) or none is out with others (True)."""
        while True:
            self._rung.clear()
            async with self._db.read() as r:
                out = await repository_crew.out(r, SYSTEM, self._place.task_id, self._place.entry)
            if out.left_behind:
                return False
            if not out.held:
                return True
            await asyncio.sleep(PAUSE_S)
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._rung.wait()
            except TimeoutError:
                continue

    async def _fill(self) -> bool:
        """Lease chunks for about as many items as may be made at once; False when there was none."""
        in_chunk = self._chunks.samples * self._plan.variants
        wanted = max(1, -(-self._limit() // in_chunk))
        task_id, entry, count = self._place.task_id, self._place.entry, self._chunks.count
        left: list[int] = []
        async with self._db.write() as w:
            fresh = await repository_crew.lease_fresh(w, SYSTEM, task_id, entry, count=count, wanted=wanted)
            if fresh is None:
                standing = await self._place.lock(w)
                found = await repository_crew.lease(w, SYSTEM, standing, entry, count=count, wanted=wanted)
                if found is None:
                    raise PlaceLost
                left, fresh = found
            elif not await self._place.claim.holds(w):
                raise PlaceLost
            await repository_crew.close(w, SYSTEM, task_id, self._whole)
        self._whole.clear()
        await self._read([*left, *fresh], [*left] if self._chunks.counted else [*left, *fresh])
        return bool(left or fresh)

    async def _read(self, numbers: Sequence[int], begun: Sequence[int]) -> None:
        """Make chunks ready; those ``begun`` may hold items that are stored."""
        finished: set[int] = set()
        if begun:
            wanted = [item.number for number in begun for item in self._chunks.items(number)]
            async with self._db.read() as r:
                finished = await repository_run.finished_among(r, SYSTEM, self._place.task_id, wanted)
        for number in numbers:
            pending = [item for item in self._chunks.items(number) if item.number not in finished]
            if not pending:
                # Every item of it was stored before chunks were counted; forgotten with the next lease.
                self._whole.append(number)
                continue
            self._left[number] = len(pending)
            await self._make_ready(number, pending)

    async def _make_ready(self, number: int, pending: Sequence[Item]) -> None:
        plan = self._plan
        round_no, first, count = self._chunks.span(number)
        rows = await self._samples.rows(self._scope, plan.file_id, plan.file_version, first, count)
        if len(rows) < count:
            raise SamplesGone(f"rows {first + len(rows)} to {first + count - 1}")
        avoid = await self._made_before(round_no, sorted({item.sample for item in pending}))
        self._ready.extend(
            Work(item=item, sample=rows[item.sample - first], avoid=avoid.get(item.sample, ())) for item in pending
        )
        self._stocked.set()

    async def _made_before(self, round_no: int, samples: Sequence[int]) -> dict[int, tuple[str, ...]]:
        """Return, by sample, what was accepted of it in the round before."""
        plan = self._plan
        if round_no == 0:
            return {}
        variants = range(max(0, plan.variants - AVOID_ROWS), plan.variants)
        numbers = [item_number(plan, sample, round_no - 1, variant) for sample in samples for variant in variants]
        async with self._db.read() as r:
            rows = await repository_run.accepted_among(r, self._scope, self._place.task_id, numbers)
        texts: defaultdict[int, list[str]] = defaultdict(list)
        for row in rows:
            output = msgspec.json.decode(row["data_content"], type=dict[str, Any])
            texts[row["item_no"] % plan.samples].append(text_of(output)[:AVOID_CHARS])
        return {sample: tuple(found) for sample, found in texts.items()}
