"""The event stream of a running server, with real tasks and calls behind it."""

import asyncio
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest

from tests.fixtures.processes import Server, ServerFactory, Simulator
from tests.server.live_clients import signed_in, streaming
from tests.server.live_work import Work


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    factory = ServerFactory(tmp_path_factory.mktemp("streams"))
    yield factory().start()
    factory.close()


@pytest.fixture(scope="module")
def admin(running: Server) -> str:
    return running.sign_in()


@pytest.fixture(scope="module")
def work(running: Server, admin: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Work]:
    simulator = Simulator(tmp_path_factory.mktemp("model"), "--latency", "0.1")
    yield Work(running, simulator, admin)
    simulator.end_group()


def registered(server: Server, name: str) -> str:
    """Return the token of a new user."""
    return str(server.post("/api/v1/auth/register", {"username": name, "password": "a-Password-1"})["token"])


async def test_a_task_is_told_from_start_to_end(running: Server, admin: str, work: Work) -> None:
    async with streaming(running, admin, "?topics=tasks,jobs") as stream:
        assert stream.answer.headers["content-type"].startswith("text/event-stream")
        assert stream.answer.headers["x-accel-buffering"] == "no"
        ready = await stream.hear()
        assert (ready["type"], ready["data"]["topics"], ready["id"]) == ("ready", ["jobs", "tasks"], stream.last_id)
        task_id = await asyncio.to_thread(work.start_task, 40)
        while not {"task.ended", "job.ended"} <= {event["type"] for event in stream.heard}:
            await stream.hear()
    told = [event for event in stream.heard if event["topic"] == "tasks"]
    assert told[0]["type"] == "task.started"
    assert {event["data"]["task_id"] for event in told} == {task_id}
    shown = [event["data"] for event in told if event["type"] == "task.progress"]
    assert shown, "80 rows of 0.1 s by four at a time take two seconds"
    assert [event["current"] for event in shown] == sorted(event["current"] for event in shown)
    ended = told[-1]["data"]
    assert (ended["status"], ended["current"], ended["percent"]) == ("finished", 80, 100.0)
    jobs = [event for event in stream.heard if event["topic"] == "jobs"]
    assert {event["type"] for event in jobs} >= {"job.ended"}
    assert jobs[-1]["data"]["status"] == "succeeded"
    identifiers = [event["id"] for event in stream.heard]
    assert len(set(identifiers)) == len(identifiers)


async def test_nobody_else_hears_of_it(running: Server, admin: str, work: Work) -> None:
    other = registered(running, "nosy")
    async with streaming(running, other) as stream, streaming(running, admin, "?all=1") as everybody:
        task_id = await asyncio.to_thread(work.start_task, 1)
        while not {"task.ended", "usage"} <= {event["type"] for event in everybody.heard}:
            await everybody.hear()
        # Something of one's own, made after all that, comes first.
        await asyncio.to_thread(
            running.post,
            "/v1/chat/completions",
            {"model": "sim", "messages": [{"role": "user", "content": "mine"}]},
            other,
        )
        mine = await stream.hear_until(lambda event: event["type"] == "usage")
    assert mine["data"]["requests"] == 1
    assert [event["type"] for event in stream.heard] == ["ready", "usage"]
    assert task_id in {event["data"].get("task_id") for event in everybody.heard}


async def test_usage_is_told_as_the_days_total(running: Server, work: Work) -> None:
    token = registered(running, "spender")
    body = {"model": "sim", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 8}
    async with streaming(running, token, "?topics=usage") as stream:
        await stream.hear()
        await asyncio.to_thread(running.post, "/v1/chat/completions", body, token)
        first = (await stream.hear())["data"]
        await asyncio.to_thread(running.post, "/v1/chat/completions", body, token)
        second = (await stream.hear())["data"]
    assert (first["requests"], second["requests"]) == (1, 2)
    assert second["total_tokens"] == 2 * first["total_tokens"] > 0
    del work


async def test_what_was_missed_is_told_after_the_last_event_id(running: Server, admin: str, work: Work) -> None:
    async with streaming(running, admin) as stream:
        await stream.hear()
        last_id = stream.last_id
    task_id = await asyncio.to_thread(work.start_task, 1)
    async with streaming(running, admin) as stream:
        await stream.hear_until(lambda event: event["data"].get("task_id") == task_id and "ended" in event["type"])

    def its_end(event: dict[str, Any]) -> bool:
        return event["type"] == "task.ended" and event["data"]["task_id"] == task_id

    async with streaming(running, admin, headers={"Last-Event-ID": last_id}) as stream:
        missed = await stream.hear_until(its_end)
    async with streaming(running, admin, f"?after={missed['id']}") as stream:
        assert (await stream.hear_until(its_end))["id"] == missed["id"], "a repeat carries the same id"
    async with streaming(running, admin, "?topics=usage", headers={"Last-Event-ID": missed["id"]}) as stream:
        assert (await stream.hear())["type"] == "ready"
        await asyncio.to_thread(work.call)
        assert (await stream.hear())["type"] == "usage", "only what is watched is told again"
    async with signed_in(running, admin) as talk:
        await talk.say("subscribe", {"topics": ["tasks"]})
        await talk.say("resume", {"after": last_id}, id="r")
        resumed = await talk.hear_until(lambda frame: frame["type"] == "resumed")
    assert resumed["id"] == "r"
    assert resumed["data"] == {"events": len(talk.events), "reset": False}
    assert missed["id"] in {event["id"] for event in talk.events}


@pytest.mark.parametrize("after", ["1700000000000", "not-an-id", "99999999999999999999999"])
async def test_a_position_that_is_no_more_asks_for_a_new_reading(running: Server, admin: str, after: str) -> None:
    async with streaming(running, admin, headers={"Last-Event-ID": after}) as stream:
        assert [(await stream.hear())["type"] for _ in range(2)] == ["ready", "reset"]


async def test_a_position_ahead_of_the_clock_is_now(running: Server, admin: str) -> None:
    async with streaming(running, admin, headers={"Last-Event-ID": "9999999999999"}) as stream:
        assert (await stream.hear())["type"] == "ready"


async def test_credentials_of_a_stream(running: Server, admin: str) -> None:
    cookie = {"Cookie": f"tidemill_session={admin}"}
    for query, headers, status in (
        (f"?access_token={admin}", {}, 200),
        ("", cookie, 200),
        ("", {}, 401),
        ("?access_token=wrong", {}, 401),
        ("?topics=secrets", cookie, 400),
    ):
        async with streaming(running, None, query, headers) as stream:
            assert stream.answer.status == status, query
    async with streaming(running, registered(running, "climber"), "?all=1") as stream:
        assert stream.answer.status == 403
        assert (await stream.answer.json(content_type=None))["type"] == "urn:tidemill:administrator_required"


async def test_signs_of_life_move_the_position_on(running: Server, admin: str) -> None:
    async with streaming(running, admin) as stream:
        await stream.hear()
        first = int(stream.last_id)
        block = await stream.block()
    assert block.startswith(": ")
    assert int(block.split("id: ")[1]) > first


async def test_a_revoked_session_ends_its_stream(running: Server) -> None:
    token = registered(running, "leaver")
    async with streaming(running, token) as stream:
        await stream.hear()
        await asyncio.to_thread(running.post, "/api/v1/auth/logout", {}, token)
        async with asyncio.timeout(10):
            assert await stream.answer.content.read() == b""
    async with streaming(running, token) as stream:
        assert stream.answer.status == 401


async def test_a_stopping_server_ends_its_streams(make_server: ServerFactory) -> None:
    server = make_server().start()
    token = server.sign_in()
    async with streaming(server, token) as stream:
        await stream.hear()
        stopping = asyncio.create_task(asyncio.to_thread(server.stop))
        async with asyncio.timeout(10):
            assert await stream.answer.content.read() == b"", "ended in order, not cut off"
            assert await stopping == 0
    with pytest.raises(aiohttp.ClientConnectionError):
        async with streaming(server, token):
            pass
