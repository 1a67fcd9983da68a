"""What a call to a model service costs by HTTP client: the client alone, and the whole relay around it.

Both clients are measured in turn against the same service; the ratio is what a change of the client is worth.
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import ExitStack

import uvloop

from bench import measure_relay
from bench.figures import Figure
from bench.measure_relay import CALLS, CHUNKS, CONNECTIONS, REPETITIONS, STREAMS, Target, make_ready, plain_us, service
from bench.measure_start import TIDEMILL, started
from tests.fixtures.ports import free_port
from tests.fixtures.processes import clean_environment
from tidemill.relay.upstreams.aiohttp_client import AiohttpUpstreams
from tidemill.relay.upstreams.http1 import Http1Upstreams
from tidemill.relay.upstreams.port import Errand, Upstreams

OURS, OTHER = "http1", "aiohttp"
# A server's processor time is told in hundredths of a second; this many streams make half a microsecond of one.
RELAY_STREAMS = 200
_CLIENTS: Mapping[str, Callable[[], Upstreams]] = {
    OURS: lambda: Http1Upstreams(allow_private=True, connect_timeout_s=10.0),
    OTHER: lambda: AiohttpUpstreams(allow_private=True, connect_timeout_s=10.0),
}
_PLAIN = b'{"model":"m","messages":[{"role":"user","content":"' + b"word " * 200 + b'"}]}'
_STREAM = _PLAIN[:-1] + b',"stream":true}'

Samples = dict[str, list[float]]


def errand(port: int, body: bytes) -> Errand:
    """Return a request as the relay prepares one: a list of headers made for this call."""
    headers = [
        ("content-type", "application/json"),
        ("accept", "application/json"),
        ("accept-encoding", "identity"),
        ("user-agent", "tidemill/0"),
        ("authorization", "Bearer sk-measured"),
    ]
    return Errand(1, f"http://127.0.0.1:{port}/v1/chat/completions", headers, body)


async def plain_calls(upstreams: Upstreams, port: int) -> None:
    """Make ``CALLS`` plain calls, ``CONNECTIONS`` at once."""

    async def worker() -> None:
        for _ in range(CALLS // CONNECTIONS):
            answer = await upstreams.send(errand(port, _PLAIN))
            await answer.read(1_000_000)
            await answer.finish()

    await asyncio.gather(*(worker() for _ in range(CONNECTIONS)))


async def streams(upstreams: Upstreams, port: int) -> None:
    """Read ``STREAMS`` slow streams at once, each chunk its own wake-up."""

    async def one() -> None:
        answer = await upstreams.send(errand(port, _STREAM))
        while await answer.next():
            pass
        await answer.finish()

    await asyncio.gather(*(one() for _ in range(STREAMS)))


async def spent_us(work: Coroutine[object, object, None], divisor: int) -> float:
    """Return this process's time for ``work``, microseconds over ``divisor``."""
    before = time.process_time()
    await work
    return (time.process_time() - before) * 1e6 / divisor


async def clients(port: int, plain: Samples, chunk: Samples) -> None:
    """Measure the clients alone, in turn."""
    opened = {name: make() for name, make in _CLIENTS.items()}
    for upstreams in opened.values():
        await plain_calls(upstreams, port)  # imports, connections, caches
    for _ in range(REPETITIONS):
        for name, upstreams in opened.items():
            plain[name].append(await spent_us(plain_calls(upstreams, port), CALLS))
            chunk[name].append(await spent_us(streams(upstreams, port), STREAMS * CHUNKS))
    for upstreams in opened.values():
        await upstreams.close()


def relays(upstream_port: int, plain: Samples, chunk: Samples) -> None:
    """Measure whole servers, one with each client, in turn."""
    with ExitStack() as stack:
        targets: dict[str, Target] = {}
        for name in _CLIENTS:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="tidemill-bench-"))
            port = free_port()
            environment = clean_environment(
                {
                    "TIDEMILL_SERVER__DATA_DIR": folder,
                    "TIDEMILL_SERVER__PORT": str(port),
                    "TIDEMILL_GATEWAY__HTTP_CLIENT": name,
                }
            )
            server = stack.enter_context(started([TIDEMILL, "serve"], port, environment))
            targets[name] = Target(server.process, port, make_ready(folder, environment, upstream_port))
            plain_us(targets[name])
        for _ in range(REPETITIONS):
            for name, target in targets.items():
                plain[name].append(plain_us(target))
                many = measure_relay.calls(target, RELAY_STREAMS, stream=True, connections=RELAY_STREAMS)
                chunk[name].append(measure_relay.spent_us(target, many, RELAY_STREAMS * CHUNKS))


def measure() -> list[Figure]:
    """Measure the clients alone, then whole relays around them."""
    samples: list[Samples] = [{name: [] for name in _CLIENTS} for _ in range(4)]
    port = free_port()
    with service(port):
        time.sleep(1.0)  # it tells nobody when it listens
        uvloop.run(clients(port, samples[0], samples[1]))
        relays(port, samples[2], samples[3])
    names = (
        "upstream client alone: a plain call",
        "upstream client alone: a streamed chunk",
        "relay by upstream client: a plain call",
        "relay by upstream client: a streamed chunk",
    )
    return [_figure(name, taken) for name, taken in zip(names, samples, strict=True)]


def _figure(name: str, samples: Samples) -> Figure:
    return Figure(
        name=name,
        value=statistics.median(samples[OURS]),
        unit="µs",
        samples=tuple(samples[OURS]),
        baseline=statistics.median(samples[OTHER]),
        baseline_name=f"µs with {OTHER}",
        limit=1.0,
        limits_ratio=True,
    )
