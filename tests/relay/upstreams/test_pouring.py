"""A body that is handed over as it comes: by every client that there is, in order, once, and to its end."""

import asyncio
import gzip
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.relay.upstreams.conftest import Open, Serve
from tests.relay.upstreams.far import DEADLINE_S, MEGABYTE, Asked, Line, Script, asking
from tidemill.relay.upstreams.http1.connection import Connection
from tidemill.relay.upstreams.port import UpstreamBrokenError

CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
A, B_AND_END = b"1\r\na\r\n", b"1\r\nb\r\n0\r\n\r\n"


def says(first: bytes, moment: asyncio.Event, *rest: bytes) -> Script:
    """Return a service that says the first part of a body and, from that moment on, the rest."""

    async def script(line: Line, asked: Asked) -> None:
        del asked
        await line.say(CHUNKED, first)
        await moment.wait()
        await line.say(*rest)

    return script


class Taker:
    """Keeps what it is handed; wants no more after ``enough`` bytes."""

    def __init__(self, enough: int | None = None) -> None:
        self.enough = enough
        self.pieces: list[bytes] = []
        self.fed = asyncio.Event()

    def __call__(self, data: bytes) -> bool:
        self.pieces.append(data)
        self.fed.set()
        return self.enough is not None and len(self.text) >= self.enough

    @property
    def text(self) -> bytes:
        return b"".join(self.pieces)


async def test_what_comes_is_handed_over_and_the_end_once(engine: Open, serve: Serve) -> None:
    taker = Taker()

    service, upstreams = await serve(says(b"5\r\nfirst\r\n", taker.fed, b"6\r\nsecond\r\n0\r\n\r\n")), engine()
    answer = await asking(upstreams, service)
    async with asyncio.timeout(DEADLINE_S):
        await answer.pour(taker)
    assert taker.pieces == [b"first", b"second", b""]
    await answer.finish()
    taker.fed.set()
    await asking(upstreams, service)
    assert len(service.lines) == 1, "its connection serves again"


async def test_who_wants_no_more_leaves_the_rest_for_the_next(engine: Open, serve: Serve) -> None:
    first, second = Taker(enough=1), Taker()
    script = says(A, first.fed, b"1\r\nb\r\n", b"1\r\nc\r\n0\r\n\r\n")
    answer = await asking(engine(), await serve(script))
    async with asyncio.timeout(DEADLINE_S):
        await answer.pour(first)
        assert first.pieces == [b"a"]
        assert await answer.next() in {b"b", b"bc"}
        await answer.pour(second)
    assert b"bc".endswith(second.text)
    assert second.pieces[-1] == b""


async def test_what_the_taker_raises_comes_back_and_nothing_is_lost_with_it(engine: Open, serve: Serve) -> None:
    refused = asyncio.Event()

    def refuse(data: bytes) -> bool:
        refused.set()
        raise LookupError(data)

    answer, rest = await asking(engine(), await serve(says(A, refused, B_AND_END))), Taker()
    async with asyncio.timeout(DEADLINE_S):
        with pytest.raises(LookupError, match="a"):
            await answer.pour(refuse)
        await answer.pour(rest)
    assert rest.text == b"b"


async def test_a_body_that_breaks_is_told_after_what_came_of_it(engine: Open, serve: Serve) -> None:
    async def script(line: Line, asked: Asked) -> None:
        del asked
        await line.say(CHUNKED, b"4\r\nhalf\r\n")
        await taker.fed.wait()
        line.close()

    taker = Taker()
    answer = await asking(engine(), await serve(script))
    async with asyncio.timeout(DEADLINE_S):
        with pytest.raises(UpstreamBrokenError):
            await answer.pour(taker)
    assert taker.pieces == [b"half"]
    await answer.abort()


async def test_who_is_cancelled_is_handed_nothing_more(engine: Open, serve: Serve) -> None:
    cancelled = asyncio.Event()
    first, second = Taker(), Taker()
    answer = await asking(engine(), await serve(says(A, cancelled, B_AND_END)))
    task = asyncio.get_running_loop().create_task(answer.pour(first))
    async with asyncio.timeout(DEADLINE_S):
        await first.fed.wait()
        task.cancel()
        cancelled.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        await answer.pour(second)
    assert (first.text, second.text) == (b"a", b"b")


async def test_a_long_body_and_a_packed_one_are_poured_whole(engine: Open, serve: Serve) -> None:
    text = bytes(range(256)) * (4 * MEGABYTE // 256)

    async def script(line: Line, asked: Asked) -> None:
        if asked.body == b"packed":
            packed = gzip.compress(text, compresslevel=1)
            await line.plain(packed, "content-encoding: gzip")
        else:
            await line.plain(text)

    service, upstreams = await serve(script), engine()
    for wish in (b"plain", b"packed"):
        taker = Taker()
        answer = await asking(upstreams, service, wish)
        async with asyncio.timeout(DEADLINE_S):
            await answer.pour(taker)
        assert taker.text == text
        assert taker.pieces.count(b"") == 1
        await answer.finish()


class Socket(asyncio.Transport):
    """A way out that leads nowhere."""

    def write(self, data: object) -> None:
        """Take a request."""

    def abort(self) -> None:
        """Close."""

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        """Stop reading."""

    def resume_reading(self) -> None:
        """Read on."""


@given(
    pieces=st.lists(st.binary(min_size=1, max_size=30), max_size=20),
    cuts=st.lists(st.integers(0, 900), max_size=30),
    waits=st.lists(st.booleans(), min_size=1, max_size=8),
    enough=st.integers(0, 300),
)
@settings(deadline=None)
async def test_however_it_is_cut_and_taken_a_body_is_handed_over_whole(
    pieces: list[bytes], cuts: list[int], waits: list[bool], enough: int
) -> None:
    wire = CHUNKED + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    places = sorted({0, len(wire), *(cut for cut in cuts if cut < len(wire))})
    connection = Connection(asyncio.get_running_loop(), _nothing, _nothing, _nothing)
    connection.connection_made(Socket())
    connection.begin(b"")
    first, second = Taker(enough=enough), Taker()

    async def take_all() -> None:
        while not connection.head_done:
            await connection.news()
        await connection.pour(first)
        if first.pieces[-1]:
            await connection.pour(second)

    task = asyncio.get_running_loop().create_task(take_all())
    await asyncio.sleep(0)
    for number, (start, end) in enumerate(pairwise(places)):
        connection.data_received(wire[start:end])
        if waits[number % len(waits)]:
            await asyncio.sleep(0)
    async with asyncio.timeout(DEADLINE_S):
        await task
    assert first.text + second.text == b"".join(pieces)
    assert [*first.pieces, *second.pieces].count(b"") == 1


def _nothing(connection: Connection) -> None:
    del connection
