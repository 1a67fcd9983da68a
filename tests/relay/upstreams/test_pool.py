"""Connections of our own client: which is used next, which is closed when, and what becomes of a call cut short."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.relay.upstreams.authority import Authority
from tests.relay.upstreams.conftest import Serve
from tests.relay.upstreams.far import DEADLINE_S, Asked, Far, Line, asking, errand, whole
from tidemill.kernel import clock
from tidemill.relay.upstreams.http1 import Http1Upstreams, pool
from tidemill.relay.upstreams.http1.connection import Connection
from tidemill.relay.upstreams.http1.race import Found, interleaved
from tidemill.relay.upstreams.http1.target import Place, Target
from tidemill.relay.upstreams.port import UpstreamBrokenError

Open = Callable[..., Http1Upstreams]
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


async def ok(line: Line, asked: Asked) -> None:
    await line.plain(asked.body)


async def two_at_once(upstreams: Http1Upstreams, service: Far) -> None:
    """Open two connections and leave both idle, number 1 used last."""
    first, second = await asking(upstreams, service, b"first"), await asking(upstreams, service, b"second")
    for answer in (first, second):
        await answer.read(100)
        await answer.finish()


# ---- idle connections ------------------------------------------------------------------------------------------


async def test_the_connection_used_last_is_used_next(http1: Open, serve: Serve) -> None:
    used: list[int] = []

    async def script(line: Line, asked: Asked) -> None:
        used.append(line.number)
        await line.plain(asked.body)

    service, upstreams = await serve(script), http1()
    await two_at_once(upstreams, service)
    used.clear()
    for _ in range(3):
        await whole(upstreams, service)
    assert used == [1, 1, 1]


async def test_an_idle_connection_is_not_used_past_its_time(http1: Open, serve: Serve) -> None:
    service, upstreams = await serve(ok), http1(keep_alive_s=30.0)
    await whole(upstreams, service)
    with clock.shifted(29.0):
        await whole(upstreams, service)
    assert len(service.lines) == 1
    with clock.shifted(31.0 + 29.0):
        await whole(upstreams, service)
    assert len(service.lines) == 2
    await service.gone()


@pytest.mark.parametrize(
    ("told", "kept_s"),
    [("timeout=5", 4.0), ("max=10, Timeout = 7", 6.0), ("timeout=600", 30.0), ("timeout=0", 0.0), ("x", 30.0)],
)
async def test_a_service_says_how_long_it_keeps_a_connection(
    http1: Open, serve: Serve, told: str, kept_s: float
) -> None:
    async def script(line: Line, asked: Asked) -> None:
        await line.plain(asked.body, f"Keep-Alive: {told}", "connection: keep-alive")

    service, upstreams = await serve(script), http1()
    await whole(upstreams, service)
    with clock.shifted(kept_s - 0.5):
        await whole(upstreams, service)
    assert len(service.lines) == (1 if kept_s else 2)
    with clock.shifted(2 * kept_s):
        await whole(upstreams, service)
    assert len(service.lines) == (2 if kept_s else 3)


async def test_idle_connections_are_closed_without_a_call(
    http1: Open, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "_SWEEP_S", 0.01)
    service, upstreams = await serve(ok), http1()
    await two_at_once(upstreams, service)
    await asyncio.sleep(0.05)
    assert len(upstreams) == 2
    with clock.shifted(31.0):
        await service.gone(2)
    assert len(upstreams) == 0


async def test_idle_connections_have_a_bound(http1: Open, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "MOST_IDLE", 1)
    service, upstreams = await serve(ok), http1()
    await two_at_once(upstreams, service)
    await service.gone(1)
    assert len(upstreams) == 1


async def test_addresses_made_of_what_clients_send_have_a_bound(
    http1: Open, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "MOST_TARGETS", 3)
    service, upstreams = await serve(ok), http1()
    for number in range(10):
        await whole(upstreams, f"{service.url}/{number}")
        assert len(upstreams._channels[1].targets) <= 3  # pyright: ignore[reportPrivateUsage]
    assert len(service.lines) == 1, "the connection outlives what was known of its addresses"


# ---- connections that were closed meanwhile --------------------------------------------------------------------


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_kept_connection_that_closes_at_once_costs_nobody_a_call(http1: Open, serve: Serve, how: str) -> None:
    """The service's time for idle connections runs out just as the next request is under way."""

    async def script(line: Line, asked: Asked) -> None:
        if asked.body == b"second" and line.number == 0:
            line.close() if how == "close" else line.reset()
        else:
            await line.plain(asked.body)

    service, upstreams = await serve(script), http1()
    assert await whole(upstreams, service, b"first") == b"first"
    assert await whole(upstreams, service, b"second") == b"second"
    assert (len(service.lines), len(service.asked)) == (2, 3)


async def test_a_request_written_into_a_reset_goes_out_again(http1: Open, serve: Serve) -> None:
    """The reset is in the kernel, the loop has not looked yet: only the write finds out."""

    async def script(line: Line, asked: Asked) -> None:
        await line.plain(asked.body)
        if line.number == 0:
            line.reset()

    service, upstreams = await serve(script), http1()
    answer = await asking(upstreams, service, b"first")
    await answer.read(10)
    await service.gone()
    body = b"second" * 100_000
    await answer.finish()
    assert await whole(upstreams, service, body) == body
    assert len(service.lines) == 2


async def test_a_new_connection_that_closes_at_once_is_told(http1: Open, serve: Serve) -> None:
    async def script(line: Line, asked: Asked) -> None:
        del asked
        line.close()

    service = await serve(script)
    with pytest.raises(UpstreamBrokenError, match="before it answered"):
        await whole(http1(), service)
    assert len(service.asked) == 1


async def test_once_again_is_once_and_on_a_new_connection(http1: Open, serve: Serve) -> None:
    """With several stale connections, and a service that is gone for good, a call tries two and no more."""
    stale = False

    async def script(line: Line, asked: Asked) -> None:
        if stale:
            line.close()
        else:
            await line.plain(asked.body)

    service, upstreams = await serve(script), http1()
    await two_at_once(upstreams, service)
    stale = True
    with pytest.raises(UpstreamBrokenError):
        await whole(upstreams, service)
    assert len(service.asked) == 4
    assert len(service.lines) == 3


@pytest.mark.parametrize("begun", [b"H", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-le"])
async def test_an_answer_that_has_begun_is_not_asked_for_again(http1: Open, serve: Serve, begun: bytes) -> None:
    async def script(line: Line, asked: Asked) -> None:
        if asked.body == b"first":
            await line.plain(b"")
        else:
            await line.say(begun)
            await asyncio.sleep(0.01)
            line.close()

    service, upstreams = await serve(script), http1()
    await whole(upstreams, service, b"first")
    with pytest.raises(UpstreamBrokenError):
        await whole(upstreams, service, b"second")
    assert len(service.asked) == 2


# ---- calls cut short -------------------------------------------------------------------------------------------


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.fixture(params=["plain", "tls"])
def dressed(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext | None:
    """Say what the service is served with."""
    if request.param == "plain":
        return None
    authority = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.trusted))
    return authority.server("localhost")


@pytest.mark.parametrize("turns", range(0, 60, 2))
async def test_a_call_cancelled_anywhere_leaves_nothing_open(
    serve: Serve, turns: int, dressed: ssl.SSLContext | None
) -> None:
    """Some turns of the loop into resolving, connecting, TLS, sending, waiting or reading, the call is cancelled."""

    async def script(line: Line, asked: Asked) -> None:
        del asked
        await line.say(CHUNKED, *(b"1\r\nx\r\n" for _ in range(20)), b"0\r\n\r\n")

    service = await serve(script, tls=dressed)
    url = service.url.replace("127.0.0.1", "localhost")
    upstreams = Http1Upstreams(allow_private=True, connect_timeout_s=5.0)
    await whole(upstreams, url)  # a resolver's thread and its descriptors are there from now on
    await upstreams.forget(1)
    await service.gone()
    before = descriptors()
    task = asyncio.get_running_loop().create_task(whole(upstreams, url))
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        assert [connection for connection in upstreams._open if connection.usable] == []  # pyright: ignore[reportPrivateUsage]
    else:
        await upstreams.forget(1)
    async with asyncio.timeout(DEADLINE_S):
        while descriptors() > before or len(upstreams):
            await asyncio.sleep(0.005)
    await upstreams.close()


@pytest.mark.parametrize("moment", ["connecting", "waiting"])
async def test_closing_ends_calls_under_way(http1: Open, serve: Serve, moment: str) -> None:
    async def script(line: Line, asked: Asked) -> None:
        del asked
        await line.left()

    service, upstreams = await serve(script), http1()
    task = asyncio.get_running_loop().create_task(whole(upstreams, service))
    if moment == "waiting":
        await service.until(lambda: len(service.asked) == 1)
    else:
        await asyncio.sleep(0)
    await upstreams.close()
    with pytest.raises(UpstreamBrokenError):
        await task
    with pytest.raises(UpstreamBrokenError):
        await whole(upstreams, service)


# ---- addresses -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["169.254.169.254", "[fe80::1]", "100.100.100.200", "0.0.0.0", "[::ffff:169.254.1.1]"])
@pytest.mark.parametrize("allow_private", [True, False])
async def test_the_worst_numbers_are_never_called(http1: Open, host: str, allow_private: bool) -> None:  # noqa: FBT001
    with pytest.raises(UpstreamBrokenError, match="no address that may be called"):
        await asking(http1(allow_private=allow_private), f"http://{host}/latest/meta-data")


@pytest.mark.parametrize("host", ["a" * 70 + ".example", "x..y", ".example"])
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_name_that_cannot_be_spelt_is_refused(http1: Open, scheme: str, host: str) -> None:
    with pytest.raises(UpstreamBrokenError, match="not a valid one"):
        await asking(http1(), f"{scheme}://{host}/")


@pytest.mark.parametrize("host", ["localhost", "2130706433", "0x7f.1", "127.1"])
async def test_a_private_number_behind_a_name_is_not_called(http1: Open, serve: Serve, host: str) -> None:
    service = await serve(ok)
    with pytest.raises(UpstreamBrokenError, match="no address that may be called"):
        await asking(http1(allow_private=False), f"http://{host}:{service.port}/")
    assert service.lines == []


async def test_a_local_model_is_called_by_its_number_whatever_names_may(http1: Open, serve: Serve) -> None:
    service = await serve(ok)
    assert await whole(http1(allow_private=False), service) == b"{}"


@pytest.fixture
def resolves(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Let names lead where a test says, whatever is asked for; return what was asked."""

    def to(*answers: list[str]) -> list[str]:
        asked: list[str] = []

        async def resolve(_loop: object, host: str, port: int, **options: object) -> list[object]:
            assert options == {"type": socket.SOCK_STREAM}
            numbers = answers[min(len(asked), len(answers) - 1)]
            asked.append(host)
            await asyncio.sleep(0)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (number, port)) for number in numbers]

        monkeypatch.setattr(type(asyncio.get_running_loop()), "getaddrinfo", resolve)
        return asked

    return to


async def test_a_name_is_resolved_once_for_check_and_connection(
    http1: Open, serve: Serve, resolves: Callable[..., list[str]]
) -> None:
    """A name that says something else the second time cannot get past the check."""
    service, upstreams = await serve(ok), http1()
    asked = resolves(["127.0.0.1"], ["169.254.169.254"])
    url = f"http://rebound.example:{service.port}/"
    await asyncio.gather(*(whole(upstreams, url) for _ in range(5)))
    assert asked == ["rebound.example"], "callers at once share one answer of the resolver"
    await service.until(lambda: len(service.lines) == 5)
    with clock.shifted(61.0), pytest.raises(UpstreamBrokenError, match="may be called"):
        await whole(upstreams, url)
    assert len(asked) == 2


async def test_a_number_that_may_not_be_called_is_left_out(
    http1: Open, serve: Serve, resolves: Callable[..., list[str]]
) -> None:
    service = await serve(ok)
    resolves(["169.254.169.254", "127.0.0.1"])
    assert await whole(http1(), f"http://mixed.example:{service.port}/") == b"{}"


async def test_a_dead_address_delays_a_call_by_a_moment_only(
    http1: Open, serve: Serve, resolves: Callable[..., list[str]]
) -> None:
    """127.0.0.2 refuses, 127.0.0.3 hears nothing, 127.0.0.1 answers."""
    service = await serve(ok)
    hole = socket.socket()
    hole.bind(("127.0.0.3", service.port))
    hole.listen(0)
    fillers = [socket.socket() for _ in range(4)]
    for filler in fillers:
        filler.setblocking(False)  # noqa: FBT003 - the socket's own interface
        filler.connect_ex(hole.getsockname())
    try:
        resolves(["127.0.0.2", "127.0.0.3", "127.0.0.1"])
        upstreams, before = http1(), descriptors()
        assert await whole(upstreams, f"http://several.example:{service.port}/") == b"{}"
        assert len(upstreams) == 1
        (connection,) = upstreams._open  # pyright: ignore[reportPrivateUsage]
        transport = connection._transport  # pyright: ignore[reportPrivateUsage]
        assert transport is not None
        line = transport.get_extra_info("socket")
        assert line.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert line.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        await upstreams.forget(1)
        await service.gone()
        resolves(["127.0.0.3", "127.0.0.3"])
        task = asyncio.get_running_loop().create_task(whole(upstreams, f"http://dead.example:{service.port}/"))
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(DEADLINE_S):
            while descriptors() > before or len(upstreams):
                await asyncio.sleep(0.005)
        resolves(["127.0.0.2", "127.0.0.4"])
        with pytest.raises(UpstreamBrokenError, match="refused"):
            await whole(upstreams, f"http://closed.example:{service.port}/")
    finally:
        for one in (hole, *fillers):
            one.close()


def test_families_take_turns_from_the_resolvers_first_choice() -> None:
    found = [Found(socket.AF_INET6, f"::{number}") for number in range(3)] + [Found(socket.AF_INET, "10.0.0.1")]
    assert interleaved(found) == ["::0", "10.0.0.1", "::1", "::2"]
    assert interleaved(found[3:]) == ["10.0.0.1"]


# ---- what opens a request --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "place", "line", "host"),
    [
        ("https://api.openai.com/v1/x", Place("api.openai.com", 443, tls=True), "/v1/x", "api.openai.com"),
        ("http://API.example:80", Place("api.example", 80, tls=False), "/", "api.example"),
        ("https://h:80/a b".replace(" ", "%20"), Place("h", 80, tls=True), "/a%20b", "h:80"),
        ("http://[::1]:8080/", Place("::1", 8080, tls=False), "/", "[::1]:8080"),
        ("https://bücher.example/ü?q=ü", Place("xn--bcher-kva.example", 443, tls=True), "/%C3%BC?q=%C3%BC", None),
    ],
)
def test_an_address_is_read_once_and_for_all(url: str, place: Place, line: str, host: str | None) -> None:
    target = Target(url)
    assert target.place == place
    assert target.head([("a", "b")]).decode() == (
        f"POST {line} HTTP/1.1\r\nhost: {host or place.host}\r\na: b\r\ncontent-length: "
    )


@pytest.mark.parametrize(
    "url", ["http://a b/", "http://u:p@host/", "http://host/\r\nx: y", "http://\x7f/", "http://é\u0000/"]
)
def test_an_address_that_would_break_the_request_is_refused(url: str) -> None:
    with pytest.raises(UpstreamBrokenError):
        Target(url)


def test_the_lines_of_a_channel_are_made_once() -> None:
    target = Target("http://h/")
    first = target.head([("a", "b"), ("c", "d")])
    assert target.head([("a", "b"), ("c", "d")]) is first
    assert target.head([("a", "b"), ("c", "e")]) != first
    assert target.head([("content-length", "9"), ("Transfer-Encoding", "chunked"), ("host", "x")]) == (
        b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: "
    )
    given = [("a", "b")]
    kept = target.head(given)
    given[0] = ("a", "other")
    assert target.head(given) != kept
    with pytest.raises(UpstreamBrokenError):
        target.head([("x a", "b")])


async def test_one_write_carries_a_short_request(http1: Open, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    service, upstreams = await serve(ok), http1()
    await whole(upstreams, service)
    written: list[bytes] = []
    begin = Connection.begin

    def noted(connection: Connection, data: bytes) -> None:
        written.append(data)
        begin(connection, data)

    monkeypatch.setattr(Connection, "begin", noted)
    await (await upstreams.send(errand(service, b"body"))).finish()
    assert len(written) == 1
    assert written[0].endswith(b"content-length: 4\r\n\r\nbody")
