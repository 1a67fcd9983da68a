"""The words of reports that the rest of the program, and outside scripts, may use.

Counts are of rows as they stand now, after review; ``failed`` counts items that ended without a row. Scores are 0 to
10, shares 0 to 1, costs credits as decimal text, times UTC.
"""

from datetime import datetime
from typing import Any, Literal

from msgspec import Struct

ReportFormat = Literal["json", "csv", "md", "rows"]
REPORT_FORMATS: tuple[ReportFormat, ...] = ("json", "csv", "md", "rows")


class TokenSums(Struct, frozen=True, kw_only=True):
    """Tokens of all calls; ``wasted_share``: those of items that gave no accepted row."""

    input: int
    output: int
    per_accepted: float | None
    wasted_share: float | None


class Counts(Struct, frozen=True, kw_only=True):
    """What became of the items."""

    total: int
    rows: int
    accepted: int
    below_threshold: int
    needs_review: int
    rejected: int
    failed: int
    retried: int
    confirmed: int
    acceptance: float | None


class ReportItem(Struct, frozen=True, kw_only=True):
    """A report in a list."""

    task_id: str
    user_id: int
    task_type: str
    status: str
    file_id: int | None
    models: list[str]
    counts: Counts
    input_tokens: int
    output_tokens: int
    cost: str
    started_at: datetime
    finished_at: datetime | None


class Bin(Struct, frozen=True, kw_only=True):
    """A step of a histogram: from ``low`` (included) to ``high`` (included only in the last one)."""

    low: int
    high: int
    count: int


class Histograms(Struct, frozen=True, kw_only=True):
    """How the scores are spread; rows without a score are in none."""

    final: list[Bin]
    model: list[Bin]
    rule: list[Bin]


class GroupFigures(Struct, frozen=True, kw_only=True):
    """The figures of one group of rows; ``channel`` and ``model``, or ``direction``, or ``attempts`` name it."""

    rows: int
    accepted: int
    failed: int
    acceptance: float | None
    final_score: float | None
    model_score: float | None
    rule_score: float | None
    input_tokens: int
    output_tokens: int
    direction: str | None = None
    channel: str | None = None
    model: str | None = None
    attempts: int | None = None


class Reason(Struct, frozen=True, kw_only=True):
    """Why attempts were not accepted; ``code`` is stable, ``reason`` an example in the task's language."""

    code: str
    reason: str
    count: int


class Slot(Struct, frozen=True, kw_only=True):
    """Rows made in a span of time."""

    at: datetime
    seconds: float
    rows: int
    accepted: int


class SampleOfRows(Struct, frozen=True, kw_only=True):
    """One of ten rows, taken evenly over the task."""

    id: int
    status: str
    final_score: float | None
    direction: str | None
    data: Any


class Report(Struct, frozen=True, kw_only=True):
    """Everything about one task. ``attempts_seen``: how many refused attempts the reasons were counted from."""

    task_id: str
    user_id: int
    task_type: str
    status: str
    file_id: int | None
    models: list[str]
    params: Any
    min_score: float | None
    error_message: str | None
    started_at: datetime
    finished_at: datetime | None
    seconds: float
    rows_per_s: float
    counts: Counts
    tokens: TokenSums
    cost: str
    cost_per_accepted: str | None
    histograms: Histograms
    directions: list[GroupFigures]
    services: list[GroupFigures]
    attempts: list[GroupFigures]
    throughput: list[Slot]
    duplicates: int
    reasons: list[Reason]
    attempts_seen: int
    failures: list[Reason]
    samples: list[SampleOfRows]
