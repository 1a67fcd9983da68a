"""What an idle watcher of live events weighs and costs, by WebSocket and by event stream, on a real server.

The clients answer pings and read; what is measured is the server's process alone, against itself without watchers.
"""

import asyncio
import base64
import os
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil

from bench.figures import Figure
from tests.fixtures.processes import Server, ServerFactory

WATCHERS = 2_000
AT_ONCE = 50
SETTLE_S = 25.0
IDLE_S = 40.0
ALONE_S = 10.0

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def socket(port: int, token: str) -> Connection:
    """Open a WebSocket that watches everything of its user."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=4096)
    key = base64.b64encode(os.urandom(16)).decode()
    lines = (
        "GET /api/v1/ws HTTP/1.1",
        "Host: bench",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {key}",
        f"Authorization: Bearer {token}",
        "",
        "",
    )
    writer.write("\r\n".join(lines).encode())
    await reader.readuntil(b"\r\n\r\n")
    said = b'{"v":1,"type":"subscribe"}'
    writer.write(bytes([0x81, 0x80 | len(said), 0, 0, 0, 0]) + said)
    return reader, writer


async def listen_to_socket(connection: Connection) -> None:
    """Read frames and answer pings."""
    reader, writer = connection
    while True:
        first, length = await reader.readexactly(2)
        if length == 126:
            length = int.from_bytes(await reader.readexactly(2), "big")
        payload = await reader.readexactly(length)
        if first & 0x0F == 9:
            writer.write(bytes([0x8A, 0x80 | len(payload), 0, 0, 0, 0]) + payload)


async def stream(port: int, token: str) -> Connection:
    """Open an event stream of everything of its user."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=4096)
    writer.write(f"GET /api/v1/events HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
    await reader.readuntil(b'"type":"ready"')
    return reader, writer


async def listen_to_stream(connection: Connection) -> None:
    """Read whatever comes."""
    while await connection[0].read(4096):
        pass


def spent_s(process: psutil.Process) -> float:
    """Return the processor time that a process has used."""
    times = process.cpu_times()
    return times.user + times.system


async def share_of_a_core(process: psutil.Process, seconds: float) -> float:
    """Return the share of one core that a process uses over the next ``seconds``."""
    before, began = spent_s(process), time.perf_counter()
    await asyncio.sleep(seconds)
    return (spent_s(process) - before) / (time.perf_counter() - began)


async def watched(
    kind: str,
    server: Server,
    opened: Callable[[int, str], Awaitable[Connection]],
    listen: Callable[[Connection], Awaitable[None]],
) -> list[Figure]:
    """Measure a server before and with many idle watchers of one kind."""
    if server.child is None:
        raise RuntimeError("the server was not started")
    process = psutil.Process(server.child.pid)
    token = await asyncio.to_thread(server.sign_in)
    listening: list[asyncio.Future[None]] = []

    async def open_some(count: int) -> None:
        connections = await asyncio.gather(*(opened(server.port, token) for _ in range(count)))
        listening.extend(asyncio.ensure_future(listen(connection)) for connection in connections)

    await open_some(1)  # what the first one loads is not weighed with the others
    alone = await share_of_a_core(process, ALONE_S)
    weight, before_s = process.memory_info().rss, spent_s(process)
    for _ in range(0, WATCHERS, AT_ONCE):
        await open_some(AT_ONCE)
    opening_ms = (spent_s(process) - before_s) / WATCHERS * 1000
    await asyncio.sleep(SETTLE_S)
    kilobytes = (process.memory_info().rss - weight) / WATCHERS / 1000
    idle = await share_of_a_core(process, IDLE_S)
    lost = sum(one.done() for one in listening)
    for one in listening:
        one.cancel()
    await asyncio.gather(*listening, return_exceptions=True)
    note = f"{WATCHERS} of them; {lost} were lost"
    return [
        Figure(name=f"memory of an idle {kind}", value=kilobytes, unit="kB", note=note),
        Figure(
            name=f"a thousand idle {kind}s",
            value=(idle - alone) * 100 / WATCHERS * 1000,
            unit="% of a core",
            baseline=alone * 100,
            baseline_name="the server alone",
        ),
        Figure(name=f"processor time to open one {kind}", value=opening_ms, unit="ms"),
    ]


def measure() -> list[Figure]:
    """Measure both kinds, each on a fresh server."""
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="tidemill-bench-") as folder:
        factory = ServerFactory(Path(folder))
        try:
            for kind, opened, listen in (
                ("WebSocket", socket, listen_to_socket),
                ("event stream", stream, listen_to_stream),
            ):
                server = factory({"TIDEMILL_LIMITS__MAX_WATCHERS_PER_USER": str(WATCHERS + 1)}).start()
                figures += asyncio.run(watched(kind, server, opened, listen))
                server.stop()
        finally:
            factory.close()
    return figures
