"""The words of review that the rest of the program, and outside scripts, may use."""

from datetime import datetime
from typing import Any, Literal

from msgspec import Struct

RowState = Literal["accepted", "below_threshold", "needs_review", "rejected"]
Verdict = Literal["accepted", "rejected"]
ExportFormat = Literal["jsonl", "csv", "json", "alpaca", "sharegpt", "openai"]

EXPORT_FORMATS: tuple[ExportFormat, ...] = ("jsonl", "csv", "json", "alpaca", "sharegpt", "openai")


class GeneratedRow(Struct, frozen=True, kw_only=True):
    """A generated row. ``data_content`` is JSON text; scores are 0 to 10; ``row_version`` moves with its content."""

    id: int
    task_id: str
    user_id: int
    data_content: str
    model_score: float | None
    rule_score: int | None
    retry_count: int
    generation_model: str | None
    task_type: str | None
    is_confirmed: bool
    created_at: datetime
    updated_at: datetime
    status: RowState
    final_score: float | None
    rule_score_exact: float | None
    item_no: int | None
    row_version: int
    lineage: Any
    reviewer_id: int | None
    review_note: str | None
    reviewed_at: datetime | None
    direction: str | None
    channel: str | None
    input_tokens: int
    output_tokens: int
    attempts: int


class RowFilter(Struct, frozen=True, kw_only=True):
    """Which rows; what is absent does not narrow. Scores compare with ``final_score``, both ends included."""

    task_id: str | None = None
    task_type: str | None = None
    is_confirmed: bool | None = None
    status: RowState | None = None
    min_score: float | None = None
    max_score: float | None = None
    q: str | None = None

    @property
    def is_empty(self) -> bool:
        """Tell whether it lets every row through."""
        return self == RowFilter()


class RowUpdate(Struct, frozen=True, kw_only=True):
    """A row's new content, as an object or as JSON text; ``row_version`` is the one its writer looked at."""

    id: int
    data_content: dict[str, Any] | str
    row_version: int | None = None


class BatchUpdate(Struct, frozen=True):
    """Several rows' new contents; all of them or none."""

    items: list[RowUpdate]


class BatchConfirm(Struct, frozen=True, kw_only=True):
    """Rows by id or by filter, and whether they are confirmed from now on."""

    is_confirmed: bool
    ids: list[int] | None = None
    filter: RowFilter | None = None


class BatchReview(Struct, frozen=True, kw_only=True):
    """Rows by id or by filter, and a person's verdict on them."""

    status: Verdict
    ids: list[int] | None = None
    filter: RowFilter | None = None
    note: str | None = None


class BatchDone(Struct, frozen=True):
    """An all-or-none call that went through: how many rows it reached. ``failed`` is always empty."""

    ok: int
    failed: list[Any]


class UpdateDone(Struct, frozen=True):
    """Rows as they are after an update."""

    ok: int
    failed: list[Any]
    items: list[GeneratedRow]
