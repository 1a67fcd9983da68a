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


@contextmanager
def started(command: list[str], port: int, environment: dict[str, str]) -> Generator[tuple[float, psutil.Process]]:
    """Start a server; gives the seconds from ``exec`` to the first answered ``/healthz``, and the process."""
    begun = time.perf_counter()
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            while not answers(port):
                if process.poll() is not None or time.perf_counter() - begun > PATIENCE_S:
                    raise RuntimeError(f"{command[0]} did not start")
                time.sleep(0.002)
            yield time.perf_counter() - begun, psutil.Process(process.pid)
        finally:
            process.terminate()
            process.wait(PATIENCE_S)


def answers(port: int) -> bool:
    """Ask ``/healthz`` once."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()


def import_table(environment: dict[str, str]) -> str:
    """Return the dearest packages of ``tidemill serve``'s imports: cumulative milliseconds by package."""
    command = [sys.executable, "-X", "importtime", "-c", "import tidemill.server.asgi"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    own: dict[str, float] = {}
    for line in done.stderr.splitlines():
        parts = line.removeprefix("import time:").split("|")
        if len(parts) == 3 and parts[0].strip().isdigit():
            package = parts[2].strip().split(".")[0]
            own[package] = own.get(package, 0.0) + int(parts[0]) / 1000
    dearest = sorted(own.items(), key=lambda item: -item[1])[:SHOWN_IMPORTS]
    return f"imports {sum(own.values()):.0f} ms: " + ", ".join(f"{name} {spent:.0f}" for name, spent in dearest)


def measure() -> list[Figure]:
    """Start both servers in turn and compare."""
    ours: list[float] = []
    bare: list[float] = []
    our_rss: list[float] = []
    bare_rss: list[float] = []
    with tempfile.TemporaryDirectory(prefix="tidemill-bench-") as folder:
        for repetition in range(REPETITIONS + 1):
            port = free_port()
            environment = clean_environment({"TIDEMILL_SERVER__DATA_DIR": folder, "TIDEMILL_SERVER__PORT": str(port)})
            with started([TIDEMILL, "serve"], port, environment) as (seconds, process):
                # The first start makes the database and the secrets; a start is what comes after.
                if repetition:
                    ours.append(seconds)
                if repetition == REPETITIONS:
                    time.sleep(SETTLE_S)
                    our_rss.append(process.memory_info().rss / MEGABYTE)
            port = free_port()
            command = [sys.executable, str(Path(__file__).with_name("bare_server.py")), str(port)]
            with started(command, port, environment) as (seconds, process):
                if repetition:
                    bare.append(seconds)
                if repetition == REPETITIONS:
                    time.sleep(SETTLE_S)
                    bare_rss.append(process.memory_info().rss / MEGABYTE)
        imports = import_table(clean_environment({"TIDEMILL_SERVER__DATA_DIR": folder}))
    start, samples = median_of(ours)
    return [
        Figure(
            name="second start to first answer",
            value=start,
            unit="s",
            samples=samples,
            baseline=median_of(bare)[0],
            baseline_name="bare uvicorn",
            limit=START_LIMIT_S,
            note=imports,
        ),
        Figure(
            name="idle RSS of the server process",
            value=our_rss[0],
            unit="MB",
            baseline=bare_rss[0],
            baseline_name="bare uvicorn",
            limit=RSS_LIMIT_MB,
        ),
    ]
