"""The words of jobs, queues and workers, as the HTTP surface and other contexts say them."""

from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

JobStatus = Literal["queued", "retry_wait", "running", "succeeded", "failed", "dead", "cancelled"]
SAMPLE = 20
# Texts that are compared in the database: PostgreSQL takes no NUL.
Word = Annotated[str, Meta(max_length=100, pattern=r"^[^\x00]*$")]
RowId = Annotated[int, Meta(ge=1, le=2**31 - 1)]


class Progress(Struct, frozen=True):
    """How far something has got; ``percent`` is 0 to 100, and 0 while ``total`` is unknown (0)."""

    current: int = 0
    total: int = 0
    percent: float = 0.0
    message: str = ""

    @classmethod
    def of(cls, current: int, total: int, message: str = "") -> "Progress":
        """Work out the percentage, with one decimal."""
        percent = round(min(100.0, 100 * current / total), 1) if total > 0 else 0.0
        return cls(current, total, percent, message)


class WorkError(Struct, frozen=True):
    """What went wrong last: a stable ``code``, and a sentence for people."""

    code: str
    message: str


class TaskState(Struct, frozen=True, kw_only=True):
    """``GET /api/v1/tasks/{id}/status``, for whatever runs long; ``status`` is in that kind's own words."""

    task_id: str
    type: str
    status: str
    progress: Progress
    error: WorkError | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class JobView(Struct, frozen=True, kw_only=True):
    """A job in a list.

    ``attempt`` counts runs that ended by themselves or still go on, ``crashes`` those whose process died since there
    was progress. ``run_at`` is when it may run (again). ``cancel_requested`` says that a running one was told to stop.
    """

    id: str
    type: str
    queue: str
    status: JobStatus
    priority: int
    user_id: int | None
    attempt: int
    max_attempts: int | None
    crashes: int
    progress: Progress
    error: WorkError | None
    cancel_requested: bool
    schedule_id: str | None
    run_at: datetime
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class JobEvent(Struct, frozen=True):
    """One line of a job's history, numbered from 1 without gaps."""

    seq: int
    at: datetime
    kind: str
    data: dict[str, Any] | None


class OwnJob(JobView, frozen=True, kw_only=True):
    """A job with its history, the newest 500 lines of it."""

    events: list[JobEvent]


class Attempt(Struct, frozen=True, kw_only=True):
    """One run of a job, read from its history. ``outcome`` is the next state, None while it runs."""

    number: int
    worker: str | None
    started_at: datetime
    ended_at: datetime | None
    outcome: str | None
    error: WorkError | None


class JobDetail(OwnJob, frozen=True, kw_only=True):
    """Everything about a job, for administrators."""

    payload: dict[str, Any]
    checkpoint: dict[str, Any] | None
    idem_key: str | None
    epoch: int
    worker: str | None
    cancel_by: int | None
    request_id: str | None
    published_at: datetime | None
    publish_count: int
    attempts: list[Attempt]


class JobPatch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change of a job that does not run. Another payload drops its checkpoint. Higher priority runs first."""

    payload: dict[str, Any] | UnsetType = UNSET
    priority: int | UnsetType = UNSET


class JobReplay(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``payload`` replaces the job's own, and drops its checkpoint."""

    payload: dict[str, Any] | UnsetType = UNSET


class DeadFilter(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"since": "from", "until": "to"}
):
    """Which dead letters; what is absent matches all. ``from`` is inclusive, ``to`` exclusive, by ``created_at``."""

    type: Word | None = None
    queue: Word | None = None
    status: Literal["dead", "failed"] | None = None
    error_code: Word | None = None
    user_id: RowId | None = None
    since: datetime | None = None
    until: datetime | None = None


class JobBatch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Either ``ids`` or a ``filter`` (``{}`` is every dead letter). Nothing is changed unless ``dry_run`` is false."""

    ids: list[Word] | None = None
    filter: DeadFilter | None = None
    dry_run: bool = True


class JobBatchResult(Struct, frozen=True):
    """How many jobs match, how many were changed, and up to 20 of them."""

    matching: int
    changed: int
    sample: list[JobView]


class QueueView(Struct, frozen=True, kw_only=True):
    """A queue.

    ``max_length`` and ``max_per_user`` bound what waits, ``concurrency`` what all workers together run at once (null:
    no bound of its own). ``oldest_s`` is how long its longest waiting job has been due, ``rate_per_s`` counts jobs that
    ended in the last minute, ``tickets`` what the broker holds (null: it cannot say, or the database itself carries).
    """

    name: str
    paused: bool
    max_length: int
    max_per_user: int
    concurrency: int | None
    waiting: int
    retry_wait: int
    running: int
    dead: int
    failed: int
    oldest_s: float
    rate_per_s: float
    tickets: int | None
    types: list[str]


class QueuePatch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change of a queue; null goes back to the default."""

    max_length: int | UnsetType | None = UNSET
    max_per_user: int | UnsetType | None = UNSET
    concurrency: int | UnsetType | None = UNSET


class TransportView(Struct, frozen=True, kw_only=True):
    """A worker's end of what carries tickets; counts are since it started."""

    name: str
    state: str
    since: datetime
    reconnects: int = 0
    published: int = 0
    refused: int = 0
    delivered: int = 0
    redelivered: int = 0
    nacked: int = 0
    error: str | None = None


class WorkerJob(Struct, frozen=True):
    """A job that a worker holds."""

    id: str
    type: str
    started_at: datetime | None


class WorkerView(Struct, frozen=True, kw_only=True):
    """A process that runs jobs. Not ``alive``: silent for so long that its jobs are taken from it."""

    id: str
    host: str
    pid: int
    version: str
    roles: list[str]
    types: list[str]
    capacity: int
    running: int
    draining: bool
    alive: bool
    heartbeat_age_s: float
    transport: TransportView | None
    started_at: datetime
    jobs: list[WorkerJob] = field(default_factory=list[WorkerJob])
