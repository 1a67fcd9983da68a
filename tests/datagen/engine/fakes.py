"""A relay, sample files and a whole small installation in memory, for tests of the engine.

``FakeRelay`` plays model services that answer by a script: a function from the call to an answer or an error. What it
was asked is kept, so that tests can look at prompts and at what was in flight.
"""

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from tidemill.datagen.engine.mill import Mill
from tidemill.datagen.plan import TaskPlan
from tidemill.datagen.samples.contracts import FileFacts
from tidemill.datagen.samples.errors import FileNotFound
from tidemill.datagen.service import TaskService
from tidemill.datagen.task_types import TaskType, load_types
from tidemill.kernel import clock
from tidemill.kernel.actor import Actor, Scope
from tidemill.platform.db import Database, Reader
from tidemill.platform.jobs.database_transport import DatabaseTransport
from tidemill.platform.jobs.engine import JobEngine
from tidemill.platform.jobs.heartbeat import this_process
from tidemill.platform.settings.groups.datagen import DatagenSettings
from tidemill.relay.contracts import Call, Completion, ModelView, ServiceView, TokenUsage

TYPES = load_types(Path(__file__).parent / "types")
NOTE: TaskType = TYPES["note"]
MODEL = "mill-small"
OWNER = Actor(user_id=1, username="owner", is_admin=False, via="session")
STRANGER = Actor(user_id=2, username="stranger", is_admin=False, via="session")


class Said(Struct, frozen=True):
    """What a service answers."""

    content: str
    finish_reason: str = "stop"
    prompt_tokens: int = 20
    completion_tokens: int = 10


Script = Callable[[Call], Awaitable[Said]]


def service(channel_id: int = 1, *, model: str = MODEL, limit: int | None = 64, local: bool = False) -> ServiceView:
    """Return a healthy service."""
    return ServiceView(
        channel_id=channel_id,
        channel=f"channel-{channel_id}",
        model=model,
        upstream_model=model,
        limit=limit,
        in_flight=0,
        is_vllm=False,
        is_local=local,
        breaker="closed",
        done=0,
        errors=0,
        p95_ms=None,
    )


def is_judge(call: Call) -> bool:
    """Tell a judging call from a generating one."""
    return call.metadata["purpose"] == "judge"


def judged(mark: int = 9) -> Said:
    """Return a judge's answer with one mark for all criteria."""
    return Said(json.dumps({"issues": [], "criteria": {"correctness": mark, "usefulness": mark}}))


class Writer:
    """A script that writes a new note each time and gives every note 9 of 10."""

    def __init__(self, *, latency_s: float = 0.0, mark: int = 9) -> None:
        self._numbers = itertools.count(1)
        self._latency_s = latency_s
        self._mark = mark

    async def __call__(self, call: Call) -> Said:
        """Answer one call."""
        if self._latency_s:
            await asyncio.sleep(self._latency_s)
        if is_judge(call):
            return judged(self._mark)
        return note(f"A note about matter {next(self._numbers)} of the day.")


def note(text: str) -> Said:
    """Return a row of the type ``note``."""
    return Said(json.dumps({"text": text}))


class FakeRelay:
    """Model services by script. ``views`` may be changed while calls run."""

    def __init__(self, script: Script | None = None, views: Sequence[ServiceView] = (service(),)) -> None:
        self.script: Script = script or Writer()
        self.views = list(views)
        self.calls: list[Call] = []
        self.in_flight = 0
        self.most_in_flight = 0
        self.by_channel: dict[int, int] = {}

    async def complete(self, call: Call) -> Completion:
        """Play one call."""
        self.calls.append(call)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        channel = call.channel_id or 0
        self.by_channel[channel] = self.by_channel.get(channel, 0) + 1
        started_s = clock.monotonic()
        try:
            said = await self.script(call)
        finally:
            self.in_flight -= 1
        return Completion(
            id=f"c{len(self.calls)}",
            model=call.model,
            content=said.content,
            reasoning=None,
            finish_reason=said.finish_reason,
            usage=TokenUsage(said.prompt_tokens, said.completion_tokens, said.prompt_tokens + said.completion_tokens),
            channel_id=channel,
            channel=f"channel-{channel}",
            latency_ms=(clock.monotonic() - started_s) * 1000,
        )

    def services(self, model: str) -> list[ServiceView]:
        """Return the services of a model."""
        return [view for view in self.views if view.model == model]

    def models(self) -> list[ModelView]:
        """Return the models that there are."""
        names = list(dict.fromkeys(view.model for view in self.views))
        return [ModelView(id=number, name=name) for number, name in enumerate(names)]


class FakeSamples:
    """Sample files in memory; file 1 belongs to everybody who asks."""

    def __init__(self, count: int) -> None:
        self.rows_of_file: list[dict[str, Any]] = [
            {"text": f"Sample {number}: please remember the appointment number {number}."} for number in range(count)
        ]
        self.version = 1

    async def facts(self, r: Reader, scope: Scope, file_id: int, *, hold: bool = False) -> FileFacts:
        """Return what there is."""
        del r, scope, hold
        if file_id != 1:
            raise FileNotFound(file_id=file_id)
        return FileFacts(
            file_id=1,
            filename="notes.jsonl",
            rows=len(self.rows_of_file),
            columns=["text"],
            version=self.version,
            language_hint="en",
        )

    async def rows(self, scope: Scope, file_id: int, version: int, start: int, count: int) -> list[dict[str, Any]]:
        """Return rows."""
        del scope, file_id, version
        return self.rows_of_file[start : start + count]


class Installation:
    """Everything around the engine that a test needs."""

    def __init__(
        self,
        db: Database,
        *,
        relay: FakeRelay | None = None,
        samples: int = 4,
        settings: DatagenSettings | None = None,
        alone: bool = True,
    ) -> None:
        self.db = db
        self.relay = relay or FakeRelay()
        self.samples = FakeSamples(samples)
        self.settings = settings or DatagenSettings(commit_window_ms=2)
        self.jobs = JobEngine(db, DatabaseTransport("local"), alone=alone, worker=this_process(["worker"]))
        self.mill = self.new_mill()
        self.service = TaskService(
            db=db,
            jobs=self.jobs,
            mill=self.mill,
            calls=self.relay,
            samples=self.samples,
            task_types=TYPES,
            settings=self.settings,
        )

    def new_mill(self) -> Mill:
        """Return another engine on the same database, as a second process or the next one would be."""
        return Mill(db=self.db, calls=self.relay, samples=self.samples, task_types=TYPES, settings=self.settings)


def plan(**changes: Any) -> TaskPlan:
    """Return a plan for four samples."""
    values: dict[str, Any] = {
        "task_type": "note",
        "type_version": "1",
        "language": "en",
        "models": (MODEL,),
        "file_id": 1,
        "file_version": 1,
        "samples": 4,
        "rounds": 2,
        "variants": 3,
        "seed": 7,
    }
    return TaskPlan(**{**values, **changes})
