"""The words of generation tasks that the rest of the program, and outside scripts, may use."""

from datetime import datetime
from typing import Any, Literal

from msgspec import Struct

TaskState = Literal["pending", "running", "finished", "failed", "stopped"]
NANO = 1_000_000_000


class StartRequest(Struct, kw_only=True):
    """``POST /api/start``. Absent and null mean the default.

    ``model`` or ``models``; neither: the configured default, else every active model. ``evaluator_model``: ``"none"``
    for rules alone. ``budget``: credits. ``preview``: three rows with their prompts, nothing kept.
    """

    file_id: int
    task_type: str
    model: str | None = None
    models: list[str] | None = None
    batch_size: int | None = None
    max_concurrent: int | None = None
    min_score: float | None = None
    variants_per_sample: int | None = None
    data_rounds: int | None = None
    directions: list[str] | None = None
    special_prompt: str | None = None
    evaluator_model: str | None = None
    max_retries: int | None = None
    budget: float | str | None = None
    dedup: str | None = None
    language: str | None = None
    seed: int | None = None
    sample_limit: int | None = None
    preview: bool | None = None


class ResumeRequest(Struct, kw_only=True):
    """``POST /api/resume/{task_id}``; the body may be left out. ``budget`` replaces the task's budget (credits)."""

    budget: float | str | None = None


class TaskRef(Struct):
    """A task by name, and its state after the call."""

    task_id: str
    status: str


class PreviewRow(Struct, kw_only=True):
    """One row of a preview. ``prompt`` is the whole prompt as text; scores are 0 to 10."""

    prompt: str
    output: dict[str, Any] | None
    rule_score: float | None
    model_score: float | None
    final_score: float | None
    status: str
    reasons: list[str]
    model: str | None
    messages: list[dict[str, Any]]


class PreviewAnswer(Struct):
    """What ``preview: true`` answers."""

    preview: list[PreviewRow]


class Tokens(Struct):
    """Tokens of all calls of a task, judging included."""

    input: int
    output: int


class ServiceFigures(Struct, kw_only=True):
    """One model service as a task uses it. ``breaker``: closed, open, half_open or gone."""

    channel: str
    model: str
    in_flight: int
    limit: int
    done: int
    errors: int
    p95_ms: float | None
    breaker: str


class TaskSummary(Struct, kw_only=True):
    """A task in a list. ``params`` and ``result`` are JSON text; ``cost`` is credits as a decimal string."""

    id: int
    task_id: str
    user_id: int
    status: str
    paused_reason: str | None
    paused_code: str | None
    task_type: str
    file_id: int | None
    model: str
    models: list[str]
    params: str | None
    result: str | None
    current: int
    total: int
    percent: float
    accepted: int
    below_threshold: int
    needs_review: int
    failed: int
    retried: int
    rows_per_s: float
    eta_s: float | None
    tokens: Tokens
    cost: str
    budget: str | None
    started_at: datetime
    finished_at: datetime | None
    error_message: str | None


class TaskStatus(TaskSummary, kw_only=True):
    """A task with its services' figures."""

    services: list[ServiceFigures]


class ActiveTask(TaskStatus, kw_only=True):
    """The newest running task, and the other running ones."""

    others: list[TaskSummary]


class TaskTypeView(Struct, kw_only=True):
    """A task type as a client needs it to fill in a form and to check rows."""

    name: str
    version: str
    title: str
    titles: dict[str, str]
    description: str
    input_fields: Any
    schema: dict[str, Any]
    rules: Any
    rubric: Any
    example: Any


class TaskTypeList(Struct):
    """Every installed task type."""

    items: list[TaskTypeView]


def credits_text(nano: int) -> str:
    """Return 1e-9 credits as a decimal string of credits, without needless zeros."""
    sign, nano = ("-", -nano) if nano < 0 else ("", nano)
    whole, part = divmod(nano, NANO)
    fraction = f"{part:09d}".rstrip("0")
    return f"{sign}{whole}.{fraction}" if fraction else f"{sign}{whole}"
