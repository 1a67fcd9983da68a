"""The measurement of our own code, in a process of its own: ``python -m bench.core_child``. Prints one JSON line.

The product is built as a server builds it, on a database file; only the sockets are missing. The caller is a pair of
functions, the upstream answers at once from memory.
"""

import asyncio
import contextlib
import gc
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, cast

import msgspec
import uvloop

from bench.relay_upstream import ANSWER, CHUNK, LAST_CHUNK
from tidemill.identity.facade import KeyWish
from tidemill.kernel.actor import AdminScope, SystemReason, SystemScope
from tidemill.platform.db import migrate
from tidemill.platform.settings.load import load
from tidemill.relay.contracts import ChannelWish
from tidemill.relay.upstreams.port import Errand, Take, pour_by_reading
from tidemill.server.wiring import Runtime

REPETITIONS = 7
CALLS = 2_000
STREAMS = 30
CHUNKS = 100

_SCOPE = SystemScope(SystemReason.COMMAND_LINE)
_MESSAGES = '"messages":[{"role":"user","content":"' + "word " * 200 + '"}]'
_BODIES = {False: f'{{"model":"m",{_MESSAGES}}}'.encode(), True: f'{{"model":"m",{_MESSAGES},"stream":true}}'.encode()}
_STREAM = [*[CHUNK] * CHUNKS, LAST_CHUNK + b"data: [DONE]\n\n"]

Application = Callable[[Any, Any, Any], Awaitable[None]]


class Answer:
    """An answer that is there already; its pieces are handed out one at a time, as a network would bring them."""

    status = 200
    headers: Mapping[str, str] = {"content-type": "application/json"}

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces
        self._next = 0

    async def read(self, limit: int) -> bytes:
        """Return all of it."""
        del limit
        return b"".join(self._pieces)

    async def next(self) -> bytes:
        """Return one piece, empty at the end."""
        if self._next == len(self._pieces):
            return b""
        self._next += 1
        return self._pieces[self._next - 1]

    async def pour(self, take: Take) -> None:
        """Hand over what is there."""
        await pour_by_reading(self, take)

    async def finish(self) -> None:
        """Do nothing: there is no connection to give back."""

    async def abort(self) -> None:
        """Do nothing: there is no connection to close."""


class Instant:
    """An upstream client without a network."""

    async def send(self, errand: Errand) -> Answer:
        """Answer at once."""
        return Answer(_STREAM if ("accept", "text/event-stream") in errand.headers else [ANSWER])

    async def forget(self, pool: int) -> None:
        """Do nothing: there is no connection to close."""

    async def close(self) -> None:
        """Do nothing: there is no connection to close."""


class Client:
    """A caller behind an ASGI server that costs next to nothing."""

    def __init__(self, application: Application, key: str) -> None:
        self._application = application
        self._key = key.encode()

    async def call(self, *, stream: bool = False) -> int:
        """Make one call; returns the bytes of its answer. Raises RuntimeError unless it went well."""
        body = _BODIES[stream]
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "server": ("127.0.0.1", 8080),
            "client": ("127.0.0.1", 50000),
            "scheme": "http",
            "method": "POST",
            "root_path": "",
            "path": "/v1/chat/completions",
            "raw_path": b"/v1/chat/completions",
            "query_string": b"",
            "headers": [
                (b"host", b"127.0.0.1:8080"),
                (b"authorization", b"Bearer " + self._key),
                (b"content-type", b"application/json"),
                (b"content-length", b"%d" % len(body)),
            ],
            "state": {},
        }
        statuses: list[int] = []
        size = 0

        whole = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def receive() -> dict[str, Any]:
            # After the body a server has nothing to say until the client leaves, and ours does not.
            return next(whole, None) or await asyncio.get_running_loop().create_future()

        async def send(message: dict[str, Any]) -> None:
            nonlocal size
            if message["type"] == "http.response.start":
                statuses.append(message["status"])
            else:
                size += len(message["body"])

        await self._application(scope, receive, send)
        if statuses != [200]:  # a measurement of refusals would be worth nothing
            raise RuntimeError(f"the call was answered with {statuses}")
        return size


@contextlib.asynccontextmanager
async def product(folder: Path) -> AsyncGenerator[tuple[Runtime, Client]]:
    """Build and start the product, with a channel, a key and an upstream that answers at once."""
    settings = load({"server.data_dir": str(folder), "server.roles": ["api"]}, environ={}, folder=folder).settings
    migrate.upgrade(settings.database_url)
    runtime = Runtime(settings)
    await runtime.start()
    try:
        context = runtime.relay_context
        wish = ChannelWish(
            name="bench", base_url="http://127.0.0.1:9", models={"m": "m"}, keys=["sk-x"], max_concurrent=1000
        )
        await context.channels.create(AdminScope(1), wish, None)
        # No setting names an upstream client of no use but this; so it is put in from outside.
        pipeline = cast("Any", context.pipeline)
        pipeline._ground = msgspec.structs.replace(pipeline._ground, upstreams=Instant())  # noqa: SLF001 - as said
        owner = await runtime.identity.administration.named(_SCOPE, settings.admin.username)
        made = await runtime.identity.keys.create(_SCOPE, owner.id, KeyWish(name="bench", scopes=["relay"]), None)
        yield runtime, Client(cast("Application", runtime.application), made.secret)
    finally:
        await runtime.stop()


async def a_call_us(client: Client) -> float:
    """Return this thread's processor time for a plain call, microseconds; each in a task of its own, as in a server."""
    begun = time.thread_time()
    for _ in range(CALLS):
        await asyncio.get_running_loop().create_task(client.call())
    return (time.thread_time() - begun) * 1e6 / CALLS


async def a_chunk_us(client: Client) -> float:
    """Return this thread's processor time for a chunk of a stream, microseconds."""
    begun = time.thread_time()
    for _ in range(STREAMS):
        await asyncio.get_running_loop().create_task(client.call(stream=True))
    return (time.thread_time() - begun) * 1e6 / STREAMS / CHUNKS


async def an_event_us(runtime: Runtime, client: Client) -> float:
    """Return all threads' processor time to bring one call's usage from the journal into the database."""
    await runtime.meter.flush()
    for _ in range(CALLS):
        await client.call()
    begun = time.process_time()
    await runtime.meter.flush()
    return (time.process_time() - begun) * 1e6 / CALLS


async def main() -> dict[str, list[float]]:
    """Measure in turn."""
    samples: dict[str, list[float]] = {"call": [], "chunk": [], "event": []}
    with tempfile.TemporaryDirectory(prefix="tidemill-bench-") as folder:
        async with product(Path(folder)) as (runtime, client):
            await a_call_us(client)
            gc.freeze()
            gc.set_threshold(10_000, 20, 20)
            for _ in range(REPETITIONS):
                samples["call"].append(await a_call_us(client))
                samples["chunk"].append(await a_chunk_us(client))
                samples["event"].append(await an_event_us(runtime, client))
    return samples


if __name__ == "__main__":
    sys.stdout.write(msgspec.json.encode(uvloop.run(main())).decode() + "\n")
