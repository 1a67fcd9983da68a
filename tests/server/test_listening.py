"""What is written to a socket, write by write: an answer's head never travels alone if its body is there."""

import asyncio
from collections.abc import Callable
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from tidemill.relay.ports import LEAVING
from tidemill.relay.ports import POST as POST_EXTENSION
from tidemill.server.listening import Listener

GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n"
START = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]}
DEADLINE_S = 10.0


class Wire(asyncio.Transport):
    """A transport that notes what is written, and that it was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.closed = False

    def write(self, data: Any) -> None:
        assert not self.closed
        self.writes.append(bytes(data))

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        """Nothing reads here."""

    def resume_reading(self) -> None:
        """Nothing reads here."""


async def settled(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not done():
            await asyncio.sleep(0)


def connected(app: Any) -> tuple[Listener, Wire]:
    config = uvicorn.Config(app, lifespan="off", log_config=None)
    config.load()
    listener, wire = Listener(config, ServerState(), {}), Wire()
    listener.connection_made(wire)
    return listener, wire


async def answers(scope: Any, receive: Any, send: Any) -> None:
    del scope, receive
    await send(START)
    await send({"type": "http.response.body", "body": b"ok"})


async def test_a_whole_answer_is_one_write() -> None:
    listener, wire = connected(answers)
    listener.data_received(GET)
    await settled(lambda: bool(wire.writes))
    assert len(wire.writes) == 1
    assert wire.writes[0].startswith(b"HTTP/1.1 200")
    assert wire.writes[0].endswith(b"\r\n\r\nok")


async def test_answers_of_one_connection_do_not_mix() -> None:
    listener, wire = connected(answers)
    listener.data_received(GET + GET)
    listener.data_received(GET)
    await settled(lambda: len(wire.writes) == 3)
    assert all(one.startswith(b"HTTP/1.1 200") and one.endswith(b"\r\n\r\nok") for one in wire.writes)


async def test_a_head_waits_for_nothing_but_the_loop() -> None:
    go_on = asyncio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        del scope, receive
        await send(START)
        await go_on.wait()
        await send({"type": "http.response.body", "body": b"o", "more_body": True})
        await send({"type": "http.response.body", "body": b"k"})

    listener, wire = connected(slow)
    listener.data_received(GET)
    await settled(lambda: bool(wire.writes))
    assert wire.writes[0].endswith(b"\r\n\r\n")
    go_on.set()
    await settled(lambda: len(wire.writes) == 3)
    assert wire.writes[1:] == [b"o", b"k"]


async def test_an_interim_answer_is_not_held_back() -> None:
    async def reads(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await answers(scope, receive, send)

    listener, wire = connected(reads)
    listener.data_received(POST)
    await settled(lambda: bool(wire.writes))
    assert wire.writes == [b"HTTP/1.1 100 Continue\r\n\r\n"]
    listener.data_received(b"{}")
    await settled(lambda: len(wire.writes) == 2)
    assert wire.writes[1].endswith(b"\r\n\r\nok")


async def test_a_connection_closes_with_everything_sent() -> None:
    async def breaks(scope: Any, receive: Any, send: Any) -> None:
        del scope, receive
        await send(START)
        raise ConnectionError("half-way")

    listener, wire = connected(breaks)
    listener.data_received(GET)
    await settled(lambda: wire.closed)
    assert len(wire.writes) == 1
    assert wire.writes[0].startswith(b"HTTP/1.1 200")

    listener, wire = connected(answers)
    listener.data_received(GET.replace(b"host", b"connection: close\r\nhost"))
    await settled(lambda: wire.closed)
    assert len(wire.writes) == 1
    assert wire.writes[0].endswith(b"\r\n\r\nok")


async def test_a_posted_part_is_what_a_sent_one_would_be() -> None:
    async def streams(scope: Any, receive: Any, send: Any) -> None:
        del receive
        post = scope["extensions"][POST_EXTENSION]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for part in (b"one", b"x" * 300):
            if scope["path"] == "/posted":
                assert post(part)
            else:
                await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b"last"})

    answers: list[bytes] = []
    for path in (b"/posted", b"/sent"):
        listener, wire = connected(streams)
        listener.data_received(GET.replace(b"/", path, 1))
        await settled(lambda wire=wire: bool(wire.writes) and wire.writes[-1].endswith(b"0\r\n\r\n"))
        answers.append(b"".join(wire.writes))
    assert answers[0] == answers[1]
    assert answers[0].partition(b"\r\n\r\n")[2].startswith(b"3\r\none\r\n12c\r\nx")


async def test_nothing_is_posted_before_the_head_or_to_a_client_that_is_behind_or_gone_and_never_nothing() -> None:
    posted: list[bool] = []
    behind, gone = asyncio.Event(), asyncio.Event()

    async def streams(scope: Any, receive: Any, send: Any) -> None:
        del receive
        post = scope["extensions"][POST_EXTENSION]
        posted.append(post(b"zero"))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        posted.append(post(b"one"))
        posted.append(post(b""))
        await behind.wait()
        posted.append(post(b"two"))
        await gone.wait()
        posted.append(post(b"three"))

    listener, wire = connected(streams)
    listener.data_received(GET)
    await settled(lambda: len(posted) == 3)
    listener.pause_writing()
    behind.set()
    await settled(lambda: len(posted) == 4)
    listener.resume_writing()
    wire.closed = True
    gone.set()
    await settled(lambda: len(posted) == 5)
    assert posted == [False, True, False, False, False]
    assert wire.writes[-1].endswith(b"3\r\none\r\n")


async def test_a_client_that_leaves_is_told_of_at_once_and_to_nobody_who_forgot() -> None:
    told: list[str] = []
    leaving: list[Any] = []
    left = asyncio.Event()

    def one() -> None:
        told.append("one")

    def two() -> None:
        told.append("two")

    async def waits(scope: Any, receive: Any, send: Any) -> None:
        del receive, send
        leaving.append(scope["extensions"][LEAVING])
        leaving[0].tell(one)
        leaving[0].tell(two)
        leaving[0].forget(one)
        await left.wait()

    listener, _ = connected(waits)
    listener.data_received(GET)
    await settled(lambda: bool(leaving))
    assert told == []
    listener.connection_lost(None)
    assert told == ["two"]
    leaving[0].tell(one)
    assert told == ["two", "one"], "who asks later hears that it has left"
    left.set()


async def test_the_end_of_a_connection_is_read_behind_a_long_body() -> None:
    reading: list[bool] = []
    done = asyncio.Event()

    class Watched(Wire):
        def pause_reading(self) -> None:
            reading.append(False)

        def resume_reading(self) -> None:
            reading.append(True)

    async def waits(scope: Any, receive: Any, send: Any) -> None:
        del scope, receive, send
        await done.wait()

    config = uvicorn.Config(waits, lifespan="off", log_config=None)
    config.load()
    listener = Listener(config, ServerState(), {})
    listener.connection_made(Watched())
    body = b"x" * 200_000
    listener.data_received(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
    assert reading == [False, True], "nobody has taken the body, and it is whole"
    listener.data_received(GET)
    assert reading == [False, True, False], "a request behind it waits for its turn, and so do all after it"
    done.set()
