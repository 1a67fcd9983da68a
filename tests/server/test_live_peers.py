"""Peers that do not behave: read slowly or not at all, vanish, or stay when the server goes.

The listening server is the product's own, with its protocol and limits; only what happens is made up.
"""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
import uvicorn

from tests.server.live_bench import Rights, person
from tests.server.live_clients import BareSocket, bare_to
from tidemill.kernel.actor import Actor
from tidemill.kernel.errors import Conflict
from tidemill.platform.db import Database
from tidemill.platform.settings import Settings
from tidemill.platform.tasks import TaskOwner
from tidemill.platform.web.guards import ACTOR
from tidemill.server.entry import Receive, Scope, Send
from tidemill.server.live import closing
from tidemill.server.live.event import LiveEvent, now_ms
from tidemill.server.live.frames import Caller, Frame, FrameHandlers
from tidemill.server.live.hub import Hub, Limits
from tidemill.server.live.outbox import LIMIT, Outgoing
from tidemill.server.live.replay import Replays
from tidemill.server.live.socket import Sockets
from tidemill.server.live.stream import EventStream
from tidemill.server.live.subscribing import answer_topics
from tidemill.server.process import listening_config

DEADLINE_S = 30.0
PING_S = 0.2
# More than the buffers of both kernels hold.
LARGE = "x" * 60_000


class House:
    """The product's listening server before a hub that the test speaks through."""

    def __init__(self, db: Database) -> None:
        rights = Rights()
        self.hub = Hub(Replays(db, {}), rights, Limits(most=10, of_user=10))
        self.frames = FrameHandlers()
        answer_topics(self.frames, self.hub)
        self._sockets = Sockets(self.hub, self.frames, self._greet, rights.standing)
        self._stream = EventStream(self.hub, rights.standing(person(1)), frozenset({"jobs"}), None, everybody=False)
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        self.port: int = listener.getsockname()[1]
        config = listening_config(self, Settings())
        config.ws_ping_interval = config.ws_ping_timeout = PING_S
        self._server = uvicorn.Server(config)
        self._tasks = TaskOwner()
        self._serving = self._tasks.spawn("test.serve", self._server._serve([listener]))  # pyright: ignore[reportPrivateUsage] - without its signal handlers

    async def _greet(self, token: str, client_ip: str | None) -> Actor | None:
        del token, client_ip
        return None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            scope["state"][ACTOR] = person(1)
            await self._sockets(scope, receive, send)
        else:
            await self._stream(scope, receive, send)

    async def until_started(self) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not self._server.started:
                await asyncio.sleep(0.01)

    @property
    def connections(self) -> int:
        return len(self._server.server_state.connections)

    async def until_left(self) -> None:
        """Wait until nobody watches and no connection is left."""
        async with asyncio.timeout(DEADLINE_S):
            while len(self.hub) or self.connections:
                await asyncio.sleep(0.01)

    async def until_watched(self) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not self.hub.watched("jobs", 1):
                await asyncio.sleep(0.01)

    async def tell(self, count: int, keys: int, text: str = LARGE) -> None:
        """Let ``count`` things happen to ``keys`` jobs of user 1."""
        for number in range(count):
            data = {"number": number, "text": text}
            key = str(number % keys)
            self.hub.tell(LiveEvent("job.progress", "jobs", key=key, version="", at_ms=now_ms(), user_id=1, data=data))
            await asyncio.sleep(0)

    def begin_stop(self) -> None:
        self._server.should_exit = True

    async def close(self) -> None:
        self.begin_stop()
        await self.hub.close()
        await self._serving
        await self._tasks.cancel()


@pytest.fixture
async def house(memory_database: Database) -> AsyncIterator[House]:
    made = House(memory_database)
    await made.until_started()
    yield made
    await made.close()


async def subscribed(peer: BareSocket) -> None:
    peer.frame(1, b'{"v":1,"type":"subscribe","data":{"topics":["jobs"]}}')
    kinds = [(await peer.hear())["type"] for _ in range(2)]
    assert kinds == ["ready", "subscribed"]


async def test_a_peer_that_reads_nothing_is_cut_off_with_a_reason(house: House) -> None:
    async with bare_to(house.port) as peer:
        await subscribed(peer)
        await house.tell(LIMIT * 3, keys=LIMIT * 3)
        async with asyncio.timeout(DEADLINE_S):
            while len(house.hub):
                await asyncio.sleep(0.01)
        assert await peer.close_code() == closing.TRY_LATER


async def test_one_that_never_reads_is_not_waited_for(house: House) -> None:
    async with bare_to(house.port) as peer:
        await subscribed(peer)
        await house.tell(LIMIT * 3, keys=LIMIT * 3)
        await house.until_left()


async def test_a_peer_that_is_slow_for_a_while_gets_the_newest_of_each(house: House) -> None:
    async with bare_to(house.port) as peer:
        await subscribed(peer)
        count = LIMIT * 3
        await house.tell(count, keys=7)
        newest: dict[str, int] = {}
        while newest.get("5", 0) < count - 7:
            event = (await peer.hear())["data"]
            key, number = event["id"].split(".")[2], event["data"]["number"]
            assert number > newest.get(key, -1)
            newest[key] = number
        assert len(house.hub) == 1


async def test_a_slow_stream_is_folded_and_then_told_to_read_again(house: House) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port, limit=2**10)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    await house.until_watched()
    await house.tell(LIMIT * 3, keys=LIMIT * 3)
    await house.tell(1, keys=1, text="the last")
    assert len(house.hub) == 1, "a stream is not cut off"
    seen, was_reset = b"", False
    async with asyncio.timeout(DEADLINE_S):
        while b"the last" not in seen:
            seen = seen[-1_000:] + await reader.read(2**16)
            was_reset = was_reset or b'"type":"reset"' in seen
    assert was_reset
    writer.transport.abort()
    await house.until_left()


async def test_a_peer_that_has_vanished_is_noticed(house: House) -> None:
    async with bare_to(house.port) as peer:
        await subscribed(peer)
        # It reads, but answers no ping, as a network that is gone would not.
        assert await peer.close_code() in (1011, -1)
        await house.until_left()


async def test_a_peer_that_answers_pings_stays(house: House) -> None:
    async with bare_to(house.port) as peer:
        await subscribed(peer)
        for _ in range(5):
            opcode, payload = await peer.read_frame()
            assert opcode == 9
            peer.frame(10, payload)
        assert len(house.hub) == 1


async def test_a_peer_that_closes_is_answered(house: House) -> None:
    async with bare_to(house.port) as peer:
        await subscribed(peer)
        peer.frame(8, (1000).to_bytes(2, "big"))
        assert await peer.close_code() == 1000
        await house.until_left()


async def test_the_end_of_the_server_reaches_sockets_that_nobody_told(house: House) -> None:
    async with bare_to(house.port) as peer:
        await subscribed(peer)
        house.begin_stop()
        assert await peer.close_code() == closing.GOING_AWAY


async def test_other_contexts_add_frames_by_name(house: House) -> None:
    async def send(caller: Caller, frame: Frame) -> None:
        words = frame.read(dict[str, str])
        if "text" not in words:
            raise Conflict("say something")
        caller.reply(frame, "accepted", {"by": caller.actor.username, "lang": caller.lang})
        caller.push(Outgoing("delta", b'{"text":"hel"}', run=frame.run))

    async def broken(caller: Caller, frame: Frame) -> None:
        raise TimeoutError(f"{caller.lang} {frame.kind}")

    house.frames.on("send", send)
    house.frames.on("broken", broken)
    with pytest.raises(ValueError, match="answers frames of type send already"):
        house.frames.on("send", send)
    async with bare_to(house.port) as peer:
        await peer.hear()
        peer.frame(1, b'{"v":1,"type":"send","id":"7","run":"r-1","data":{"text":"hello"}}')
        accepted = await peer.hear()
        assert (accepted["type"], accepted["id"], accepted["run"]) == ("accepted", "7", "r-1")
        assert accepted["data"] == {"by": "user1", "lang": "en"}
        delta = await peer.hear()
        assert (delta["type"], delta["run"], delta["seq"], "id" in delta) == ("delta", "r-1", 3, False)
        peer.frame(1, b'{"v":1,"type":"send","id":"8"}')
        assert (await peer.hear())["data"]["code"] == "conflict"
        peer.frame(1, b'{"v":1,"type":"broken","id":"9"}')
        failed = await peer.hear()
        assert (failed["data"]["code"], failed["data"]["retryable"]) == ("internal_error", True)
        peer.frame(1, b'{"v":1,"type":"ping"}')
        assert (await peer.hear())["type"] == "pong"
