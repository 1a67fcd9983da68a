"""The reading of answers, byte by byte and bound by bound, on a connection without a socket."""

import asyncio
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Self

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.relay.upstreams.test_engines import ANSWERS, BROKEN
from tidemill.relay.upstreams.http1.answer import Http1Answer
from tidemill.relay.upstreams.http1.connection import MOST_HELD_BYTES, SLICE_BYTES, Connection
from tidemill.relay.upstreams.http1.head import MOST_FIELDS
from tidemill.relay.upstreams.port import UpstreamBrokenError

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"
HELLO = OK + b"content-length: 5\r\n\r\nhello"
READ_BYTES = 256 * 1024


class Wire(asyncio.Transport):
    """A transport that notes what is done with it."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.reading = True
        self.aborted = False
        self.on_write: Callable[[], None] | None = None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))
        if self.on_write is not None:
            self.on_write()

    def is_closing(self) -> bool:
        return self.aborted

    def pause_reading(self) -> None:
        assert self.reading
        self.reading = False

    def resume_reading(self) -> None:
        assert not self.reading
        self.reading = True

    def abort(self) -> None:
        self.aborted = True


class Bench:
    """A connection with a wire, asked once."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.free: list[Connection] = []
        self.gone: list[Connection] = []
        self.opened: list[Connection] = []
        self.connection = Connection(self.loop, self.opened.append, self.free.append, self.gone.append)
        self.wire = Wire()
        self.connection.connection_made(self.wire)
        self.connection.begin(b"POST / HTTP/1.1\r\n\r\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.loop.close()

    def hear(self, *pieces: bytes) -> None:
        for piece in pieces:
            if not self.wire.aborted:
                self.connection.data_received(piece)

    def end(self) -> None:
        if not self.wire.aborted:
            self.connection.eof_received()
        self.connection.connection_lost(None)

    def answer(self) -> Http1Answer:
        connection = self.connection
        if not connection.head_done:
            raise connection.error or AssertionError("nothing came")
        return Http1Answer(connection)

    def read(self) -> tuple[int, bytes]:
        answer = self.answer()
        return answer.status, self.loop.run_until_complete(answer.read(10_000_000))


@pytest.fixture
def bench() -> Iterator[Bench]:
    with Bench() as made:
        yield made


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    """Cut ``data`` at the places."""
    edges = [0, *sorted({place % (len(data) + 1) for place in places}), len(data)]
    return [data[low:high] for low, high in itertools.pairwise(edges) if high > low]


PLACES = st.lists(st.integers(0, 400), max_size=12)


@given(st.sampled_from(sorted(ANSWERS)), PLACES)
def test_an_answer_is_the_same_however_it_is_cut(name: str, places: list[int]) -> None:
    data, status, body = ANSWERS[name]
    with Bench() as bench:
        bench.hear(*cut(data, places))
        if "HTTP/1.0" in name or "until" in name:
            bench.end()
        assert bench.read() == (status, body)


@given(st.sampled_from(sorted(BROKEN)), PLACES)
def test_a_broken_answer_is_broken_however_it_is_cut(name: str, places: list[int]) -> None:
    with Bench() as bench:
        bench.hear(*cut(BROKEN[name], places))
        bench.end()
        with pytest.raises(UpstreamBrokenError):
            bench.read()
        assert not bench.connection.usable


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=20), PLACES, st.booleans())
def test_chunks_are_joined_as_they_were(chunks: list[bytes], places: list[int], two_calls: bool) -> None:  # noqa: FBT001
    """Two answers, one after the other on one connection, do not run into each other."""
    data = CHUNKED + b"".join(b"%X;x=y\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\nx-t: 1\r\n\r\n"
    with Bench() as bench:
        for _ in range(1 + two_calls):
            bench.hear(*cut(data, places))
            assert bench.read() == (200, b"".join(chunks))
            assert "x-t" not in bench.answer().headers
            bench.connection.release()
            bench.connection.begin(b"POST / HTTP/1.1\r\n\r\n")
        assert not bench.wire.aborted


@given(st.binary(min_size=1, max_size=2000), PLACES)
def test_no_bytes_whatsoever_do_harm(data: bytes, places: list[int]) -> None:
    """Whatever comes instead of an answer, it ends as an answer or as broken, and raises nothing in the loop."""
    for before in (b"", OK, CHUNKED, OK + b"content-length: 3\r\n\r\n"):
        with Bench() as bench:
            bench.hear(*cut(before + data, places))
            bench.end()
            try:
                bench.read()
            except UpstreamBrokenError:
                assert not bench.connection.usable


# What llhttp or this connection refuses, and aiohttp, which reads answers leniently, partly does not.
SMUGGLED: dict[str, bytes] = {
    "length and chunks": OK + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": OK + b"transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
    "the same length twice": OK + b"content-length: 1\r\nContent-Length: 1\r\n\r\na",
    "a list of lengths": OK + b"content-length: 1, 1\r\n\r\na",
    "an empty length": OK + b"content-length:\r\n\r\n",
    "a coding that is not chunked": OK + b"transfer-encoding: gzip\r\n\r\nhello",
    "a coding before chunked": OK + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "a coding after chunked": OK + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "a coding like chunked": OK + b"transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked and another": OK + b"transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n0\r\n\r\n",
    "a space before the colon": OK + b"content-length : 5\r\n\r\nhello",
    "a folded line": OK + b"x-a: b\r\n c\r\ncontent-length: 5\r\n\r\nhello",
    "bare line feeds": OK + b"content-length: 5\n\nhello",
    "bare line feeds in chunks": CHUNKED + b"5\nhello\n0\n\n",
    "a chunk in hexadecimal notation": CHUNKED + b"0x5\r\nhello\r\n0\r\n\r\n",
    "another protocol": b"HTTP/1.1 101 Switching\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n" + HELLO,
    "an announcement with a body": b"HTTP/1.1 103 Hints\r\ncontent-length: 5\r\n\r\n" + HELLO,
    "an announcement with chunks": b"HTTP/1.1 100 Go\r\ntransfer-encoding: chunked\r\n\r\n" + HELLO,
    "a status below all": b"HTTP/1.1 000 Odd\r\ncontent-length: 5\r\n\r\nhello",
}


@pytest.mark.parametrize("name", sorted(SMUGGLED))
def test_two_readings_of_one_answer_are_none(bench: Bench, name: str) -> None:
    bench.hear(SMUGGLED[name])
    if not bench.wire.aborted:
        bench.end()
    with pytest.raises(UpstreamBrokenError):
        bench.read()
    assert not bench.connection.usable


@pytest.mark.parametrize("surplus", [HELLO, HELLO[:9], b"x", b"\r\n\r\nHTTP/1.1 2"])
@pytest.mark.parametrize("together", [True, False])
def test_what_comes_after_an_answer_is_no_answer(bench: Bench, surplus: bytes, together: bool) -> None:  # noqa: FBT001
    """An answer to the next caller must not lie ready before it has asked."""
    bench.hear(*([HELLO + surplus] if together else [HELLO, surplus]))
    assert bench.wire.aborted
    assert bench.read() == (200, b"hello")
    bench.connection.release()
    assert not bench.connection.usable


def test_bytes_on_an_idle_connection_close_it(bench: Bench) -> None:
    bench.hear(HELLO)
    bench.connection.release()
    assert bench.free == [bench.connection]
    assert bench.connection.usable
    bench.hear(b"\r\n")
    assert bench.wire.aborted
    assert not bench.connection.usable


# ---- bounds ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "head",
    [
        OK + b"x-a: " + b"a" * MOST_HELD_BYTES + b"\r\ncontent-length: 0\r\n\r\n",
        OK + b"".join(b"x-%d: a\r\n" % number for number in range(MOST_FIELDS)) + b"content-length: 0\r\n\r\n",
        b"HTTP/1.1 200 " + b"O" * (2 * MOST_HELD_BYTES),
        OK + b"x-a: b\r\n" * MOST_HELD_BYTES,
        OK + b"x" * 2 * MOST_HELD_BYTES,
        b"HTTP/1.1 103 Hints\r\n\r\n" * (MOST_HELD_BYTES // 10),
    ],
    ids=["bytes", "fields", "reason", "repeats", "name", "announcements"],
)
@pytest.mark.parametrize("size", [READ_BYTES, 1000])
def test_a_head_has_bounds(bench: Bench, head: bytes, size: int) -> None:
    bench.hear(*(head[at : at + size] for at in range(0, len(head), size)))
    assert bench.wire.aborted
    with pytest.raises(UpstreamBrokenError):
        bench.read()


def test_a_large_body_with_a_small_head_is_no_large_head(bench: Bench) -> None:
    body = b"x" * (READ_BYTES - 200)
    bench.hear(OK + b"content-length: %d\r\n\r\n" % len(body) + body)
    assert bench.read() == (200, body)


@pytest.mark.parametrize(
    "framing", [b"0\r\n" + b"x-a: b\r\n" * 20_000, b"0\r\nx-a: " + b"b" * 140_000, b"1;" + b"a" * 140_000]
)
def test_framing_without_content_has_a_bound(bench: Bench, framing: bytes) -> None:
    bench.hear(CHUNKED, *(framing[at : at + 1000] for at in range(0, len(framing), 1000)))
    assert bench.wire.aborted
    with pytest.raises(UpstreamBrokenError):
        bench.read()


@given(st.lists(st.integers(1, READ_BYTES), min_size=1, max_size=30), st.integers(0, 3))
def test_a_slow_reader_holds_a_bounded_number_of_bytes(sizes: list[int], reads: int) -> None:
    """The wire delivers only while it is read, in reads of any size; the sum held is counted after each."""
    with Bench() as bench:
        bench.hear(OK + b"\r\n")
        answer = bench.answer()
        for turn, size in enumerate(sizes):
            if bench.wire.reading:
                bench.hear(b"x" * size)
            assert sum(map(len, bench.connection.pieces)) <= MOST_HELD_BYTES + READ_BYTES
            if reads and turn % reads == 0 and bench.connection.pieces:
                assert bench.loop.run_until_complete(answer.next())
                assert bench.wire.reading


def test_a_paused_wire_goes_on_when_it_is_read(bench: Bench) -> None:
    bench.hear(OK + b"content-length: 200000\r\n\r\n", b"x" * 100_000)
    assert not bench.wire.reading
    answer = bench.answer()
    assert len(bench.loop.run_until_complete(answer.next())) == 100_000
    assert bench.wire.reading
    bench.hear(b"x" * 100_000)
    assert bench.wire.reading, "the answer is whole: nothing is left to hold back"
    assert len(bench.loop.run_until_complete(answer.next())) == 100_000
    assert bench.loop.run_until_complete(answer.next()) == b""


def test_a_long_body_waits_for_the_wire(bench: Bench) -> None:
    """A slice goes out once the one before has left: the transport never holds two."""
    connection, body = bench.connection, bytes(range(256)) * (SLICE_BYTES // 64)
    bench.wire.written.clear()
    bench.wire.on_write = connection.pause_writing

    async def send() -> None:
        task = asyncio.get_running_loop().create_task(connection.send_body(body))
        for slices in range(1, 5):
            for _ in range(5):
                await asyncio.sleep(0)
            assert len(bench.wire.written) == slices
            connection.resume_writing()
        await task

    bench.loop.run_until_complete(send())
    assert b"".join(bench.wire.written) == body


@pytest.mark.parametrize("how", ["answer", "lost"])
def test_a_long_body_ends_with_the_need_for_it(bench: Bench, how: str) -> None:
    connection = bench.connection

    async def send() -> None:
        connection.pause_writing()
        task = asyncio.get_running_loop().create_task(connection.send_body(bytes(10 * SLICE_BYTES)))
        await asyncio.sleep(0)
        if how == "answer":
            connection.data_received(HELLO)
        else:
            connection.connection_lost(ConnectionResetError())
        await task

    bench.loop.run_until_complete(send())
    assert len(bench.wire.written) == 1
    assert not connection.usable


# ---- the end of an answer --------------------------------------------------------------------------------------


def test_finishing_early_waits_a_moment_for_the_end(bench: Bench) -> None:
    bench.hear(CHUNKED, b"6\r\n[DONE]\r\n")
    answer = bench.answer()
    bench.loop.run_until_complete(answer.finish())
    assert bench.free == []
    bench.hear(b"1\r\nx\r\n")
    assert bench.connection.pieces == []
    bench.hear(b"0\r\n\r\n")
    assert bench.free == [bench.connection]
    assert bench.connection.usable
    bench.loop.run_until_complete(answer.abort())
    assert bench.connection.usable, "the answer was given back; its connection is somebody else's"
    with pytest.raises(UpstreamBrokenError):
        bench.loop.run_until_complete(answer.next())


@pytest.mark.parametrize("more", [b"", b"x" * READ_BYTES * 2, b"zz\r\n"])
def test_finishing_early_does_not_wait_for_long(bench: Bench, more: bytes) -> None:
    bench.hear(CHUNKED, b"6\r\n[DONE]\r\n")
    bench.loop.run_until_complete(bench.answer().finish())
    for at in range(0, len(more), READ_BYTES):
        bench.hear(b"%x\r\n%b\r\n" % (READ_BYTES, more[at:][:READ_BYTES]) if len(more) > 10 else more)

    async def wait() -> None:
        async with asyncio.timeout(5):
            while not bench.wire.aborted:
                await asyncio.sleep(0.01)

    bench.loop.run_until_complete(wait())
    assert bench.free == []


def test_a_body_until_the_end_needs_an_orderly_one(bench: Bench) -> None:
    bench.hear(OK + b"\r\nhello")
    bench.connection.connection_lost(ConnectionResetError())
    answer = bench.answer()
    assert bench.loop.run_until_complete(answer.next()) == b"hello"
    with pytest.raises(UpstreamBrokenError):
        bench.loop.run_until_complete(answer.next())
    assert bench.gone == [bench.connection]


def test_what_came_before_a_break_is_still_read(bench: Bench) -> None:
    bench.hear(CHUNKED, b"5\r\nfirst\r\n", b"broken")
    answer = bench.answer()
    assert bench.loop.run_until_complete(answer.next()) == b"first"
    with pytest.raises(UpstreamBrokenError, match="not valid"):
        bench.loop.run_until_complete(answer.next())
