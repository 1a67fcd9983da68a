"""Several instances on one PostgreSQL: the work on one, the watcher on another, and a kill -9 in between."""

import asyncio
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from tests.fixtures.postgres import PostgresServer
from tests.fixtures.processes import Server, ServerFactory, Simulator, SimulatorFactory
from tests.server.live_clients import signed_in, streaming
from tests.server.live_work import Work

SECRETS = {
    "TIDEMILL_AUTH__SECRET_KEY": "k7Qp2-a-configured-signing-key-v9Zt",
    "TIDEMILL_AUTH__KEY_PEPPER": "k7Qp2-a-configured-pepper-key-v9Zt",
    "TIDEMILL_AUTH__DATA_KEY": "k7Qp2-a-configured-data-key-00-v9Zt",
}


@pytest.fixture
def shared(postgres: PostgresServer) -> Iterator[dict[str, str]]:
    """Give the settings that several instances have in common."""
    name = f"live_{uuid4().hex[:12]}"
    yield {"TIDEMILL_DATABASE__URL": postgres.create(name), "TIDEMILL_DATABASE__POOL_SIZE": "5", **SECRETS}
    postgres.drop(name)


@pytest.fixture
def worker(shared: dict[str, str], make_server: ServerFactory) -> Server:
    return make_server(shared).start()


@pytest.fixture
def watcher(worker: Server, shared: dict[str, str], make_server: ServerFactory) -> Server:
    """Give an instance that runs nothing itself; it starts once the other has made the tables."""
    del worker
    return make_server({**shared, "TIDEMILL_SERVER__ROLES": "api"}).start()


@pytest.fixture
def simulator(make_simulator: SimulatorFactory) -> Simulator:
    return make_simulator("--latency", "0.1")


async def test_work_on_one_is_watched_on_the_other_and_after_its_death(
    worker: Server, watcher: Server, simulator: Simulator
) -> None:
    token = worker.sign_in()
    work = Work(worker, simulator, token)
    async with streaming(watcher, token) as stream, signed_in(watcher, token) as talk:
        await stream.hear()
        await talk.say("subscribe")
        task_id = await asyncio.to_thread(work.start_task, 60)
        await stream.hear_until(lambda event: event["type"] == "task.progress")
        frame = await talk.hear_until(lambda frame: frame["type"] == "event" and "progress" in frame["data"]["type"])
        assert frame["data"]["topic"] in ("tasks", "jobs")
        last_id, last_seen = stream.last_id, talk.events[-1]["id"]
        before = {event["type"] for event in stream.heard}
        watcher.kill()
    assert {"task.started", "job.started", "job.queued"} & before
    assert "task.ended" not in before
    status: dict[str, Any] = {}
    async with asyncio.timeout(60):
        while status.get("status") != "finished":
            await asyncio.sleep(0.1)
            status = await asyncio.to_thread(lambda: worker.get(f"/api/status/{task_id}", token)["data"])
    async with streaming(worker, token, headers={"Last-Event-ID": last_id}) as stream:
        end = await stream.hear_until(lambda event: event["type"] == "task.ended")
    assert end["data"]["task_id"] == task_id
    assert (end["data"]["current"], end["data"]["status"]) == (120, "finished")
    async with signed_in(worker, token) as talk:
        await talk.say("subscribe", {"topics": ["tasks", "jobs"], "after": last_seen})
        await talk.hear_until(lambda frame: frame["type"] == "resumed")
    types = [event["type"] for event in talk.events]
    assert {"task.ended", "job.ended"} <= set(types)
    assert end["id"] in {event["id"] for event in talk.events}, "the same event on every instance"


async def test_signing_out_on_one_ends_the_watcher_on_the_other(worker: Server, watcher: Server) -> None:
    body = {"username": "olga", "password": "a-Password-1"}
    token = str(worker.post("/api/v1/auth/register", body)["token"])
    async with signed_in(watcher, token) as talk, streaming(watcher, token) as stream:
        await stream.hear()
        await asyncio.to_thread(worker.post, "/api/v1/auth/logout", {}, token)
        assert await talk.closed() == 4401
        async with asyncio.timeout(10):
            assert await stream.answer.content.read() == b""
