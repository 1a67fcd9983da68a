"""TLS against a real server and a throw-away authority."""

import asyncio
import ssl
from pathlib import Path

import aiohttp.connector
import pytest

from tests.relay.upstreams.authority import Authority
from tests.relay.upstreams.conftest import Open, Serve
from tests.relay.upstreams.far import MEGABYTE, Asked, Line, asking, whole
from tidemill.relay.upstreams.http1 import Http1Upstreams
from tidemill.relay.upstreams.port import UpstreamBrokenError

CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """Make an authority and trust it as the system's own; aiohttp read the system's when it was loaded."""
    made = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.trusted))
    context = ssl.create_default_context(cafile=str(made.trusted))
    context.set_alpn_protocols(["http/1.1"])
    monkeypatch.setattr(aiohttp.connector, "_SSL_CONTEXT_VERIFIED", context)
    return made


async def ok(line: Line, asked: Asked) -> None:
    await line.plain(b"answer to " + asked.body)


async def test_a_trusted_service_is_called_by_its_name(engine: Open, serve: Serve, authority: Authority) -> None:
    asked_for: list[str | None] = []
    tls = authority.server("localhost")
    tls.sni_callback = lambda _line, name, _context: asked_for.append(name)
    tls.set_alpn_protocols(["h2", "http/1.1"])
    service, upstreams = await serve(ok, tls=tls), engine()
    url = service.url.replace("127.0.0.1", "localhost")
    for body in (b"one", b"two"):
        assert await whole(upstreams, url, body) == b"answer to " + body
    assert asked_for == ["localhost"]
    assert len(service.lines) == 1
    spoken = service.lines[0].writer.get_extra_info("ssl_object")
    assert spoken.selected_alpn_protocol() == "http/1.1"


async def test_a_number_is_verified_as_a_number(engine: Open, serve: Serve, authority: Authority) -> None:
    service = await serve(ok, tls=authority.server("127.0.0.1"))
    assert await whole(engine(), service) == b"answer to {}"


async def test_another_name_is_refused(engine: Open, serve: Serve, authority: Authority) -> None:
    service = await serve(ok, tls=authority.server("example.com"))
    url = service.url.replace("127.0.0.1", "localhost")
    with pytest.raises(UpstreamBrokenError) as caught:
        await whole(engine(), url)
    assert "localhost" not in str(caught.value)
    assert service.asked == []


async def test_another_authority_is_refused(engine: Open, serve: Serve, authority: Authority, tmp_path: Path) -> None:
    del authority
    service = await serve(ok, tls=Authority(tmp_path, "other").server("localhost", "127.0.0.1"))
    with pytest.raises(UpstreamBrokenError):
        await whole(engine(), service)
    assert service.asked == []


async def test_a_service_without_tls_is_told_apart(engine: Open, authority: Authority) -> None:
    del authority

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    try:
        with pytest.raises(UpstreamBrokenError):
            await whole(engine(), f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    finally:
        server.close()


async def test_streams_and_long_bodies_go_over_tls(engine: Open, serve: Serve, authority: Authority) -> None:
    seen = asyncio.Event()

    async def script(line: Line, asked: Asked) -> None:
        if asked.body == b"{}":
            await line.say(CHUNKED + b"5\r\nfirst\r\n")
            await seen.wait()
            await line.say(b"6\r\nsecond\r\n0\r\n\r\n")
        else:
            await line.plain(asked.body)

    service, upstreams = await serve(script, tls=authority.server("127.0.0.1")), engine()
    answer = await asking(upstreams, service)
    assert await answer.next() == b"first"
    seen.set()
    assert await answer.read(100) == b"second"
    await answer.finish()
    body = bytes(range(256)) * (4 * 4096)
    assert await whole(upstreams, service, body) == body
    assert len(service.lines) == 1


async def test_a_slow_reader_slows_the_service_over_tls(engine: Open, serve: Serve, authority: Authority) -> None:
    sent = 0

    async def script(line: Line, asked: Asked) -> None:
        nonlocal sent
        del asked
        await line.say(b"HTTP/1.1 200 OK\r\n\r\n")
        while sent < 64 * MEGABYTE:
            line.writer.write(bytes(65536))
            await line.writer.drain()
            sent += 65536

    service = await serve(script, tls=authority.server("127.0.0.1"))
    answer = await asking(engine(), service)
    before = -1
    while before != sent:
        before = sent
        await asyncio.sleep(0.1)
    assert sent < 32 * MEGABYTE
    await answer.abort()
    await service.gone()


async def test_aborting_is_noticed_over_tls(engine: Open, serve: Serve, authority: Authority) -> None:
    async def script(line: Line, asked: Asked) -> None:
        del asked
        await line.say(CHUNKED + b"5\r\nfirst\r\n")
        await line.left()

    service = await serve(script, tls=authority.server("127.0.0.1"))
    answer = await asking(engine(), service)
    assert await answer.next() == b"first"
    await answer.abort()
    await service.gone()


async def test_a_service_that_never_shakes_hands_is_given_up(authority: Authority) -> None:
    """The deadline covers TLS, not only the way there, and the connection is closed."""
    del authority
    left = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(4096):
            pass
        left.set()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    upstreams = Http1Upstreams(allow_private=True, connect_timeout_s=0.2)
    try:
        with pytest.raises(UpstreamBrokenError, match=r"within 0\.2 s"):
            await asking(upstreams, f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
        async with asyncio.timeout(5):
            await left.wait()
        assert len(upstreams) == 0
    finally:
        server.close()
        await upstreams.close()
