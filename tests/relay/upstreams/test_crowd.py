"""Many calls at once that end in every way there is: connections are shared, answers never."""

import asyncio
import random

import pytest

from tests.relay.upstreams.conftest import Open, Serve
from tests.relay.upstreams.far import Asked, Far, Line, asking, whole
from tidemill.relay.upstreams.port import UpstreamAnswer, UpstreamBrokenError, Upstreams

CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
WAYS = ("plain", "stream", "early", "abort", "break")
CALLS, AT_ONCE = 400, 20


async def service_of_all_ways(line: Line, asked: Asked) -> None:
    """Answer as the body says, with the caller's number in every piece."""
    how, number = asked.body.split(b" ")
    piece = b"%x\r\n%b;\r\n" % (len(number) + 1, number)
    if how == b"plain":
        await line.plain(b"plain " + number)
    elif how == b"break":
        await line.say(CHUNKED + piece[:-3])
        line.reset()
    else:
        await line.say(CHUNKED, *(piece for _ in range(20)), b"0\r\n\r\n")


async def read_as(how: str, number: int, answer: UpstreamAnswer) -> None:
    """Read one answer in its way; every byte of it must be the caller's own."""
    match how:
        case "plain":
            assert await answer.read(1000) == b"plain %d" % number
        case "stream":
            assert await answer.read(1000) == b"%d;" % number * 20
        case "break":
            with pytest.raises(UpstreamBrokenError):
                await answer.read(1000)
        case _:
            assert (await answer.next()).startswith(b"%d;" % number)


async def call(upstreams: Upstreams, service: Far, how: str, number: int) -> None:
    """Make one call of a channel of three."""
    answer = await asking(upstreams, service, f"{how} {number}".encode(), number % 3)
    try:
        await read_as(how, number, answer)
    except BaseException:
        await answer.abort()
        raise
    await (answer.abort() if how in {"abort", "break"} else answer.finish())


async def test_in_a_crowd_everybody_gets_their_own_answer(engine: Open, serve: Serve) -> None:
    """One call in five is cancelled a few turns of the loop after it began."""
    service, upstreams = await serve(service_of_all_ways), engine()
    chance = random.Random(7)  # noqa: S311 - which call does what

    async def worker(share: range) -> int:
        done = 0
        for number in share:
            how = chance.choice(WAYS)
            task = asyncio.get_running_loop().create_task(call(upstreams, service, how, number))
            if chance.random() < 0.2:
                for _ in range(chance.randrange(12)):
                    await asyncio.sleep(0)
                task.cancel()
            await asyncio.wait([task])
            done += not task.cancelled()
            if not task.cancelled():
                task.result()
        return done

    done = await asyncio.gather(*(worker(range(first, CALLS, AT_ONCE)) for first in range(AT_ONCE)))
    assert sum(done) > CALLS / 2
    assert await whole(upstreams, service, b"plain 9999") == b"plain 9999"
    assert len(service.lines) < CALLS, "connections were used again"
    await upstreams.close()
    await service.gone(len(service.lines))
