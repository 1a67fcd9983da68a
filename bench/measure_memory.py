"""Whether the server's memory stays flat under traffic: plain and streamed calls for minutes, and calls given up.

``TIDEMILL_BENCH_MINUTES`` says how long (10). The first half fills caches, pools and the allocator's arenas; over the
second half a line is laid through the samples, and its slope must stay below the limit. Not part of ``make bench``:
``make bench-memory``.
"""

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from typing import NamedTuple

from bench.figures import Figure
from bench.measure_relay import NOTICED_S, Target, answered, make_ready, request, service
from bench.measure_start import TIDEMILL, started
from tests.fixtures.ports import free_port
from tests.fixtures.processes import clean_environment

IN_ALL = False
MINUTES = float(os.environ.get("TIDEMILL_BENCH_MINUTES", "10"))
SAMPLE_S = 1.0
# 144 MB a day. At some 8,000 calls a minute, a call that kept a dozen bytes would be over it.
SLOPE_LIMIT_KB_PER_MIN = 100.0
CALLERS = 32
# Of each caller's calls every tenth is a stream, every fiftieth a stream that its client leaves.
STREAM_EVERY = 10
LEAVE_EVERY = 50
PAUSE_S = 0.02
KILOBYTE = 1_000


class Sample(NamedTuple):
    """The resident memory at a moment."""

    at_s: float
    kilobytes: float


async def caller(target: Target, until: float) -> int:
    """Call until the time is up; returns how many calls were made."""
    made = 0
    connection = await asyncio.open_connection("127.0.0.1", target.port)
    while time.monotonic() < until:
        made += 1
        reader, writer = connection
        writer.write(request(target, stream=made % STREAM_EVERY == 0))
        if made % LEAVE_EVERY == 0:
            await reader.readuntil(b"data:")
            writer.close()
            connection = await asyncio.open_connection("127.0.0.1", target.port)
        else:
            await answered(reader)
        await asyncio.sleep(PAUSE_S)
    connection[1].close()
    return made


async def watched(target: Target, seconds: float) -> tuple[list[Sample], int]:
    """Sample the server's memory while it is called."""
    begun = time.monotonic()
    callers = asyncio.gather(*(caller(target, begun + seconds) for _ in range(CALLERS)))
    samples: list[Sample] = []
    while not callers.done():
        samples.append(Sample(time.monotonic() - begun, target.process.memory_info().rss / KILOBYTE))
        await asyncio.wait([callers], timeout=SAMPLE_S)
    return samples, sum(await callers)


def slope_kb_per_min(samples: Sequence[Sample]) -> float:
    """Return the slope of the line through the samples of the second half."""
    late = [sample for sample in samples if sample.at_s >= samples[-1].at_s / 2]
    line = statistics.linear_regression([sample.at_s / 60 for sample in late], [sample.kilobytes for sample in late])
    return line.slope


def measure() -> list[Figure]:
    """Run the traffic and judge the second half."""
    with tempfile.TemporaryDirectory(prefix="tidemill-bench-") as folder:
        upstream_port, port = free_port(), free_port()
        environment = clean_environment({"TIDEMILL_SERVER__DATA_DIR": folder, "TIDEMILL_SERVER__PORT": str(port)})
        with service(upstream_port), started([TIDEMILL, "serve"], port, environment) as start:
            target = Target(start.process, port, make_ready(folder, environment, upstream_port))
            time.sleep(NOTICED_S)
            samples, made = asyncio.run(watched(target, MINUTES * 60))
    first, last = samples[0].kilobytes / KILOBYTE, samples[-1].kilobytes / KILOBYTE
    middle = samples[len(samples) // 2].kilobytes / KILOBYTE
    return [
        Figure(
            name=f"memory: slope of RSS over the second half of {MINUTES:g} minutes",
            value=slope_kb_per_min(samples),
            unit="kB/min",
            limit=SLOPE_LIMIT_KB_PER_MIN,
            note=f"{made:,} calls; RSS {first:.1f} MB at first, {middle:.1f} in the middle, {last:.1f} at the end",
        )
    ]
