"""Tells watchers what becomes of jobs, over the event bus: each change of state, progress at most four times a second.

A piece of news goes to the job's owner (topic ``jobs.{user_id}``) and to administrators (``jobs``). It is a courtesy:
who missed one reads the row.
"""

from typing import Any

import msgspec

from tidemill.kernel import clock
from tidemill.platform.events import EventBus
from tidemill.platform.jobs.run import Run
from tidemill.platform.tasks import TaskOwner

EVERYBODYS = "jobs"
INTERVAL_S = 0.25


def topic_of(user_id: int) -> str:
    """Return the topic of one user's jobs."""
    return f"{EVERYBODYS}.{user_id}"


class News:
    """The news of one process's jobs."""

    def __init__(self, events: EventBus) -> None:
        self._events = events
        self._told_s: dict[str, float] = {}
        self._sends = TaskOwner()

    def progressed(self, run: Run) -> None:
        """Tell of progress, unless it was told of a moment ago."""
        at_s = clock.monotonic()
        if at_s - self._told_s.get(run.job_id, -INTERVAL_S) < INTERVAL_S:
            return
        self.tell(run.job_id, run.kind.type, run.user_id, "running", run.latest)
        self._told_s[run.job_id] = at_s

    def tell(
        self, job_id: str, kind: str, user_id: int | None, state: str, progress: tuple[int, int, str] | None = None
    ) -> None:
        """Tell of a state; never fails and never waits."""
        if state != "running":
            self._told_s.pop(job_id, None)
        news: dict[str, Any] = {"job_id": job_id, "type": kind, "status": state, "user_id": user_id}
        if progress is not None:
            news["progress"] = {"current": progress[0], "total": progress[1], "message": progress[2]}
        payload = msgspec.json.encode(news)
        topics = [EVERYBODYS] if user_id is None else [EVERYBODYS, topic_of(user_id)]
        self._sends.spawn("jobs.news", self._send(topics, job_id, payload))

    async def _send(self, topics: list[str], job_id: str, payload: bytes) -> None:
        for topic in topics:
            await self._events.publish(topic, payload, key=job_id)
