"""The hub over both databases: who hears what, what is read after a gap, and whose rights end."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from tests.server.live_bench import DEADLINE_S, Rights, admitted, person
from tidemill.kernel import clock
from tidemill.kernel.actor import SystemReason, SystemScope
from tidemill.kernel.errors import Forbidden
from tidemill.platform.db import Database
from tidemill.platform.events import MemoryEvents
from tidemill.platform.jobs import repository as jobs_repository
from tidemill.platform.jobs.repository import NewJob
from tidemill.platform.jobs.tables import job, job_event
from tidemill.server.live import closing
from tidemill.server.live.errors import Draining, TooManyWatchers
from tidemill.server.live.event import LiveEvent, now_ms, position_of
from tidemill.server.live.hub import Hub, Limits, Source
from tidemill.server.live.jobs import JobEvents
from tidemill.server.live.others import passed_on
from tidemill.server.live.outbox import LIMIT
from tidemill.server.live.replay import LONGEST_GAP_MS, MOST, OVERLAP_MS, Replays
from tidemill.server.live.topics import chosen, open_to

SCOPE = SystemScope(SystemReason.JOBS)


class GappyBus(MemoryEvents):
    """A bus that now and then says that events were lost, as one with a server does after a broken connection."""

    def lose_some(self) -> None:
        self._watchers.mark_gap()


class Bench:
    """A hub, its bus and its database."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.bus = GappyBus()
        self.rights = Rights()
        self.replays = Replays(db, {})
        self.hub = Hub(self.replays, self.rights, Limits(most=50, of_user=3))
        jobs = JobEvents(db, self.hub.watched)
        self.hub.start(
            [
                Source("jobs", self.bus, jobs.made_of),
                Source("usage", self.bus, passed_on("usage", "usage")),
                Source("alerts", self.bus, passed_on("alerts", "alert", public=True)),
            ]
        )

    async def add_job(self, user_id: int | None) -> str:
        async with self.db.write() as w:
            new = NewJob(type="work", queue="default", payload={}, user_id=user_id)
            return (await jobs_repository.add(w, SCOPE, new)).id

    async def say(self, job_id: str, user_id: int | None, status: str = "queued", **more: Any) -> None:
        news = {"job_id": job_id, "type": "work", "status": status, "user_id": user_id, **more}
        await self.bus.publish("jobs", json.dumps(news).encode(), key=job_id)


@pytest.fixture
async def bench(database: Database) -> AsyncIterator[Bench]:
    made = Bench(database)
    await asyncio.sleep(0)  # the sources subscribe
    yield made
    await made.hub.close()


async def test_alerts_are_told_to_every_administrator_who_watches_them_and_to_nobody_else(bench: Bench) -> None:
    root = person(3, is_admin=True)
    assert "alerts" in open_to(root)
    assert "alerts" not in open_to(person(1))
    with pytest.raises(Forbidden):
        chosen(person(1), ["alerts"], everybody=False)
    watching = admitted(bench.hub, root, *chosen(root, ["alerts"], everybody=False))
    other = admitted(bench.hub, person(4, is_admin=True), "jobs", everybody=True)
    await bench.bus.publish("alerts", b'{"alert_id":"a1","event":"raised"}', key="a1")
    [event] = await watching.until(bool)
    assert (event["type"], event["data"]) == ("alert", {"alert_id": "a1", "event": "raised"})
    assert other.events == []


async def test_a_state_is_told_as_it_was_committed_to_its_owner_alone(bench: Bench) -> None:
    ann, bob = admitted(bench.hub, person(1), "jobs"), admitted(bench.hub, person(2), "jobs")
    everybody = admitted(bench.hub, person(3, is_admin=True), "jobs", everybody=True)
    hers, his, nobodys = [await bench.add_job(user_id) for user_id in (1, 2, None)]
    for job_id, user_id in ((hers, 1), (his, 2), (nobodys, None)):
        # The news claims more than the row: the row counts.
        await bench.say(job_id, user_id, "succeeded")
    await everybody.until(lambda events: len(events) == 3)
    [event] = await ann.until(bool)
    assert (event["type"], event["topic"]) == ("job.queued", "jobs")
    assert event["data"]["job_id"] == hers
    assert event["data"]["status"] == "queued"
    assert event["data"]["progress"] == {"current": 0, "total": 0, "percent": None, "message": ""}
    assert event["id"].endswith(f".jobs.{hers}.1")
    assert [event["data"]["job_id"] for event in await bob.until(bool)] == [his]
    assert {event["data"]["job_id"] for event in everybody.events} == {hers, his, nobodys}


async def test_progress_is_passed_on_and_nothing_unwatched_is_read(bench: Bench) -> None:
    ann = admitted(bench.hub, person(1), "jobs")
    progress = {"current": 3, "total": 4, "message": "counting"}
    await bench.say("another-users", 2, "running")
    await bench.say("hers", 1, "running", progress=progress)
    [event] = await ann.until(bool)
    assert event["type"] == "job.progress"
    assert event["data"]["progress"] == {**progress, "percent": 75.0}


async def test_topics_that_are_not_watched_are_not_heard(bench: Bench) -> None:
    ann = admitted(bench.hub, person(1), "usage")
    await bench.say(await bench.add_job(1), 1)
    await bench.bus.publish("usage", json.dumps({"user_id": 2, "requests": 1}).encode(), key="2")
    await bench.bus.publish("usage", json.dumps({"user_id": 1, "requests": 7}).encode(), key="1")
    [event] = await ann.until(bool)
    assert (event["type"], event["topic"], event["data"]["requests"]) == ("usage", "usage", 7)


async def test_what_was_missed_is_told_once_to_each_and_only_their_own(bench: Bench) -> None:
    before = now_ms()
    hers, his = await bench.add_job(1), await bench.add_job(2)
    ann, bob = admitted(bench.hub, person(1), "jobs"), admitted(bench.hub, person(2), "jobs")
    counts = await asyncio.gather(bench.hub.catch_up(ann, before), bench.hub.catch_up(bob, before))
    assert counts == [1, 1]
    assert [event["data"]["job_id"] for event in await ann.until(bool)] == [hers]
    assert [event["data"]["job_id"] for event in await bob.until(bool)] == [his]


async def test_a_repeat_carries_the_id_of_the_live_event(bench: Bench) -> None:
    ann = admitted(bench.hub, person(1), "jobs")
    job_id = await bench.add_job(1)
    await bench.say(job_id, 1)
    [live] = await ann.until(bool)
    position = position_of(live["id"])
    assert position is not None
    await bench.hub.catch_up(ann, position)
    first, second = await ann.until(lambda events: len(events) == 2)
    assert first == second


async def test_a_thousand_who_come_back_share_a_few_readings(bench: Bench) -> None:
    await bench.add_job(1)
    found = await asyncio.gather(*(bench.replays.since(now_ms() - number) for number in range(1000)))
    assert all(past is not None for past in found)
    assert bench.replays.readings <= 2


async def test_too_long_ago_and_too_much_are_a_reset(bench: Bench) -> None:
    ann = admitted(bench.hub, person(1), "jobs")
    assert await bench.hub.catch_up(ann, now_ms() - LONGEST_GAP_MS) is None
    assert [event["type"] for event in await ann.until(bool)] == ["reset"]
    job_id = await bench.add_job(2)
    async with bench.db.write() as w:
        at = clock.now() - timedelta(seconds=60)
        lines = [
            {"job_id": job_id, "seq": seq, "at": at, "kind": "running", "data": None} for seq in range(2, MOST + 9)
        ]
        await w.run(job_event.insert(), lines)
        await w.run(update(job).where(job.c.id == job_id).values(event_seq=MOST + 8))
    assert await bench.hub.catch_up(ann, now_ms() - 120_000) is None
    assert await bench.hub.catch_up(ann, now_ms() - 30_000) == 0


async def test_events_wait_while_the_past_is_read_and_come_after_it(bench: Bench) -> None:
    ann = admitted(bench.hub, person(1), "jobs")
    ann.hold()
    new = LiveEvent("job.ended", "jobs", key="a", version="3", at_ms=now_ms(), user_id=1, data={})
    stale = LiveEvent("job.progress", "jobs", key="b", version="", at_ms=now_ms() - 5, user_id=1, data={})
    bench.hub.tell(new)
    bench.hub.tell(stale)
    ended = LiveEvent("job.ended", "jobs", key="b", version="9", at_ms=now_ms(), user_id=1, data={})
    ann.release([ended])
    kinds = [(event["type"], event["id"]) for event in await ann.until(lambda events: len(events) == 2)]
    assert kinds == [("job.ended", ended.id), ("job.ended", new.id)]


async def test_a_gap_of_the_bus_is_mended_from_the_database(bench: Bench) -> None:
    ann = admitted(bench.hub, person(1), "jobs", "usage")
    job_id = await bench.add_job(1)
    bench.bus.lose_some()
    events = await ann.until(lambda events: len(events) >= 2)
    assert {"job.queued", "reset"} == {event["type"] for event in events}
    assert job_id in {event["data"].get("job_id") for event in events}


async def test_a_slow_watcher_is_folded_and_then_cut_off(bench: Bench) -> None:
    ann = admitted(bench.hub, person(1), "jobs")
    ann.open.clear()
    for number in range(LIMIT * 3):
        key = str(number % 10)
        bench.hub.tell(LiveEvent("job.progress", "jobs", key=key, version="", at_ms=number, user_id=1, data={}))
    assert ann.code is None
    ann.open.set()
    events = await ann.until(lambda events: bool(events) and position_of(events[-1]["id"]) == LIMIT * 3 - 1)
    assert len(events) <= LIMIT + 1
    ann.open.clear()
    for number in range(LIMIT + 2):
        bench.hub.tell(LiveEvent("job.ended", "jobs", key=str(number), version="", at_ms=number, user_id=1, data={}))
    assert ann.code == closing.TRY_LATER


async def test_bounds_on_watchers(bench: Bench) -> None:
    ears = [admitted(bench.hub, person(1), "jobs") for _ in range(3)]
    with pytest.raises(TooManyWatchers):
        admitted(bench.hub, person(1), "jobs")
    bench.hub.dismiss(ears[0])
    admitted(bench.hub, person(1), "jobs")
    bench.hub.drain()
    assert {ear.code for ear in ears[1:]} == {closing.GOING_AWAY}
    with pytest.raises(Draining):
        admitted(bench.hub, person(2), "jobs")


async def test_rights_taken_back_end_a_watcher_within_seconds(bench: Bench) -> None:
    ann, bob = admitted(bench.hub, person(1), "jobs"), admitted(bench.hub, person(2), "jobs")
    bench.rights.take_back(1)
    async with asyncio.timeout(DEADLINE_S):
        while ann.code is None:
            await asyncio.sleep(0.05)
    assert ann.code == closing.NOT_SIGNED_IN
    assert bob.code is None


def test_positions() -> None:
    event = LiveEvent("job.ended", "jobs", key="k.1", version="2", at_ms=1_785_300_000_123, user_id=1, data={})
    assert position_of(event.id) == event.at_ms
    assert position_of(str(event.at_ms)) == event.at_ms
    for wrong in ("", "x", "-5", "1" * 40, "١٢٣", ".jobs"):
        assert position_of(wrong) is None
    assert OVERLAP_MS < LONGEST_GAP_MS
