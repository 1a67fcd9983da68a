"""What the relay asks of an HTTP client, asked of every client that there is."""

import asyncio
import gzip
import socket
import zlib

import msgspec
import pytest

from tests.fixtures.ports import free_port
from tests.relay.upstreams.conftest import Open, Serve
from tests.relay.upstreams.far import DEADLINE_S, MEGABYTE, Asked, Line, asking, errand, whole
from tidemill.relay.upstreams.inflate import PIECE_BYTES
from tidemill.relay.upstreams.port import Errand, UpstreamBrokenError

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"


async def ok(line: Line, asked: Asked) -> None:
    await line.plain(b"answer to " + asked.body)


# ---- requests --------------------------------------------------------------------------------------------------


async def test_a_request_arrives_as_it_was_meant(engine: Open, serve: Serve) -> None:
    service = await serve(ok)
    url = f"http://127.0.0.1:{service.port}/v1/models/gemini-2.5%2Fpro:generateContent?alt=sse&key=a%20b"
    answer = await engine().send(errand(url, b'{"a":1}', headers=[("x-one", "1"), ("authorization", "Bearer sk-é")]))
    assert (answer.status, await answer.read(100)) == (200, b'answer to {"a":1}')
    await answer.finish()
    asked = service.asked[0]
    assert asked.line == "POST /v1/models/gemini-2.5%2Fpro:generateContent?alt=sse&key=a%20b HTTP/1.1"
    assert {name: value for name, value in asked.headers.items() if name != "content-type"} == {
        "host": f"127.0.0.1:{service.port}",
        "x-one": "1",
        "authorization": "Bearer sk-é",
        "content-length": "7",
    }


async def test_one_address_takes_posts_and_gets(engine: Open, serve: Serve) -> None:
    service = await serve(ok)
    upstreams = engine()
    await whole(upstreams, service, b"1")
    looked = await upstreams.send(Errand(1, service.url, [], b"", "GET"))
    assert (looked.status, await looked.read(100)) == (200, b"answer to ")
    await looked.finish()
    await whole(upstreams, service, b"22")
    assert [asked.line.partition(" ")[0] for asked in service.asked] == ["POST", "GET", "POST"]


@pytest.mark.parametrize("header", [("x-a", "b\r\nx-evil: 1"), ("x-a", "b\nc"), ("x-a\r\nb", "c")])
async def test_a_header_cannot_break_out_of_its_line(engine: Open, serve: Serve, header: tuple[str, str]) -> None:
    service = await serve(ok)
    with pytest.raises(UpstreamBrokenError):
        await engine().send(errand(service, headers=[header]))
    assert service.asked == []


@pytest.mark.parametrize("url", ["http://", "http://[::1", "ftp://example.com/", "nothing", "http://x:99999/"])
async def test_what_is_no_address_is_refused(engine: Open, url: str) -> None:
    with pytest.raises(UpstreamBrokenError):
        await engine().send(errand(url))


async def test_a_get_has_no_body_and_its_own_line(engine: Open, serve: Serve) -> None:
    service, upstreams = await serve(ok), engine()
    for method in ("GET", "POST", "GET"):
        answer = await upstreams.send(msgspec.structs.replace(errand(service, b""), method=method))
        assert await answer.read(100) == b"answer to "
        await answer.finish()
    assert [asked.line.split(" ")[0] for asked in service.asked] == ["GET", "POST", "GET"]
    assert len(service.lines) == 1


async def test_a_long_body_arrives_whole_at_a_slow_service(engine: Open, serve: Serve) -> None:
    service = await serve(ok)
    body = bytes(range(256)) * (8 * 4096)
    data = await whole(engine(), service, body)
    assert data == b"answer to " + body


async def test_an_early_answer_ends_a_long_body(engine: Open) -> None:
    """A service that refuses a request by its head need not read the rest."""
    answered = asyncio.Event()

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nbig")
        await answered.wait()
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0, limit=1024)
    port = server.sockets[0].getsockname()[1]
    upstreams = engine()
    try:
        answer = await asking(upstreams, f"http://127.0.0.1:{port}/", b"x" * (32 * MEGABYTE))
        assert (answer.status, await answer.read(10)) == (413, b"big")
        await answer.abort()
    finally:
        answered.set()
        server.close()


# ---- answers ---------------------------------------------------------------------------------------------------

ANSWERS: dict[str, tuple[bytes, int, bytes]] = {
    "length": (OK + b"content-length: 5\r\n\r\nhello", 200, b"hello"),
    "empty": (OK + b"content-length: 0\r\n\r\n", 200, b""),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
    "not modified": (b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n", 304, b""),
    "no reason": (b"HTTP/1.1 200 \r\ncontent-length: 1\r\n\r\nx", 200, b"x"),
    "chunked": (CHUNKED + b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", 200, b"hello"),
    "chunked, in capitals": (
        OK + b"Transfer-Encoding: Chunked\r\n\r\nA\r\n0123456789\r\n0\r\n\r\n",
        200,
        b"0123456789",
    ),
    "extensions": (CHUNKED + b'3;a=b;c="d"\r\nhel\r\n2;x\r\nlo\r\n0;end\r\n\r\n', 200, b"hello"),
    "trailers": (CHUNKED + b"5\r\nhello\r\n0\r\nx-sum: 1\r\nx-more: 2\r\n\r\n", 200, b"hello"),
    "until the end": (OK + b"\r\nhello", 200, b"hello"),
    "until the end, closing": (OK + b"connection: close\r\n\r\nhello", 200, b"hello"),
    "until the end, with names that look like others": (
        OK + b"x-content-length: 3\r\nx-transfer-encoding: gzip\r\nx-content-encoding: br\r\n\r\nhello",
        200,
        b"hello",
    ),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\n\r\nhello", 200, b"hello"),
    "HTTP/1.0 with a length": (b"HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\nhello", 200, b"hello"),
    "continue": (b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"content-length: 5\r\n\r\nhello", 200, b"hello"),
    "early hints": (
        b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" * 2 + OK + b"content-length: 5\r\n\r\nhello",
        200,
        b"hello",
    ),
    "redirect": (b"HTTP/1.1 307 Elsewhere\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 1\r\n\r\n-", 307, b"-"),
    "error": (b"HTTP/1.1 500 Oh\r\nconnection: close\r\ncontent-length: 2\r\n\r\nno", 500, b"no"),
}


@pytest.mark.parametrize("pieces", ["at once", "byte by byte"])
@pytest.mark.parametrize("name", sorted(ANSWERS))
async def test_every_form_of_an_answer_is_read(engine: Open, serve: Serve, name: str, pieces: str) -> None:
    data, status, body = ANSWERS[name]

    async def script(line: Line, asked: Asked) -> None:
        del asked
        await line.say(*([data] if pieces == "at once" else [data[at : at + 1] for at in range(len(data))]))
        if "HTTP/1.0" in name or "until" in name:
            line.close()

    answer = await asking(engine(), await serve(script))
    assert (answer.status, await answer.read(100)) == (status, body)
    assert await answer.next() == b""
    await answer.finish()


async def test_headers_are_found_in_any_case(engine: Open, serve: Serve) -> None:
    async def script(line: Line, asked: Asked) -> None:
        del asked
        await line.plain(b"", "Retry-After: 7", "X-EMPTY:", "x-twice: first", "X-Twice: second", "x-odd:   é  ")

    answer = await asking(engine(), await serve(script))
    headers = answer.headers
    assert [headers.get(name) for name in ("retry-after", "Retry-After", "RETRY-AFTER")] == ["7"] * 3
    assert (headers.get("x-empty"), headers.get("x-twice"), headers.get("x-none")) == ("", "first", None)
    assert len(headers) >= 4
    await answer.finish()


async def test_a_stream_is_handed_on_as_it_comes(engine: Open, serve: Serve) -> None:
    seen = asyncio.Event()

    async def script(line: Line, asked: Asked) -> None:
        del asked
        await line.say(CHUNKED, b"5\r\nfirst\r\n")
        await seen.wait()
        await line.say(b"6\r\nsecond\r\n0\r\n\r\n")

    answer = await asking(engine(), await serve(script))
    async with asyncio.timeout(DEADLINE_S):
        assert await answer.next() == b"first"
        seen.set()
        assert await answer.next() == b"second"
        assert await answer.next() == b""
    await answer.finish()


async def test_an_answer_past_the_limit_is_refused(engine: Open, serve: Serve) -> None:
    async def script(line: Line, asked: Asked) -> None:
        await line.plain(b"x" * int(asked.body))

    service, upstreams = await serve(script), engine()
    for size in (1000, 500_000):
        answer = await asking(upstreams, service, b"%d" % size)
        with pytest.raises(UpstreamBrokenError, match="longer than 999 bytes"):
            await answer.read(999)
        await answer.abort()
    answer = await asking(upstreams, service, b"1000")
    assert len(await answer.read(1000)) == 1000
    await answer.finish()


BROKEN: dict[str, bytes] = {
    "nothing": b"",
    "half a line": b"HTTP/1.1 2",
    "half a head": OK + b"content-length: 5\r\n",
    "too few bytes": OK + b"content-length: 5\r\n\r\nhel",
    "no last chunk": CHUNKED + b"3\r\nhel\r\n",
    "half a chunk": CHUNKED + b"5\r\nhel",
    "no end after the last chunk": CHUNKED + b"3\r\nhel\r\n0\r\n",
    "no HTTP": b"hello\r\n\r\n",
    "another version": b"HTTP/3.0 200 OK\r\ncontent-length: 0\r\n\r\n",
    "no status": b"HTTP/1.1 OK\r\ncontent-length: 0\r\n\r\n",
    "two lengths": OK + b"content-length: 1\r\ncontent-length: 2\r\n\r\nab",
    "a negative length": OK + b"content-length: -1\r\n\r\n",
    "a length with a sign": OK + b"content-length: +1\r\n\r\na",
    "a length beyond numbers": OK + b"content-length: 99999999999999999999999\r\n\r\n",
    "a length that is a word": OK + b"content-length: five\r\n\r\nhello",
    "a header without a colon": OK + b"what is this\r\ncontent-length: 0\r\n\r\n",
    "a NUL": OK + b"x-a: b\0c\r\ncontent-length: 0\r\n\r\n",
    "a chunk of letters": CHUNKED + b"zz\r\nhello\r\n0\r\n\r\n",
    "a negative chunk": CHUNKED + b"-1\r\nhello\r\n0\r\n\r\n",
    "a chunk beyond numbers": CHUNKED + b"fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
    "a chunk longer than it says": CHUNKED + b"3\r\nhello\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("name", sorted(BROKEN))
async def test_a_broken_answer_is_told_and_its_connection_not_used_again(engine: Open, serve: Serve, name: str) -> None:
    async def script(line: Line, asked: Asked) -> None:
        del asked
        await line.say(BROKEN[name])
        line.close()

    service, upstreams = await serve(script), engine()
    for count in (1, 2):
        with pytest.raises(UpstreamBrokenError) as caught:
            await whole(upstreams, service)
        assert "127.0.0.1" not in str(caught.value)
        await service.gone(count)
    assert len(service.lines) == 2


# ---- connections -----------------------------------------------------------------------------------------------


async def test_connections_are_used_again_by_their_channel_alone(engine: Open, serve: Serve) -> None:
    service, upstreams = await serve(ok), engine()
    for number in range(3):
        assert await whole(upstreams, service, b"%d" % number) == b"answer to %d" % number
    assert len(service.lines) == 1
    await whole(upstreams, service, pool=2)
    assert len(service.lines) == 2


async def test_calls_at_once_have_a_connection_each(engine: Open, serve: Serve) -> None:
    arrived: list[Asked] = []
    all_there = asyncio.Event()

    async def script(line: Line, asked: Asked) -> None:
        arrived.append(asked)
        if len(arrived) == 20:
            all_there.set()
        await all_there.wait()
        await line.plain(asked.body)

    service, upstreams = await serve(script), engine()
    bodies = [b"%d" % number for number in range(20)]
    assert await asyncio.gather(*(whole(upstreams, service, body) for body in bodies)) == bodies
    assert len(service.lines) == 20


@pytest.mark.parametrize("how", ["connection: close", "HTTP/1.0"])
async def test_a_connection_that_the_service_ends_is_not_used_again(engine: Open, serve: Serve, how: str) -> None:
    async def script(line: Line, asked: Asked) -> None:
        del asked
        if how == "HTTP/1.0":
            await line.say(b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok")
        else:
            await line.plain(b"ok", how)

    service, upstreams = await serve(script), engine()
    for count in (1, 2):
        assert await whole(upstreams, service) == b"ok"
        await service.gone(count)
    assert len(service.lines) == 2


async def test_a_connection_closed_while_idle_costs_nobody_a_call(engine: Open, serve: Serve) -> None:
    async def script(line: Line, asked: Asked) -> None:
        await line.plain(asked.body)
        line.close()

    service, upstreams = await serve(script), engine()
    for number in range(3):
        assert await whole(upstreams, service, b"%d" % number) == b"%d" % number
        await service.gone(number + 1)
        await asyncio.sleep(0.01)  # the loop has seen the end by now
    assert len(service.lines) == 3


async def test_finishing_at_the_last_event_keeps_the_connection(engine: Open, serve: Serve) -> None:
    """After [DONE] nobody reads on, but the body's end is still to come."""
    done = asyncio.Event()

    async def script(line: Line, asked: Asked) -> None:
        del asked
        await line.say(CHUNKED + b"6\r\n[DONE]\r\n")
        await done.wait()
        await line.say(b"0\r\n\r\n")

    service, upstreams = await serve(script), engine()
    answer = await asking(upstreams, service)
    assert await answer.next() == b"[DONE]"
    asyncio.get_running_loop().call_soon(done.set)
    await answer.finish()
    await asyncio.sleep(0.05)
    await whole(upstreams, service)
    assert len(service.lines) == 1


async def test_finishing_a_body_without_end_closes_its_connection(engine: Open, serve: Serve) -> None:
    async def script(line: Line, asked: Asked) -> None:
        del asked
        await line.say(CHUNKED + b"6\r\n[DONE]\r\n")
        await line.left()

    service, upstreams = await serve(script), engine()
    answer = await asking(upstreams, service)
    assert await answer.next() == b"[DONE]"
    await answer.finish()
    await service.gone()


async def test_aborting_is_noticed_by_the_service(engine: Open, serve: Serve) -> None:
    async def script(line: Line, asked: Asked) -> None:
        del asked
        await line.say(CHUNKED + b"5\r\nfirst\r\n")
        await line.left()

    service, upstreams = await serve(script), engine()
    answer = await asking(upstreams, service)
    assert await answer.next() == b"first"
    await answer.abort()
    await service.gone()


async def test_a_forgotten_channel_ends_with_its_calls(engine: Open, serve: Serve) -> None:
    on = asyncio.Event()

    async def script(line: Line, asked: Asked) -> None:
        if asked.body == b"slow":
            await line.say(CHUNKED + b"5\r\nfirst\r\n")
            await on.wait()
            await line.say(b"6\r\nsecond\r\n0\r\n\r\n")
        else:
            await line.plain(b"")

    service, upstreams = await serve(script), engine()
    slow = await asking(upstreams, service, b"slow")
    await whole(upstreams, service)
    assert len(service.lines) == 2
    await upstreams.forget(1)
    await upstreams.forget(7)
    on.set()
    assert await slow.read(100) == b"firstsecond"
    await slow.finish()
    await service.gone(2)
    await whole(upstreams, service)
    assert len(service.lines) == 3


async def test_closing_ends_everything(engine: Open, serve: Serve) -> None:
    async def script(line: Line, asked: Asked) -> None:
        if asked.body == b"slow":
            await line.say(CHUNKED + b"5\r\nfirst\r\n")
            await line.left()
        else:
            await line.plain(b"")

    service, upstreams = await serve(script), engine()
    slow = await asking(upstreams, service, b"slow")
    await whole(upstreams, service)
    await upstreams.close()
    await service.gone(2)
    assert await slow.next() == b"first"
    with pytest.raises(UpstreamBrokenError):
        await slow.next()
    await slow.abort()


@pytest.mark.parametrize("moment", ["head", "body"])
async def test_a_cancelled_call_leaves_no_connection(engine: Open, serve: Serve, moment: str) -> None:
    async def script(line: Line, asked: Asked) -> None:
        del asked
        if moment == "body":
            await line.say(CHUNKED)
        await line.left()

    service, upstreams = await serve(script), engine()
    task = asyncio.get_running_loop().create_task(whole(upstreams, service))
    await service.until(lambda: len(service.asked) == 1)
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await service.gone()


# ---- bounds ----------------------------------------------------------------------------------------------------


async def test_a_slow_reader_slows_the_service(engine: Open, serve: Serve) -> None:
    """What is not read here is not taken from the service, but for the buffers of two sockets."""
    sent = 0
    whole_size = 64 * MEGABYTE

    async def script(line: Line, asked: Asked) -> None:
        nonlocal sent
        del asked
        await line.say(OK + b"content-length: %d\r\n\r\n" % whole_size)
        piece = b"x" * 65536
        while sent < whole_size:
            line.writer.write(piece)
            await line.writer.drain()
            sent += len(piece)

    service, upstreams = await serve(script), engine()
    answer = await asking(upstreams, service)
    before = -1
    while before != sent:
        before = sent
        await asyncio.sleep(0.1)
    assert sent < whole_size / 2
    size = 0
    while piece := await answer.next():
        size += len(piece)
        assert len(piece) <= MEGABYTE
    assert size == whole_size
    await answer.finish()


PACKED = {
    "gzip": gzip.compress(b"hello " * 1000),
    "x-gzip": gzip.compress(b"hello " * 500) + gzip.compress(b"hello " * 500),
    "deflate": zlib.compress(b"hello " * 1000),
    "Deflate": zlib.compressobj(wbits=-15).compress(b"") + zlib.compress(b"hello " * 1000)[2:-4],
    "identity": b"hello " * 1000,
}


@pytest.mark.parametrize("encoding", sorted(PACKED))
async def test_an_answer_packed_against_our_wish_is_unpacked(engine: Open, serve: Serve, encoding: str) -> None:
    data = PACKED[encoding]

    async def script(line: Line, asked: Asked) -> None:
        if asked.body == b"stream":
            pieces = [data[at : at + 7] for at in range(0, len(data), 7)]
            await line.say(OK + b"transfer-encoding: chunked\r\ncontent-encoding: %b\r\n\r\n" % encoding.encode())
            await line.say(*(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces), b"0\r\n\r\n")
        else:
            await line.plain(data, f"Content-Encoding: {encoding}")

    service, upstreams = await serve(script), engine()
    for body in (b"plain", b"stream"):
        assert await whole(upstreams, service, body) == b"hello " * 1000
    assert len(service.lines) == 1


@pytest.mark.parametrize(
    ("encoding", "data"),
    [("gzip", PACKED["gzip"][:-9]), ("gzip", b"hello"), ("deflate", b"\xff\xff"), ("br", b"x"), ("gzip, gzip", b"x")],
    ids=["cut short", "no gzip", "no deflate", "unknown", "twice"],  # packed bytes hold the time of packing
)
async def test_a_packing_that_cannot_be_undone_breaks_the_answer(
    engine: Open, serve: Serve, encoding: str, data: bytes
) -> None:
    async def script(line: Line, asked: Asked) -> None:
        del asked
        await line.plain(data, f"content-encoding: {encoding}")

    service = await serve(script)
    with pytest.raises(UpstreamBrokenError):
        await whole(engine(), service)


async def test_a_bomb_is_unpacked_piece_by_piece(engine: Open, serve: Serve) -> None:
    bomb = gzip.compress(bytes(200 * MEGABYTE), 9)

    async def script(line: Line, asked: Asked) -> None:
        del asked
        await line.plain(bomb, "content-encoding: gzip")

    service, upstreams = await serve(script), engine()
    answer = await asking(upstreams, service)
    for _ in range(10):
        assert len(await answer.next()) <= PIECE_BYTES
    await answer.abort()
    answer = await asking(upstreams, service)
    with pytest.raises(UpstreamBrokenError, match="longer"):
        await answer.read(MEGABYTE)
    await answer.abort()


# ---- where calls may go ----------------------------------------------------------------------------------------


async def test_a_name_of_a_private_address_is_not_called(engine: Open, serve: Serve) -> None:
    service = await serve(ok)
    with pytest.raises(UpstreamBrokenError):
        await whole(engine(allow_private=False), f"http://localhost:{service.port}/")
    assert service.lines == []


async def test_nobody_there_is_told_without_the_address(engine: Open) -> None:
    port = free_port()
    for host in ("127.0.0.1", "localhost", "nowhere.invalid"):
        with pytest.raises(UpstreamBrokenError) as caught:
            await whole(engine(), f"http://{host}:{port}/")
        assert host not in str(caught.value)
        assert str(port) not in str(caught.value)


async def test_the_environments_proxy_is_not_asked(engine: Open, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    service = await serve(ok)
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert await whole(engine(), service) == b"answer to {}"


async def test_connecting_has_a_deadline(engine: Open) -> None:
    """A queue of connections that nobody takes is full; what comes after it hears nothing."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    fillers: list[socket.socket] = []
    for _ in range(4):
        filler = socket.socket()
        filler.setblocking(False)  # noqa: FBT003 - the socket's own interface
        filler.connect_ex(listener.getsockname())
        fillers.append(filler)
    try:
        with pytest.raises(UpstreamBrokenError):
            await asking(engine(connect_timeout_s=0.3), f"http://127.0.0.1:{listener.getsockname()[1]}/")
    finally:
        for one in (listener, *fillers):
            one.close()
