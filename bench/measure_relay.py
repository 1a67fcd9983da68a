"""What a relayed call costs: the whole server's processor time with everything on (key, limits, choice, usage).

Baseline: a bare pass-through of uvicorn and aiohttp on the same machine, in turn with ours, against the same service.
Processor time is the process's own (all threads), so a busy neighbour changes it little.
"""

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Coroutine, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from bench.figures import Figure, median_of
from bench.measure_start import TIDEMILL, started
from tests.fixtures.ports import free_port
from tests.fixtures.processes import clean_environment

PLAIN_LIMIT_US = 250.0
CHUNK_LIMIT_US = 30.0
ADDED_P99_LIMIT_MS = 5.0
REPETITIONS = 5
CONNECTIONS = 16
CALLS = 3_000
# Ten thousand chunks a second, each its own wake-up at both ends: as the figures that the gates come from.
STREAMS = 500
CHUNKS = 100
INTERVAL_MS = 50.0
RATES_PER_S = (100, 1_000)
PACED_S = 3.0
PACED_ROUNDS = 3
NOTICED_S = 2.0

_PROMPT = "word " * 200


class Latencies(NamedTuple):
    """Milliseconds of calls at one rate: half of them, and all but one in a hundred, took no longer."""

    p50_ms: float
    p99_ms: float


class Target(NamedTuple):
    """A server under measurement."""

    process: psutil.Process
    port: int
    key: str


def request(target: Target, *, stream: bool) -> bytes:
    """Return one call as bytes."""
    flag = ',"stream":true' if stream else ""
    body = f'{{"model":"m","messages":[{{"role":"user","content":"{_PROMPT}"}}]{flag}}}'
    return (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {target.key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n{body}"
    ).encode()


async def answered(reader: asyncio.StreamReader) -> None:
    """Read one answer to its end; raises RuntimeError unless it is a 200."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    if not head.startswith(b"http/1.1 200"):
        raise RuntimeError((head + await reader.read(2000)).decode())
    length = head.find(b"content-length:")
    if length >= 0:
        await reader.readexactly(int(head[length + 15 :].split(b"\r\n", 1)[0]))
        return
    while (size := int((await reader.readuntil(b"\r\n")).strip(), 16)) > 0:
        await reader.readexactly(size + 2)
    await reader.readexactly(2)


async def calls(target: Target, count: int, *, stream: bool, connections: int) -> None:
    """Make ``count`` calls over as many ``connections``, each as fast as it is answered."""
    data = request(target, stream=stream)

    async def worker(share: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", target.port)
        for _ in range(share):
            writer.write(data)
            await answered(reader)
        writer.close()

    await asyncio.gather(*(worker(count // connections) for _ in range(connections)))


async def paced(port: int, data: bytes, per_s: int) -> Latencies:
    """Make calls at a fixed rate whatever the answers do; a call that must wait for its turn has waited."""
    taken: list[float] = []

    async def one(at: float) -> None:
        await asyncio.sleep(max(0.0, at - time.perf_counter()))
        reader, writer = idle.pop() if idle else await asyncio.open_connection("127.0.0.1", port)
        begun = time.perf_counter()
        writer.write(data)
        await answered(reader)
        taken.append((time.perf_counter() - begun) * 1000)
        idle.append((reader, writer))

    idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    begin = time.perf_counter() + 0.1
    await asyncio.gather(*(one(begin + number / per_s) for number in range(round(PACED_S * per_s))))
    for _, writer in idle:
        writer.close()
    return Latencies(statistics.median(taken), statistics.quantiles(taken, n=100)[98])


def spent_us(target: Target, work: Coroutine[Any, Any, object], divisor: int) -> float:
    """Run ``work`` and return the server's processor time for it, microseconds over ``divisor``."""
    before = target.process.cpu_times()
    asyncio.run(work)
    after = target.process.cpu_times()
    return (after.user + after.system - before.user - before.system) * 1e6 / divisor


def plain_us(target: Target) -> float:
    """Return the processor time of a plain call at saturation."""
    return spent_us(target, calls(target, CALLS, stream=False, connections=CONNECTIONS), CALLS)


def chunk_us(target: Target) -> float:
    """Return the processor time of a chunk of slow streams, each chunk its own wake-up."""
    return spent_us(target, calls(target, STREAMS, stream=True, connections=STREAMS), STREAMS * CHUNKS)


@contextmanager
def service(port: int) -> Generator[None]:
    """Run the model service."""
    script = str(Path(__file__).with_name("relay_upstream.py"))
    with subprocess.Popen([sys.executable, script, str(port), str(CHUNKS), str(INTERVAL_MS)]) as running:
        try:
            yield
        finally:
            running.terminate()
            running.wait()


def make_ready(folder: str, environment: dict[str, str], upstream_port: int) -> str:
    """Add a channel and a key to a running server; return the key."""
    options = ["--data-dir", folder]
    address = f"http://127.0.0.1:{upstream_port}"
    add = [TIDEMILL, "channels", "add", "--name", "bench", "--base-url", address, "--models", "m=m"]
    subprocess.run([*add, "--max-concurrent", "1000", *options], env=environment, check=True, stdout=subprocess.DEVNULL)
    made = subprocess.run(
        [TIDEMILL, "keys", "create", "--user", "admin", "--name", "bench", *options],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    time.sleep(NOTICED_S)
    return made.stdout.strip()


def measure() -> list[Figure]:
    """Measure both servers in turn."""
    plain: dict[str, list[float]] = {"ours": [], "bare": []}
    chunk: dict[str, list[float]] = {"ours": [], "bare": []}
    with tempfile.TemporaryDirectory(prefix="tidemill-bench-") as folder:
        upstream_port, port, bare_port = free_port(), free_port(), free_port()
        environment = clean_environment({"TIDEMILL_SERVER__DATA_DIR": folder, "TIDEMILL_SERVER__PORT": str(port)})
        script = str(Path(__file__).with_name("relay_passthrough.py"))
        bare_command = [sys.executable, script, str(bare_port), str(upstream_port)]
        log = os.environ.get("TIDEMILL_BENCH_LOG", os.devnull)
        with (
            service(upstream_port),
            Path(log).open("w", encoding="utf-8") as said,
            started([TIDEMILL, "serve"], port, environment, said) as ours,
            started(bare_command, bare_port, environment) as bare,
        ):
            targets = {
                "ours": Target(ours.process, port, make_ready(folder, environment, upstream_port)),
                "bare": Target(bare.process, bare_port, "x"),
            }
            for target in targets.values():
                plain_us(target)  # imports, pools, caches
            for _ in range(REPETITIONS):
                for name, target in targets.items():
                    plain[name].append(plain_us(target))
                    chunk[name].append(chunk_us(target))
            rounds = {
                rate: [
                    (
                        asyncio.run(paced(port, request(targets["ours"], stream=False), rate)),
                        asyncio.run(paced(upstream_port, request(targets["bare"], stream=False), rate)),
                    )
                    for _ in range(PACED_ROUNDS)
                ]
                for rate in RATES_PER_S
            }
    return [
        _cost("relay: processor time of a plain call", plain, PLAIN_LIMIT_US),
        _cost("relay: processor time of a streamed chunk", chunk, CHUNK_LIMIT_US),
        *(figure for rate in RATES_PER_S for figure in _added(rate, rounds[rate])),
    ]


def _cost(name: str, samples: dict[str, list[float]], limit: float) -> Figure:
    value, kept = median_of(samples["ours"])
    return Figure(
        name=name,
        value=value,
        unit="µs",
        samples=kept,
        baseline=statistics.median(samples["bare"]),
        baseline_name="µs bare pass-through",
        limit=limit,
    )


def _added(rate: int, rounds: Sequence[tuple[Latencies, Latencies]]) -> list[Figure]:
    """Return what a call through us takes more than a direct one, round by round."""
    p50, p50_kept = median_of(ours.p50_ms - direct.p50_ms for ours, direct in rounds)
    p99, p99_kept = median_of(ours.p99_ms - direct.p99_ms for ours, direct in rounds)
    direct_p50 = statistics.median(direct.p50_ms for _, direct in rounds)
    direct_p99 = statistics.median(direct.p99_ms for _, direct in rounds)
    return [
        Figure(
            name=f"relay: added p50 at {rate:,} calls/s",
            value=p50,
            unit="ms",
            samples=p50_kept,
            note=f"a direct call {direct_p50:.2f} ms",
        ),
        Figure(
            name=f"relay: added p99 at {rate:,} calls/s",
            value=p99,
            unit="ms",
            samples=p99_kept,
            limit=ADDED_P99_LIMIT_MS if rate == RATES_PER_S[0] else None,
            note=f"a direct call {direct_p99:.2f} ms",
        ),
    ]
