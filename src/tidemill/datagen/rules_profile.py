"""What the samples look like as a whole: how long their texts are, which labels occur, which language they are in."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from tidemill.datagen.fields import kinds_of, leaves
from tidemill.kernel.lang import Lang

_HAN = re.compile(r"[\u3400-\u9fff]")
_HAN_SHARE = 0.30
_ROWS_LOOKED_AT = 1_000
_CHARS_LOOKED_AT = 2_000
_LEAST_TEXTS = 5  # fewer say nothing about percentiles
_LABEL_CHARS = 80
_MOST_LABELS = 64


class LengthProfile(Struct, frozen=True):
    """Lengths and labels by sample column.

    ``lengths``: 5th and 95th percentile of the text's length in characters, for columns with at least 5 texts.
    ``labels``: the different values of columns that hold short names (at most 64 of them, each up to 80 characters),
    in the order of appearance; for a column of entities its types.
    """

    lengths: dict[str, tuple[float, float]] = {}
    labels: dict[str, tuple[str, ...]] = {}
    rows: int = 0


def length_profile(samples: Iterable[Mapping[str, Any]]) -> LengthProfile:
    """Measure up to the first 1,000 samples."""
    lengths: dict[str, list[int]] = {}
    labels: dict[str, dict[str, None]] = {}
    rows = 0
    for sample in samples:
        if rows >= _ROWS_LOOKED_AT:
            break
        rows += 1
        for column, value in sample.items():
            if isinstance(value, str):
                if value.strip():
                    lengths.setdefault(column, []).append(len(value.strip()))
                    labels.setdefault(column, {})[value.strip()] = None
            else:
                labels.setdefault(column, {}).update(dict.fromkeys(kinds_of(value)))
    return LengthProfile(
        lengths={
            column: (_percentile(found, 0.05), _percentile(found, 0.95))
            for column, found in lengths.items()
            if len(found) >= _LEAST_TEXTS
        },
        labels={
            column: tuple(found)
            for column, found in labels.items()
            if 0 < len(found) <= _MOST_LABELS and all(len(name) <= _LABEL_CHARS for name in found)
        },
        rows=rows,
    )


def detect_language(samples: Iterable[Mapping[str, Any]]) -> Lang:
    """Return zh when at least three letters in ten of the samples' values are Chinese characters, else en."""
    han = letters = 0
    for number, sample in enumerate(samples):
        if number >= _ROWS_LOOKED_AT:
            break
        for text in leaves(sample):
            seen = text[:_CHARS_LOOKED_AT]
            letters += sum(map(str.isalpha, seen))
            han += count_han(seen)
    return "zh" if letters and han / letters >= _HAN_SHARE else "en"


def count_han(text: str) -> int:
    """Count Chinese characters."""
    return len(_HAN.findall(text))


def han_share(text: str) -> float | None:
    """Return the share of Chinese characters among the letters, None when there are no letters."""
    letters = sum(map(str.isalpha, text))
    return count_han(text) / letters if letters else None


def _percentile(values: list[int], share: float) -> float:
    """Return a percentile with linear interpolation between neighbours."""
    ordered = sorted(values)
    at = share * (len(ordered) - 1)
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)
