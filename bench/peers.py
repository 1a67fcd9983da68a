"""What a relayed call costs beside a well-known peer: LiteLLM's proxy, in the same run, before the same service.

``python -m bench.peers`` (``make bench-peers``). The peer is installed from PyPI into a virtual environment of its own
below ``bench/.cache`` and is no dependency of ours; it runs as its documentation says, with one worker, a master key
and no database, so it records no usage, while ours runs with everything on. Measured is the processor time of the
whole process tree, which a busy neighbour changes little, and resident memory.
"""

import argparse
import asyncio
import http.client
import os
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil

from bench.figures import Figure, keep, median_of, table
from bench.measure_relay import Target as Reachable
from bench.measure_relay import calls, make_ready
from bench.measure_start import MEGABYTE, TIDEMILL, started
from tests.fixtures.ports import free_port
from tests.fixtures.processes import clean_environment

CACHE = Path(__file__).parent / ".cache"
# Two releases of March 2026 were malicious (MAL-2026-2144).
REQUIREMENT = "litellm[proxy]!=1.82.7,!=1.82.8"
INSTALL_S = 900.0
START_S = 180.0
REPETITIONS = 3
CONNECTIONS = 16
PLAIN_CALLS, PEERS_PLAIN_CALLS = 3_200, 480
STREAMS, PEERS_STREAMS = 320, 64
CHUNKS = 20
INTERVAL_MS = 10.0
PEERS_KEY = "sk-bench-peers"
_CONFIG = """\
model_list:
  - model_name: m
    litellm_params:
      model: openai/m
      api_base: http://127.0.0.1:{port}/v1
      api_key: x
general_settings:
  master_key: {key}
"""
_VERSION = "import importlib.metadata as m; print(m.version('litellm'))"


class PeerMissing(Exception):
    """The peer cannot be installed or does not start; says why and what to do."""


class Tree(NamedTuple):
    """A server with all its processes. ``calls`` and ``streams``: how many a repetition makes."""

    name: str
    process: psutil.Process
    reachable: Reachable
    calls: int
    streams: int

    def members(self) -> list[psutil.Process]:
        """Return every process of the tree."""
        return [self.process, *self.process.children(recursive=True)]

    def cpu_s(self) -> float:
        """Return the processor time of the whole tree so far."""
        return sum(times.user + times.system for times in (member.cpu_times() for member in self.members()))

    def rss_mb(self) -> float:
        """Return the resident memory of the whole tree."""
        return sum(member.memory_info().rss for member in self.members()) / MEGABYTE

    def plain_us(self) -> float:
        """Return the processor time of a plain call at saturation."""
        before = self.cpu_s()
        asyncio.run(calls(self.reachable, self.calls, stream=False, connections=CONNECTIONS))
        return (self.cpu_s() - before) * 1e6 / self.calls

    def stream_us(self) -> float:
        """Return the processor time of a stream of 20 chunks, each chunk its own wake-up."""
        before = self.cpu_s()
        asyncio.run(calls(self.reachable, self.streams, stream=True, connections=CONNECTIONS))
        return (self.cpu_s() - before) * 1e6 / self.streams


def install() -> tuple[Path, str]:
    """Return the peer's program and version, installed at the first run; raises PeerMissing."""
    folder = CACHE / "litellm"
    program, python = folder / "bin" / "litellm", folder / "bin" / "python"
    if not (folder / ".installed").exists():
        print(f"installing {REQUIREMENT} into {folder} …", file=sys.stderr, flush=True)
        venv.create(folder, clear=True, with_pip=True)
        _run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", REQUIREMENT], INSTALL_S)
        (folder / ".installed").touch()
    return program, _run([str(python), "-c", _VERSION], START_S).strip()


def _run(command: list[str], timeout_s: float) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout_s)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PeerMissing(f"{command[0]}: {error}") from None
    if done.returncode:
        raise PeerMissing(done.stderr.strip()[-2000:] or f"{command[0]} ended with {done.returncode}")
    return done.stdout


@contextmanager
def service(port: int) -> Generator[None]:
    """Run the model service of both."""
    script = str(Path(__file__).with_name("relay_upstream.py"))
    with subprocess.Popen([sys.executable, script, str(port), str(CHUNKS), str(INTERVAL_MS)]) as running:
        try:
            yield
        finally:
            running.terminate()
            running.wait()


@contextmanager
def litellm(program: Path, folder: Path, upstream_port: int) -> Generator[Tree]:
    """Run LiteLLM's proxy, and end it with all it has started; raises PeerMissing when it does not start."""
    config, port = folder / "litellm.yaml", free_port()
    config.write_text(_CONFIG.format(port=upstream_port, key=PEERS_KEY), encoding="utf-8")
    # Its own price map instead of one from the network; nothing logged for each call.
    quiet = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR", "LITELLM_MODE": "PRODUCTION"}
    command = [str(program), "--config", str(config), "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
    with (
        (folder / "litellm.log").open("w+", encoding="utf-8") as said,
        subprocess.Popen(
            command, cwd=folder, env=clean_environment(quiet), stdout=said, stderr=said, start_new_session=True
        ) as running,
    ):
        process = psutil.Process(running.pid)
        try:
            _wait_for(running, port, folder / "litellm.log")
            yield Tree("LiteLLM", process, Reachable(process, port, PEERS_KEY), PEERS_PLAIN_CALLS, PEERS_STREAMS)
        finally:
            members = [*process.children(recursive=True), process]
            for member in members:
                member.kill()
            psutil.wait_procs(members)


def _wait_for(running: subprocess.Popen[bytes], port: int, log: Path) -> None:
    due = time.monotonic() + START_S
    while not _is_alive(port):
        if running.poll() is not None or time.monotonic() > due:
            raise PeerMissing("it did not start:\n" + log.read_text(encoding="utf-8")[-2000:])
        time.sleep(0.1)


def _is_alive(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/health/liveliness")
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()


def measure() -> list[Figure]:
    """Measure both in turn; raises PeerMissing."""
    program, version = install()
    with tempfile.TemporaryDirectory(prefix="tidemill-peers-") as name:
        folder, upstream_port, port = Path(name), free_port(), free_port()
        data = folder / "data"
        environment = clean_environment({"TIDEMILL_SERVER__DATA_DIR": str(data), "TIDEMILL_SERVER__PORT": str(port)})
        with (
            service(upstream_port),
            started([TIDEMILL, "serve"], port, environment) as ours,
            litellm(program, folder, upstream_port) as peer,
        ):
            reachable = Reachable(ours.process, port, make_ready(str(data), environment, upstream_port))
            trees = (Tree("tidemill", ours.process, reachable, PLAIN_CALLS, STREAMS), peer)
            for tree in trees:  # imports, pools, caches
                tree.plain_us()
                tree.stream_us()
            taken = [(tree, tree.plain_us(), tree.stream_us()) for _ in range(REPETITIONS) for tree in trees]
            weights = {tree.name: tree.rss_mb() for tree in trees}
    return [
        _beside("peers: processor time of a plain call", "µs", version, ((tree.name, us) for tree, us, _ in taken)),
        _beside(
            f"peers: processor time of a stream of {CHUNKS} chunks",
            "µs",
            version,
            ((tree.name, us) for tree, _, us in taken),
        ),
        _beside("peers: resident memory after the calls", "MB", version, weights.items()),
    ]


def _beside(name: str, unit: str, version: str, samples: Iterable[tuple[str, float]]) -> Figure:
    by_name: dict[str, list[float]] = {"tidemill": [], "LiteLLM": []}
    for who, value in samples:
        by_name[who].append(value)
    value, kept = median_of(by_name["tidemill"])
    baseline, _ = median_of(by_name["LiteLLM"])
    return Figure(
        name=name,
        value=value,
        unit=unit,
        samples=kept,
        baseline=baseline,
        baseline_name=f"{unit} LiteLLM {version}",
        note=f"LiteLLM takes {baseline / value:.1f} times as much",
    )


def main(arguments: list[str]) -> int:
    """Measure, print, keep; 1 with a sentence when the peer cannot be had."""
    parser = argparse.ArgumentParser(prog="bench.peers", description=__doc__)
    parser.add_argument("--no-keep", action="store_true", help="do not write bench/results")
    options = parser.parse_args(arguments)
    try:
        figures = measure()
    except PeerMissing as missing:
        print(
            f"LiteLLM cannot be measured: {missing}\nIt is installed from PyPI into {CACHE}; see that pip reaches an "
            "index, or delete that folder and try again. Nothing else depends on it.",
            file=sys.stderr,
        )
        return 1
    print(table(figures))
    if not options.no_keep:
        print(f"\nkept in {os.path.relpath(keep(figures))}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
