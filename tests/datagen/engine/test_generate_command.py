"""``tidemill generate`` with real processes: the whole way, resumed with the same command, after kill -9 too."""

import json
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.processes import TIDEMILL, Server, ServerFactory, Simulator, SimulatorFactory

SAMPLES = 10


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    path = tmp_path / "samples.jsonl"
    rows = [{"text": f"第{number}位客户询问信用卡年费如何减免。"} for number in range(SAMPLES)]
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def home(make_server: ServerFactory, make_simulator: SimulatorFactory) -> tuple[Server, Simulator]:
    """Give a data directory with one simulated channel; no server runs on it."""
    server = make_server()
    simulator = make_simulator("--latency", "0.05", "--slots", "8")
    added = server.run("channels", "add", "--name", "sim", "--base-url", simulator.base_url, "--models", "sim")
    assert added.returncode == 0, added.stderr
    return server, simulator


def arguments(samples: Path, out: Path, *more: str) -> list[str]:
    """Return the command that every test gives."""
    return [
        "generate",
        *("--file", str(samples), "--task-type", "entity_extraction", "--model", "sim", "--out", str(out)),
        *("--variants", "2", "--rounds", "2", "--min-score", "0", "--max-concurrent", "8", "--dedup", "off"),
        *more,
    ]


def lines(path: Path) -> list[dict[str, Any]]:
    """Read a JSONL file; every line must be whole."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.timeout(180)
def test_generates_and_has_nothing_to_do_the_second_time(
    home: tuple[Server, Simulator], samples: Path, tmp_path: Path
) -> None:
    server, _ = home
    out = tmp_path / "out.jsonl"
    done = server.run(*arguments(samples, out, "--json"))
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["status"], told["current"], told["total"], told["resumed"]) == ("finished", 40, 40, False)
    assert len(lines(out)) == told["accepted"]
    assert Path(told["state"]) == Path(str(out) + ".state.db")
    assert all("text" in row and "entities" in row for row in lines(out))
    before = out.read_bytes()
    again = server.run(*arguments(samples, out, "--json"))
    assert json.loads(again.stdout)["resumed"]
    assert out.read_bytes() == before


@pytest.mark.timeout(180)
def test_goes_on_after_kill_9(home: tuple[Server, Simulator], samples: Path, tmp_path: Path) -> None:
    server, _ = home
    out = tmp_path / "out.jsonl"
    command = [TIDEMILL, *arguments(samples, out, "--no-judge", "--variants", "10")]
    kept: list[dict[str, Any]] = []
    for _ in range(2):
        first = subprocess.Popen(command, env=server.environment, stderr=subprocess.PIPE, text=True)
        assert first.stderr is not None
        reached = threading.Event()

        def read(stream: Any = first.stderr, seen: threading.Event = reached) -> None:
            for line in stream:
                if "/200" in line and "] 0/200" not in line:
                    seen.set()

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        assert reached.wait(60)
        first.send_signal(signal.SIGKILL)
        first.wait()
        reader.join(10)
        first.stderr.close()
        kept = lines(out)
        assert kept
    done = server.run(*arguments(samples, out, "--no-judge", "--variants", "10", "--json"))
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["status"], told["resumed"], told["current"]) == ("finished", True, 200)
    rows = [json.dumps(row, ensure_ascii=False) for row in lines(out)]
    assert len(rows) == told["accepted"]
    assert {json.dumps(row, ensure_ascii=False) for row in kept} <= set(rows)


@pytest.mark.timeout(120)
def test_an_interrupted_run_ends_in_good_order(home: tuple[Server, Simulator], samples: Path, tmp_path: Path) -> None:
    server, _ = home
    out = tmp_path / "out.jsonl"
    command = [TIDEMILL, *arguments(samples, out, "--no-judge", "--variants", "40")]
    with subprocess.Popen(command, env=server.environment, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        for line in running.stderr:
            if "/800" in line:
                break
        running.send_signal(signal.SIGINT)
        rest = running.stderr.read()
        assert running.wait(30) == 1
    assert "the same command" in rest
    assert not out.with_name(out.name + ".part").exists()


@pytest.mark.timeout(120)
def test_what_is_wrong_is_named_and_leaves_nothing(
    home: tuple[Server, Simulator], samples: Path, tmp_path: Path
) -> None:
    server, _ = home
    out = tmp_path / "out.jsonl"
    refused = server.run(*arguments(samples, out, "--task-type", "poetry"))
    assert (refused.returncode, "task_type" in refused.stderr) == (2, True)
    refused = server.run(*arguments(samples, out, "--model", "nobody"))
    assert (refused.returncode, "nobody" in refused.stderr) == (2, True)
    refused = server.run(*arguments(tmp_path / "missing.jsonl", out))
    assert refused.returncode == 2
    empty = tmp_path / "empty.jsonl"
    empty.write_text("\n")
    refused = server.run(*arguments(empty, out))
    assert (refused.returncode, "file" in refused.stderr) == (2, True)
    assert not out.exists()
    assert list(tmp_path.glob("out.jsonl*")) == []


@pytest.mark.timeout(120)
def test_another_task_is_not_mixed_into_a_state_file(
    home: tuple[Server, Simulator], samples: Path, tmp_path: Path
) -> None:
    server, _ = home
    out = tmp_path / "out.jsonl"
    assert server.run(*arguments(samples, out, "--sample-limit", "1")).returncode == 0
    before = out.read_bytes()
    other = server.run(*arguments(samples, out, "--sample-limit", "2"))
    assert (other.returncode, "state file" in other.stderr) == (2, True)
    assert out.read_bytes() == before
    assert server.run(*arguments(samples, out, "--sample-limit", "1", "--max-concurrent", "2")).returncode == 0


@pytest.mark.timeout(120)
def test_a_spent_budget_stops_and_a_higher_one_goes_on(
    home: tuple[Server, Simulator], samples: Path, tmp_path: Path
) -> None:
    server, _ = home
    out = tmp_path / "out.jsonl"
    poor = server.run(*arguments(samples, out, "--budget", "3000", "--no-judge", "--max-concurrent", "1", "--json"))
    assert poor.returncode == 1
    assert "budget" in poor.stderr
    told = json.loads(poor.stdout)
    assert 0 < told["current"] < 40
    rich = server.run(*arguments(samples, out, "--budget", "1000000", "--no-judge", "--json"))
    assert rich.returncode == 0, rich.stderr
    assert json.loads(rich.stdout)["current"] == 40
