"""What a relayed call costs in our own code: edge, relay and meter, without a socket on either side.

The baseline is no work of ours at all, so there is none; ``relay`` compares with a bare server and holds the limits.
This tells where the time of a call is ours, and what a change to it is worth. See ``bench/core_child.py``.
"""

import os
import subprocess
import sys

import msgspec

from bench.figures import Figure, median_of
from tests.fixtures.processes import clean_environment

_NAMES = {
    "call": "core: processor time of a plain call",
    "chunk": "core: processor time of a streamed chunk",
    "event": "core: processor time to store a call's usage",
}


def measure() -> list[Figure]:
    """Measure in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.core_child"],
        check=True,
        env=clean_environment({}),
        stdout=subprocess.PIPE,
        stderr=None if "TIDEMILL_BENCH_LOG" in os.environ else subprocess.DEVNULL,
    )
    # The first start says the administrator's password before it.
    found = msgspec.json.decode(done.stdout.splitlines()[-1], type=dict[str, list[float]])
    figures: list[Figure] = []
    for name, samples in found.items():
        value, kept = median_of(samples)
        figures.append(Figure(name=_NAMES[name], value=value, unit="µs", samples=kept))
    return figures
