"""Deleting a user takes everything of that user along, and nothing of another."""

import json
import urllib.request
from pathlib import Path

from tests.fixtures.processes import LOOPBACK_ONLY, Server, ServerFactory, SimulatorFactory

SAMPLES = b'{"text": "How do I report a lost card?"}\n{"text": "What is the annual fee?"}\n'


def upload(server: Server, token: str) -> int:
    body = (
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="s.jsonl"\r\n\r\n' + SAMPLES + b"\r\n--b--\r\n"
    )
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "multipart/form-data; boundary=b"}
    request = urllib.request.Request(server.base_url + "/api/data_files/upload", data=body, headers=headers)  # noqa: S310 - loopback
    with LOOPBACK_ONLY.open(request, timeout=30) as answer:
        return int(json.loads(answer.read())["data"]["id"])


def objects(server: Server) -> list[Path]:
    folder = server.data_dir / "objects"
    return [path for path in folder.rglob("*") if path.is_file() and ".incoming" not in path.parts]


def test_a_deleted_user_leaves_nothing(make_server: ServerFactory, make_simulator: SimulatorFactory) -> None:
    server = make_server().start()
    slow = make_simulator("--latency", "30")
    admin = server.sign_in()
    channel = {"name": "slow", "base_url": slow.base_url, "keys": ["sk-simulated-key"], "models": ["m"]}
    server.post("/api/v1/admin/channels", channel, admin)
    kept = upload(server, admin)
    before = objects(server)
    made = server.post("/api/register", {"username": "leaver", "password": "Leave-me-1"})["data"]
    leaver = server.sign_in("leaver", "Leave-me-1")
    file_id = upload(server, leaver)
    task = server.post("/api/start", {"file_id": file_id, "task_type": "qa_pairs", "model": "m"}, leaver)["data"]
    assert len(objects(server)) > len(before)

    request = urllib.request.Request(  # noqa: S310 - loopback
        f"{server.base_url}/api/admin/users/{made['id']}", headers={"Authorization": f"Bearer {admin}"}, method="DELETE"
    )
    with LOOPBACK_ONLY.open(request, timeout=30) as answer:
        assert json.loads(answer.read())["code"] == 200

    assert [item["id"] for item in server.get("/api/admin/tasks", admin)["data"]["items"]] == []
    assert server.get(f"/api/data_files/{kept}", admin)["data"]["rows"] == 2
    assert task["status"] == "running"
    assert server.stop() == 0
    assert sorted(objects(server)) == sorted(before)
