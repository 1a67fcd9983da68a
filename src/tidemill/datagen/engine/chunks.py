"""A task's items in chunks: what is handed out to one process at a time.

A chunk is a run of samples of one round with all their variants. Chunks are numbered in the order in which the items
are made, rounds one after the other, and follow from the plan and the chunk's size, which is decided once: nothing
about a chunk is stored but its number. Pure.
"""

from collections.abc import Iterator

from tidemill.datagen.plan import Item, TaskPlan, chunk_items

# A chunk costs one small write when it is handed out; what it holds is made again when its process dies in the middle
# of it only as far as it is not stored yet, so its size bounds how uneven the end of a task can be, and little else.
MOST_ITEMS = 256
LEAST_ITEMS = 8
# A task has about this many chunks, up to the most and the least: several processes find something to do in each.
PARTS = 32


def chunk_samples(plan: TaskPlan) -> int:
    """Return how many samples a chunk of this task has: whole batches, where a batch is no larger than a chunk."""
    items = min(MOST_ITEMS, max(LEAST_ITEMS, plan.total // PARTS))
    samples = max(1, items // plan.variants)
    if samples > plan.batch_size:
        samples -= samples % plan.batch_size
    return min(samples, plan.samples)


class Chunks:
    """The chunks of one task. Invariant: each item is in exactly one.

    ``samples`` is 0 for a task that was begun before chunks were counted. Then they have a batch each, and are not
    ``counted``: one that was never handed out may hold items that are stored all the same.
    """

    def __init__(self, plan: TaskPlan, samples: int) -> None:
        self._plan = plan
        self.counted = samples > 0
        self.samples = samples = samples or min(plan.batch_size, plan.samples)
        self._in_round = -(-plan.samples // samples)
        self.count = self._in_round * plan.rounds

    def span(self, number: int) -> tuple[int, int, int]:
        """Return the round of a chunk, its first sample and how many samples it has."""
        round_no, place = divmod(number, self._in_round)
        first = place * self.samples
        return round_no, first, min(self.samples, self._plan.samples - first)

    def items(self, number: int) -> Iterator[Item]:
        """Yield the items of a chunk, the variants of one sample side by side."""
        return chunk_items(self._plan, *self.span(number))

    def of(self, item: Item) -> int:
        """Return the chunk that holds an item."""
        return item.round * self._in_round + item.sample // self.samples
