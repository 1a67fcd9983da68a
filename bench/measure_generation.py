"""The generation engine against a simulated service of 100 ms and 64 slots: wall time over the ideal, processor time.

Ideal: rows × latency ÷ slots. Baseline: a bare aiohttp client that sends the same prompts from 64 workers and reads
the answers, measured in turn with ours against the same kind of service.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.figures import Figure, median_of
from bench.generation_child import ROWS, SLOTS
from tests.fixtures.processes import Simulator

REPETITIONS = 3
LATENCY_S = 0.1
IDEAL_S = ROWS * LATENCY_S / SLOTS
WALL_LIMIT = 1.10
PATIENCE_S = 300


def one(side: str, folder: Path) -> dict[str, Any]:
    """Run one side against a service of its own."""
    service = Simulator(folder, "--latency", str(LATENCY_S), "--slots", str(SLOTS))
    try:
        command = [sys.executable, "-m", "bench.generation_child", side, service.base_url]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    finally:
        service.end_group()
    if done.returncode:
        raise RuntimeError(f"{side} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def measure() -> list[Figure]:
    """Run both sides in turn and compare."""
    ours: list[dict[str, Any]] = []
    bare: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="tidemill-bench-") as folder:
        for _ in range(REPETITIONS):
            ours.append(one("ours", Path(folder)))
            bare.append(one("bare", Path(folder)))
    wall, walls = median_of(side["wall_s"] / IDEAL_S for side in ours)
    cpu, cpus = median_of(side["cpu_s"] * 1000 / side["rows"] for side in ours)
    return [
        Figure(
            name=f"generation: wall over ideal, {ROWS} rows at {SLOTS} x 100 ms",
            value=wall,
            unit="x",
            samples=walls,
            baseline=median_of(side["wall_s"] / IDEAL_S for side in bare)[0],
            baseline_name="bare aiohttp client",
            limit=WALL_LIMIT,
            note=f"accepted {ours[-1]['accepted']}, failed {ours[-1]['failed']}",
        ),
        Figure(
            name="generation: processor time a row",
            value=cpu,
            unit="ms",
            samples=cpus,
            baseline=median_of(side["cpu_s"] * 1000 / side["rows"] for side in bare)[0],
            baseline_name="bare aiohttp client",
            note="prompt, relay, usage, parsing, rules, duplicates, group commit",
        ),
    ]
