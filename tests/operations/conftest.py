"""Operations over a fresh database, with jobs that tests claim and end themselves, and their routes for any caller."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx
import pytest

from tidemill.audit.contracts import AuditEntry, AuditFilter
from tidemill.audit.facade import AuditLog, Refusals
from tidemill.kernel import clock
from tidemill.kernel.actor import Actor, Scope, SystemReason, SystemScope, owner_filter
from tidemill.kernel.errors import BadInput
from tidemill.kernel.lang import Lang
from tidemill.kernel.pages import PageRequest
from tidemill.operations.contracts import Progress, TaskState
from tidemill.operations.facade import JobService, QueueService, ScheduleService, StatusService, SystemSchedule
from tidemill.operations.routes import HANDLERS
from tidemill.platform.db import Database, Writer
from tidemill.platform.jobs import JobContext, JobKind, repository
from tidemill.platform.jobs.database_transport import DatabaseTransport
from tidemill.platform.jobs.engine import JobEngine
from tidemill.platform.jobs.heartbeat import this_process
from tidemill.platform.jobs.repository import Claimed, End
from tidemill.platform.jobs.rules import Outcome, State
from tidemill.platform.settings import Settings
from tidemill.platform.web.guards import ACTOR
from tidemill.server.api import build_api

SYSTEM = SystemScope(SystemReason.JOBS)
LEASE_S = 30.0
ANN = Actor(user_id=7, username="ann", is_admin=False, via="session")
BOB = Actor(user_id=8, username="bob", is_admin=False, via="session")
ROOT = Actor(user_id=1, username="root", is_admin=True, via="session")
RELAY_KEY = Actor(user_id=7, username="ann", is_admin=False, via="key", scopes=frozenset({"relay"}), key_id="k")

Client = httpx.AsyncClient
Serve = Callable[..., AbstractAsyncContextManager[Client]]


class Keeper:
    """Remembers which jobs were given up."""

    def __init__(self) -> None:
        self.given_up: list[str] = []

    async def give_up(self, w: Writer, actor: Actor, job_id: str, payload: dict[str, Any]) -> None:
        del w, actor, payload
        self.given_up.append(job_id)


class Work:
    """A kind of work that users schedule; its payload needs a number."""

    async def check(self, actor: Actor, payload: dict[str, Any], lang: Lang) -> dict[str, Any]:
        if not isinstance(payload.get("n"), int):
            raise BadInput.of("n", "须为数字" if lang == "zh" else f"must be a number, {actor.username}")
        return payload


class Owners:
    """Knows ann and bob until told otherwise."""

    def __init__(self) -> None:
        self.known = {actor.user_id: actor for actor in (ANN, BOB)}

    async def actor(self, user_id: int) -> Actor | None:
        return self.known.get(user_id)


class OneTask:
    """Ann's only task."""

    async def status_of(self, scope: Scope, task_id: str) -> TaskState | None:
        if task_id != "task_1" or owner_filter(scope) not in {None, ANN.user_id}:
            return None
        return TaskState(
            task_id=task_id,
            type="qa_pairs",
            status="running",
            progress=Progress.of(1, 3),
            error=None,
            created_at=clock.now(),
            started_at=None,
            finished_at=None,
        )


async def never(context: JobContext) -> None:
    raise AssertionError(context.job_id)


class Desk:
    """Everything of one process, without its server and without workers."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.keeper = Keeper()
        self.owners = Owners()
        self.engine = JobEngine(db, DatabaseTransport("database"), alone=False, worker=this_process(["api"]))
        for name, queue in (("work", "default"), ("kept", "default"), ("own.sweep", "slow")):
            self.engine.register(JobKind(type=name, handler=never, queue=queue, max_attempts=3))
        self.jobs = JobService(db, self.engine, {"kept": self.keeper})
        self.queues = QueueService(db, self.engine, LEASE_S)
        self.schedules = ScheduleService(
            db,
            self.engine,
            lambda: {"work": Work()},
            self.owners,
            (SystemSchedule("own.sweep", "own.sweep", "17 3 * * *"),),
        )
        self.statuses = StatusService(db, (OneTask(),))
        self._audit = AuditLog(db, Refusals())

    async def enqueue(self, user_id: int | None = ANN.user_id, kind: str = "work", **options: Any) -> str:
        async with self.db.write() as w:
            return await self.engine.enqueue(w, SYSTEM, kind, {"n": 1}, user_id=user_id, **options)

    async def claim(self, kind: str = "work", owner: str = "w1") -> Claimed:
        async with self.db.write() as w:
            [claimed] = await repository.claim(w, SYSTEM, owner, kind, 1)
        return claimed

    async def finish(self, claimed: Claimed, state: State, error: tuple[str, str] | None = None) -> bool:
        async with self.db.write() as w:
            return bool(await repository.finish(w, SYSTEM, [End(claimed.lease, Outcome(state), error)]))

    async def lost(
        self, user_id: int | None = ANN.user_id, kind: str = "work", state: State = "dead", error: str = "boom"
    ) -> str:
        """Make a dead letter."""
        job_id = await self.enqueue(user_id, kind)
        assert await self.finish(await self.claim(kind), state, (error, f"{error} happened"))
        return job_id

    async def audited(self, action: str) -> list[AuditEntry]:
        page = await self._audit.page(SYSTEM, AuditFilter(action=action), PageRequest(page_size=200))
        return list(reversed(page.items))


@pytest.fixture
def desk(database: Database) -> Desk:
    return Desk(database)


@pytest.fixture
def serve(desk: Desk) -> Serve:
    """Give a client to the routes, acting as one person (None: nobody)."""
    services: dict[str, Callable[[], Any]] = {
        "desk": lambda: desk.jobs,
        "queues": lambda: desk.queues,
        "schedules": lambda: desk.schedules,
        "statuses": lambda: desk.statuses,
    }
    app = build_api(HANDLERS, services, Settings())

    @asynccontextmanager
    async def served(actor: Actor | None, language: str = "en") -> AsyncGenerator[Client]:
        async def acting(scope: Any, receive: Any, send: Any) -> None:
            state = scope.setdefault("state", {})
            if actor is not None:
                state[ACTOR] = actor
            await app(scope, receive, send)

        transport = httpx.ASGITransport(acting)
        headers = {"accept-language": language}
        async with Client(transport=transport, base_url="http://mill.test", headers=headers) as client:
            yield client

    return served
