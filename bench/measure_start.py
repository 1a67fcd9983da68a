"""How long a second start takes to its first answer, what the server then weighs, and what its imports cost.

Baseline: a bare uvicorn in the same interpreter, started the same way, in turn with ours.
"""

import http.client
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

import psutil

from bench.figures import Figure, median_of
from tests.fixtures.ports import free_port
from tests.fixtures.processes import clean_environment

REPETITIONS = 7
SETTLE_S = 3.0
PATIENCE_S = 60.0
MEGABYTE = 1_000_000
START_LIMIT_S = 1.0
RSS_LIMIT_MB = 120.0
TIDEMILL = str(Path(sys.executable).with_name("tidemill"))
SHOWN_IMPORTS = 12


class Start(NamedTuple):
    """One start: seconds from ``exec`` to the first answer and until ready, processor seconds until then."""

    seconds: float
    ready_s: float
    cpu_s: float
    process: psutil.Process


@contextmanager
def started(
    command: list[str], port: int, environment: dict[str, str], stderr: int | IO[str] = subprocess.DEVNULL
) -> Generator[Start]:
    """Start a server, wait until it answers and until it is ready, and end it at the end."""
    begun = time.perf_counter()
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=stderr) as running:
        try:
            moments: list[float] = []
            for path in ("/healthz", "/startupz"):
                while not answers(port, path):
                    if running.poll() is not None or time.perf_counter() - begun > PATIENCE_S:
                        raise RuntimeError(f"{' '.join(command)} did not start")
                    time.sleep(0.002)
                moments.append(time.perf_counter() - begun)
            process = psutil.Process(running.pid)
            spent = process.cpu_times()
            yield Start(moments[0], moments[1], spent.user + spent.system, process)
        finally:
            running.terminate()
            running.wait(PATIENCE_S)


def answers(port: int, path: str) -> bool:
    """Ask ``path`` once."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()


def import_table(port: int, environment: dict[str, str]) -> str:
    """Return what the imports of a start cost: milliseconds each package spent in modules of its own."""
    with tempfile.TemporaryFile("w+") as said:
        with started([sys.executable, "-X", "importtime", TIDEMILL, "serve"], port, environment, said):
            pass
        said.seek(0)
        lines = said.readlines()
    own: dict[str, float] = {}
    for line in lines:
        parts = line.removeprefix("import time:").split("|")
        if len(parts) == 3 and parts[0].strip().isdigit():
            package = parts[2].strip().split(".")[0]
            own[package] = own.get(package, 0.0) + int(parts[0]) / 1000
    dearest = sorted(own.items(), key=lambda item: -item[1])[:SHOWN_IMPORTS]
    return f"imports {sum(own.values()):.0f} ms: " + ", ".join(f"{name} {spent:.0f}" for name, spent in dearest)


def weight_mb(process: psutil.Process) -> float:
    """Return the resident memory of a server that has had nothing to do for a moment."""
    time.sleep(SETTLE_S)
    return process.memory_info().rss / MEGABYTE


def measure() -> list[Figure]:
    """Start both servers in turn and compare."""
    ours: list[Start] = []
    bare: list[Start] = []
    rss: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="tidemill-bench-") as folder:
        for repetition in range(REPETITIONS + 1):
            port = free_port()
            environment = clean_environment({"TIDEMILL_SERVER__DATA_DIR": folder, "TIDEMILL_SERVER__PORT": str(port)})
            with started([TIDEMILL, "serve"], port, environment) as start:
                # The first start makes the database and the secrets; a start is what comes after.
                if repetition:
                    ours.append(start)
                if repetition == REPETITIONS:
                    rss["ours"] = weight_mb(start.process)
            port = free_port()
            command = [sys.executable, str(Path(__file__).with_name("bare_server.py")), str(port)]
            with started(command, port, environment) as start:
                if repetition:
                    bare.append(start)
                if repetition == REPETITIONS:
                    rss["bare"] = weight_mb(start.process)
        port = free_port()
        environment = clean_environment({"TIDEMILL_SERVER__DATA_DIR": folder, "TIDEMILL_SERVER__PORT": str(port)})
        imports = import_table(port, environment)
    seconds, second_samples = median_of(start.seconds for start in ours)
    ready, ready_samples = median_of(start.ready_s for start in ours)
    spent, spent_samples = median_of(start.cpu_s for start in ours)
    return [
        Figure(
            name="second start to first answer",
            value=seconds,
            unit="s",
            samples=second_samples,
            baseline=median_of(start.seconds for start in bare)[0],
            baseline_name="bare uvicorn",
            limit=START_LIMIT_S,
            note=imports,
        ),
        Figure(
            name="second start until ready",
            value=ready,
            unit="s",
            samples=ready_samples,
            baseline=median_of(start.ready_s for start in bare)[0],
            baseline_name="bare uvicorn",
        ),
        Figure(
            name="processor time of a start",
            value=spent,
            unit="s",
            samples=spent_samples,
            baseline=median_of(start.cpu_s for start in bare)[0],
            baseline_name="bare uvicorn",
        ),
        Figure(
            name="idle RSS of the server process",
            value=rss["ours"],
            unit="MB",
            baseline=rss["bare"],
            baseline_name="bare uvicorn",
            limit=RSS_LIMIT_MB,
        ),
    ]
