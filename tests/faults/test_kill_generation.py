"""kill -9 of the server in the middle of a task, five times at random moments, with real processes.

After each restart the task goes on by itself; whatever was shown before (a ``row`` event, a count in the status, a row
in the list) is still there; nothing is doubled; the task ends with ``current = total``.
"""

import json
import random
import threading
import time
import urllib.request
from collections import Counter
from typing import Any

import pytest

from tests.fixtures.processes import LOOPBACK_ONLY, Server, ServerFactory, Simulator, SimulatorFactory

KILLS = 5
SAMPLES = 40
VARIANTS = 5
ROUNDS = 3
TOTAL = SAMPLES * VARIANTS * ROUNDS
END_S = 60.0


def upload(server: Server, token: str, rows: list[dict[str, str]]) -> int:
    """Upload sample rows as JSONL and return the file's id."""
    body = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    form = (
        '--edge\r\nContent-Disposition: form-data; name="file"; filename="samples.jsonl"\r\n'
        f"Content-Type: application/x-jsonlines\r\n\r\n{body}\r\n--edge--\r\n"
    )
    request = urllib.request.Request(  # noqa: S310 - loopback
        f"{server.base_url}/api/data_files/upload",
        data=form.encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "multipart/form-data; boundary=edge"},
        method="POST",
    )
    with LOOPBACK_ONLY.open(request, timeout=60) as answer:
        return int(json.loads(answer.read())["data"]["id"])


class Watcher(threading.Thread):
    """Reads the event stream until it breaks or ends; keeps every row that it was shown."""

    def __init__(self, server: Server, token: str, task_id: str, after: int | None) -> None:
        super().__init__(daemon=True)
        self._server = server
        self._token = token
        self._task_id = task_id
        self.position = after
        self.rows: list[dict[str, Any]] = []
        self.most_counted = 0
        self.complete: dict[str, Any] | None = None
        self.moved = threading.Event()

    def run(self) -> None:
        """Watch."""
        headers = {} if self.position is None else {"Last-Event-ID": str(self.position)}
        address = f"{self._server.base_url}/api/progress/{self._task_id}?access_token={self._token}"
        request = urllib.request.Request(address, headers=headers)  # noqa: S310 - loopback
        try:
            with LOOPBACK_ONLY.open(request, timeout=60) as stream:
                for raw in stream:
                    self._line(raw.decode().rstrip("\n"))
        except OSError:
            return  # the server was killed; what came before counts

    def _line(self, line: str) -> None:
        if line.startswith("id: "):
            self._pending = int(line[4:])
        elif line.startswith("data: "):
            event = json.loads(line[6:])
            if event["type"] == "row":
                self.rows.append(event)
            elif event["type"] == "progress":
                self.most_counted = max(self.most_counted, event["current"])
            elif event["type"] == "complete":
                self.complete = event
            self.position = self._pending
            self.moved.set()

    _pending = 0


def listed(server: Server, token: str, task_id: str) -> dict[int, dict[str, Any]]:
    """Return every generated row of the task, by id."""
    rows: dict[int, dict[str, Any]] = {}
    cursor = ""
    while True:
        page = server.get(f"/api/generated_data?task_id={task_id}&page_size=200{cursor}", token)["data"]
        rows.update({row["id"]: row for row in page["items"]})
        if not page["next"]:
            return rows
        cursor = f"&cursor={page['next']}"


def start_task(server: Server, token: str, simulator: Simulator) -> str:
    """Start the task that is killed again and again; returns its id."""
    added = server.run(
        "channels", "add", "--name", "simulated", "--base-url", simulator.base_url, "--models", "sim", "--json"
    )
    assert added.returncode == 0, added.stderr
    samples = [{"text": f"请在{number}号之前办理第{number}笔信用卡年费减免。"} for number in range(SAMPLES)]
    file_id = upload(server, token, samples)
    wait_for_model(server, token)
    task = server.post(
        "/api/start",
        {
            "file_id": file_id,
            "task_type": "entity_extraction",
            "model": "sim",
            "min_score": 0,
            "variants_per_sample": VARIANTS,
            "data_rounds": ROUNDS,
            "max_concurrent": 16,
            "dedup": "off",
        },
        token,
    )
    return str(task["data"]["task_id"])


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", [20])
def test_five_kills_lose_and_double_nothing(
    make_server: ServerFactory, make_simulator: SimulatorFactory, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - moments, not secrets
    simulator = make_simulator("--latency", "0.1", "--slots", "16")
    server = make_server().start()
    token = server.sign_in()
    task_id = start_task(server, token, simulator)

    shown: dict[int, dict[str, Any]] = {}
    kept: dict[int, dict[str, Any]] = {}
    counted = 0
    position: int | None = None
    kills_in_the_middle = 0
    for _ in range(KILLS):
        watcher = Watcher(server, token, task_id, position)
        watcher.start()
        assert watcher.moved.wait(30)
        time.sleep(chance.uniform(0.05, 1.2))  # the random moment of the kill, not a wait for anything
        status = server.get(f"/api/status/{task_id}", token)["data"]
        kept.update(listed(server, token, task_id))
        server.kill()
        server.close()
        watcher.join(30)
        assert not watcher.is_alive()
        counted = max(counted, status["current"], watcher.most_counted)
        kills_in_the_middle += status["current"] < TOTAL
        shown.update({row["id"]: row for row in watcher.rows})
        position = watcher.position
        server.start()
        now = server.get(f"/api/status/{task_id}", token)["data"]
        assert now["current"] >= counted
        rows = listed(server, token, task_id)
        assert shown.keys() <= rows.keys()
        assert kept.keys() <= rows.keys()
        assert {number: rows[number]["data_content"] for number in kept} == {
            number: row["data_content"] for number, row in kept.items()
        }
    assert kills_in_the_middle == KILLS, "the task was over before every kill: make it longer"

    watcher = Watcher(server, token, task_id, position)
    watcher.start()
    watcher.join(END_S)
    assert watcher.complete == {"type": "complete", "status": "finished"}
    shown.update({row["id"]: row for row in watcher.rows})
    status = server.get(f"/api/status/{task_id}", token)["data"]
    assert (status["status"], status["current"], status["total"]) == ("finished", TOTAL, TOTAL)
    rows = listed(server, token, task_id)
    assert shown.keys() <= rows.keys()
    items = Counter(row["item_no"] for row in rows.values())
    assert max(items.values()) == 1
    assert len(rows) + status["failed"] == TOTAL
    # The watcher kept its position over every kill, so it has seen each row.
    assert shown.keys() == rows.keys()
    assert server.stop() == 0


def wait_for_model(server: Server, token: str) -> None:
    """Wait until the running server has noticed the channel that the command line added."""
    deadline = time.monotonic() + 10
    while "sim" not in str(server.get("/api/models", token)["data"]):
        assert time.monotonic() < deadline, "the channel did not arrive"
        time.sleep(0.05)
