"""What is written to a socket, write by write: an answer's head never travels alone if its body is there."""

import asyncio
from collections.abc import Callable
from typing import Any

import uvicorn
from uvicorn.server import ServerState

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
