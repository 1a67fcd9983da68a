"""What one relayed call may cost, in things that can be counted: the clock's part of it is bench's."""

import asyncio
import gc
import os
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.relay.rig import ADMIN, box, identify
from tidemill.metering.facade import Meter
from tidemill.metering.journal import writer as journal
from tidemill.platform.db import Database
from tidemill.platform.settings.groups.gateway import GatewaySettings
from tidemill.relay import app as relay_app
from tidemill.relay.app import RelayContext
from tidemill.relay.asgi import RelayApp
from tidemill.relay.contracts import ChannelWish
from tidemill.relay.ports import LEAVING, POST
from tidemill.relay.upstreams.port import Errand, Take

MANY = 50
ANSWER = (
    b'{"id":"c","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"word"},'
    b'"finish_reason":"stop"}],"usage":{"prompt_tokens":2,"completion_tokens":1,"total_tokens":3}}'
)
EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"word"},"finish_reason":null}]}\n\n'
LAST = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


class Answer:
    """An answer whose pieces come one after the other, ``pause_s`` apart, from callbacks as those of a socket."""

    status = 200
    headers: Mapping[str, str] = {"content-type": "application/json"}

    def __init__(self, pieces: Sequence[bytes], pause_s: float) -> None:
        self._pieces = list(pieces)
        self._pause_s = pause_s

    async def read(self, limit: int) -> bytes:
        del limit
        return b"".join(self._pieces)

    async def next(self) -> bytes:
        await asyncio.sleep(self._pause_s)
        return self._pieces.pop(0) if self._pieces else b""

    async def pour(self, take: Take) -> None:
        loop = asyncio.get_running_loop()
        over = loop.create_future()
        loop.call_soon(self._come, take, over)
        await over

    def _come(self, take: Take, over: "asyncio.Future[None]") -> None:
        piece = self._pieces.pop(0) if self._pieces else b""
        if take(piece) or not piece:
            over.set_result(None)
        else:
            asyncio.get_running_loop().call_later(self._pause_s, self._come, take, over)

    async def finish(self) -> None:
        """Nothing to give back."""

    async def abort(self) -> None:
        """Nothing to close."""


class Instant:
    """An upstream client without a network."""

    def __init__(self) -> None:
        self.stream: Sequence[bytes] = ()
        self.pause_s = 0.0

    async def send(self, errand: Errand) -> Answer:
        return Answer(self.stream if b'"stream":true' in errand.body else [ANSWER], self.pause_s)

    async def forget(self, pool: int) -> None:
        """Nothing to close."""

    async def close(self) -> None:
        """Nothing to close."""


def _instead(upstream: Instant) -> Callable[[GatewaySettings], Instant]:
    return lambda _settings: upstream


class Caller:
    """Calls the application as a server would, and keeps what it was sent."""

    def __init__(self, app: RelayApp) -> None:
        self._app = app
        self.sent: list[Any] = []
        self.told: list[Callable[[], None]] = []  # who wants to hear of the client's leaving
        self.posted: list[bytes] = []
        self.has_posted = asyncio.Event()
        # The tasks that posted; None where it was the loop itself.
        self.posted_by: set[object] = set()

    def _post(self, data: bytes) -> bool:
        self.posted.append(data)
        self.has_posted.set()
        self.posted_by.add(asyncio.current_task())
        return True

    def tell(self, told: Callable[[], None]) -> None:
        self.told.append(told)

    def forget(self, told: Callable[[], None]) -> None:
        self.told.remove(told)

    async def call(self, *, stream: bool = False, posts: bool = False) -> None:
        flag = ',"stream":true' if stream else ""
        body = f'{{"model":"m","messages":[{{"role":"user","content":"hi"}}]{flag}}}'.encode()
        arriving = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def receive() -> Any:
            return next(arriving, None) or await asyncio.get_running_loop().create_future()

        async def send(message: Any) -> None:
            self.sent.append(message)

        scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/chat/completions",
            "query_string": b"",
            "headers": [(b"authorization", b"Bearer user-1"), (b"content-type", b"application/json")],
            "extensions": {POST: self._post, LEAVING: self} if posts else {},
        }
        await asyncio.get_running_loop().create_task(self._app(scope, receive, send))

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])


class Counter:
    """Wraps functions to count how often they are called."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def around(self, name: str, inner: Callable[..., Any]) -> Callable[..., Any]:
        def counting(*args: Any, **named: Any) -> Any:
            self.calls.append(name)
            return inner(*args, **named)

        return counting


class Ground:
    """A relay with everything on: key, limits, choice, usage in a journal."""

    def __init__(self, caller: Caller, upstream: Instant, counter: Counter) -> None:
        self.caller = caller
        self.upstream = upstream
        self.counter = counter


@pytest.fixture
async def ground(
    memory_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> AsyncGenerator[Ground]:
    upstream, counter = Instant(), Counter()
    monkeypatch.setattr(relay_app, "open_upstreams", _instead(upstream))
    meter = Meter(memory_database, tmp_path)
    settings = GatewaySettings(caller_rpm=1_000_000, caller_max_concurrent=1000)
    # Where no tick comes no call pays for a task that listens for its client's leaving.
    tick_s: float = getattr(request, "param", 3600)
    context = RelayContext(db=memory_database, secrets=box(), meter=meter, settings=settings, tick_s=tick_s)
    await context.start()
    wish = ChannelWish(name="one", base_url="http://127.0.0.1:9", models={"m": "m"}, keys=["sk-x"], max_concurrent=10)
    await context.channels.create(ADMIN, wish, None)
    caller = Caller(context.asgi(identify))
    await caller.call()  # opens the journal
    assert caller.status == 200
    caller.sent.clear()
    monkeypatch.setattr(memory_database, "read", counter.around("sql", memory_database.read))
    monkeypatch.setattr(memory_database, "write", counter.around("sql", memory_database.write))
    monkeypatch.setattr(journal.os, "write", counter.around("journal", os.write))
    yield Ground(caller, upstream, counter)
    monkeypatch.undo()
    await context.close()
    await meter.close()


async def test_a_plain_call_is_two_messages_one_write_to_the_journal_and_no_sql(ground: Ground) -> None:
    await ground.caller.call()
    assert [message["type"] for message in ground.caller.sent] == ["http.response.start", "http.response.body"]
    assert ground.counter.calls == ["journal"]


async def test_a_stream_is_a_message_for_each_read_and_one_write_to_the_journal(ground: Ground) -> None:
    ground.upstream.stream = [EVENT] * MANY + [LAST]
    await ground.caller.call(stream=True)
    # The head, each event, and what the last read held with [DONE].
    assert len(ground.caller.sent) == 1 + MANY + 1
    assert ground.counter.calls == ["journal"]


async def test_what_the_upstream_sent_at_once_goes_on_at_once(ground: Ground) -> None:
    ground.upstream.stream = [EVENT * MANY, LAST]
    await ground.caller.call(stream=True)
    assert len(ground.caller.sent) == 1 + 1 + 1
    assert ground.caller.sent[1]["body"] == EVENT * MANY


async def test_an_event_goes_on_in_the_callback_that_brought_it(ground: Ground) -> None:
    ground.upstream.stream = [EVENT] * MANY + [LAST]
    await ground.caller.call(stream=True, posts=True)
    # Sent are the head, the first event, which decides that this service answers, and the last with [DONE].
    assert [message.get("body") for message in ground.caller.sent[1:]] == [EVENT, LAST]
    assert ground.caller.posted == [EVENT] * (MANY - 1)
    assert ground.caller.posted_by == {None}, "no task is woken for an event"


@pytest.mark.parametrize("ground", [0.001], indirect=True, ids=["ticking"])
async def test_no_task_listens_for_a_client_whose_server_tells_of_its_leaving(ground: Ground) -> None:
    ground.upstream.stream, ground.upstream.pause_s = [EVENT] * 3 + [LAST], 0.02
    tasks = len(asyncio.all_tasks())
    call = asyncio.ensure_future(ground.caller.call(stream=True, posts=True))
    await ground.caller.has_posted.wait()
    assert len(asyncio.all_tasks()) == tasks + 2, "this test's and the server's, and none beside"
    (leave,) = ground.caller.told
    leave()
    await call
    assert ground.caller.told == []


async def test_a_call_leaves_nothing_for_the_collector(ground: Ground) -> None:
    ground.upstream.stream = [EVENT] * 3 + [LAST]
    assert await _left_by(ground) < MANY, "less than one object a call: whatever else the process does meanwhile"


@pytest.mark.parametrize("ground", [0.001], indirect=True, ids=["ticking"])
async def test_nor_does_one_so_long_that_its_client_is_listened_for(ground: Ground) -> None:
    ground.upstream.stream, ground.upstream.pause_s = [EVENT] * 3 + [LAST], 0.005
    assert await _left_by(ground) < MANY


async def _left_by(ground: Ground) -> int:
    """Make calls and return how many objects they left behind in circles."""
    await ground.caller.call(stream=True, posts=True)
    gc.collect()
    gc.disable()
    try:
        for number in range(MANY):
            await ground.caller.call(stream=number % 2 == 0, posts=number % 4 == 0)
        return gc.collect()
    finally:
        gc.enable()
