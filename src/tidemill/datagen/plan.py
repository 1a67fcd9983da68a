"""What one task will do, decided before the first call and never changed.

The unit of work is the item (sample, round, variant). Items have dense numbers,
``(round * variants + variant) * samples + sample``, and everything about an item that is left to chance (direction,
persona, style, difficulty, temperature, the model's own seed) comes from a hash of the task's seed and that number:
a run that starts again after a crash builds the same prompts. Nothing here reads or waits.
"""

from bisect import bisect_right
from collections.abc import Iterator
from hashlib import blake2b
from itertools import accumulate
from typing import Literal

from msgspec import Struct

from tidemill.datagen.engine.voices import difficulties, personas, styles
from tidemill.datagen.prompts import Draw
from tidemill.kernel.lang import Lang

Dedup = Literal["off", "exact", "near"]
NO_JUDGE = "none"
BASE_TEMPERATURE = 0.8
TEMPERATURE_JITTER = 0.1
MIN_TEMPERATURE = 0.1
MAX_TEMPERATURE = 1.3


class TaskPlan(Struct, frozen=True, kw_only=True, omit_defaults=False):
    """A start request with every open choice made.

    ``evaluator``: the judging model, None for the model that made the row, ``"none"`` for rules alone.
    ``max_retries``: extra attempts after the first. ``min_score``: 0 to 10, compared with the final score.
    """

    task_type: str
    type_version: str
    language: Lang
    models: tuple[str, ...]
    file_id: int
    file_version: int
    samples: int
    rounds: int
    variants: int
    seed: int
    evaluator: str | None = None
    batch_size: int = 5
    max_concurrent: int = 5
    min_score: float = 8.0
    max_retries: int = 2
    directions: tuple[str, ...] = ()
    special_prompt: str = ""
    dedup: Dedup = "exact"

    @property
    def total(self) -> int:
        """Rows asked for: one model answer each."""
        return self.samples * self.rounds * self.variants

    @property
    def judged(self) -> bool:
        """Tell whether a model scores the rows."""
        return self.evaluator != NO_JUDGE


class Item(Struct, frozen=True):
    """One row to make."""

    number: int
    sample: int
    round: int
    variant: int


def item_number(plan: TaskPlan, sample: int, round_no: int, variant: int) -> int:
    """Return the dense number of an item."""
    return (round_no * plan.variants + variant) * plan.samples + sample


def item_of(plan: TaskPlan, number: int) -> Item:
    """Return the item with this number."""
    cell, sample = divmod(number, plan.samples)
    round_no, variant = divmod(cell, plan.variants)
    return Item(number, sample, round_no, variant)


def chunk_items(plan: TaskPlan, round_no: int, first: int, count: int) -> Iterator[Item]:
    """Yield the items of ``count`` samples in one round, variants of one sample side by side.

    Neighbours share their prompt up to the draw, which is what an upstream's prefix cache wants.
    """
    for sample in range(first, min(first + count, plan.samples)):
        for variant in range(plan.variants):
            yield Item(item_number(plan, sample, round_no, variant), sample, round_no, variant)


class Quotas:
    """Which direction each item gets: shares as equal as whole numbers allow, spread by a seeded permutation."""

    def __init__(self, plan: TaskPlan) -> None:
        self._directions = plan.directions
        self._spread = Permutation(max(plan.total, 1), plan.seed)
        self._ends = list(accumulate(largest_remainder(plan.total, [1] * len(plan.directions))))

    def direction(self, number: int) -> str | None:
        """Return the direction of item ``number``; None when the task has none."""
        if not self._directions:
            return None
        return self._directions[bisect_right(self._ends, self._spread.at(number))]


def largest_remainder(total: int, weights: list[int]) -> list[int]:
    """Split ``total`` in proportion to ``weights`` (Hamilton's method); the parts sum to ``total`` exactly."""
    if not weights:
        return []
    whole = sum(weights)
    parts = [total * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda index: (-(total * weights[index] % whole), index))
    for index in by_remainder[: total - sum(parts)]:
        parts[index] += 1
    return parts


class Permutation:
    """A seeded shuffle of ``range(size)`` that is computed, not stored: a Feistel network with cycle walking."""

    def __init__(self, size: int, seed: int) -> None:
        self._size = size
        self._half = max(1, ((size - 1).bit_length() + 1) // 2)
        self._mask = (1 << self._half) - 1
        digest = blake2b(b"permutation:%d" % seed, digest_size=32).digest()
        self._keys = [int.from_bytes(digest[start : start + 8], "big") for start in range(0, 32, 8)]

    def at(self, index: int) -> int:
        """Return where ``index`` goes."""
        value = index
        while True:
            left, right = value >> self._half, value & self._mask
            for key in self._keys:
                left, right = right, left ^ (_mix(right ^ key) & self._mask)
            value = (left << self._half) | right
            if value < self._size:
                return value


def _mix(value: int) -> int:
    # The finaliser of MurmurHash3: every input bit reaches every output bit.
    value &= 0xFFFFFFFFFFFFFFFF
    value = ((value ^ (value >> 33)) * 0xFF51AFD7ED558CCD) & 0xFFFFFFFFFFFFFFFF
    value = ((value ^ (value >> 33)) * 0xC4CEB9FE1A85EC53) & 0xFFFFFFFFFFFFFFFF
    return value ^ (value >> 33)


def draw(plan: TaskPlan, quotas: Quotas, item: Item, attempt: int, *, warmer: float = 0.0) -> Draw:
    """Draw what one attempt at ``item`` asks for.

    Persona, style and difficulty belong to the item and stay over its attempts; temperature and the model's seed
    belong to the attempt. ``warmer`` shifts the temperature (+0.1 for each low score, -0.2 for a broken format).
    """
    cast = blake2b(b"%d:%d" % (plan.seed, item.number), digest_size=16).digest()
    dice = blake2b(b"%d:%d:%d" % (plan.seed, item.number, attempt), digest_size=8).digest()
    jitter = (int.from_bytes(dice[:2], "big") / 0xFFFF * 2 - 1) * TEMPERATURE_JITTER
    temperature = min(MAX_TEMPERATURE, max(MIN_TEMPERATURE, BASE_TEMPERATURE + jitter + warmer))
    return Draw(
        direction=quotas.direction(item.number),
        persona=_pick(personas(plan.language), cast[0:4]),
        style=_pick(styles(plan.language), cast[4:8]),
        difficulty=_pick(difficulties(plan.language), cast[8:12]),
        temperature=round(temperature, 2),
        seed=int.from_bytes(dice[4:8], "big") & 0x7FFFFFFF,
    )


def _pick(choices: tuple[str, ...], chance: bytes) -> str:
    return choices[int.from_bytes(chance, "big") % len(choices)]
