"""Work whose progress can be watched: a generation task on a simulated model, and a single call."""

import json
import time
import urllib.request
from typing import Any

from tests.fixtures.processes import LOOPBACK_ONLY, Server, Simulator

DEADLINE_S = 30.0


class Work:
    """A server with a model and a sample file of two rows."""

    def __init__(self, server: Server, simulator: Simulator, token: str) -> None:
        self._server = server
        self._token = token
        channel = {"name": "simulated", "base_url": simulator.base_url, "keys": ["sk-simulated"], "models": ["sim"]}
        server.post("/api/v1/admin/channels", channel, token)
        self._file_id = _uploaded(server, token)
        deadline = time.monotonic() + DEADLINE_S
        while not any(model["name"] == "sim" for model in server.get("/api/models", token)["data"]["items"]):
            assert time.monotonic() < deadline, "the channel's model does not appear"
            time.sleep(0.05)

    def start_task(self, variants: int, **fields: Any) -> str:
        """Start a task of twice ``variants`` rows and return its id."""
        wish = {
            "file_id": self._file_id,
            "task_type": "entity_extraction",
            "model": "sim",
            "min_score": 0,
            "variants_per_sample": variants,
            "data_rounds": 1,
            "dedup": "off",
            "max_concurrent": 4,
            **fields,
        }
        return str(self._server.post("/api/start", wish, self._token)["data"]["task_id"])

    def call(self) -> None:
        """Call the model once."""
        body = {"model": "sim", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 8}
        self._server.post("/v1/chat/completions", body, self._token)


def _uploaded(server: Server, token: str) -> int:
    rows = "\n".join(json.dumps({"text": f"Pay bill {number} by Friday."}) for number in range(2))
    form = (
        '--edge\r\nContent-Disposition: form-data; name="file"; filename="samples.jsonl"\r\n'
        f"Content-Type: application/x-jsonlines\r\n\r\n{rows}\r\n--edge--\r\n"
    )
    request = urllib.request.Request(  # noqa: S310 - loopback
        f"{server.base_url}/api/data_files/upload",
        data=form.encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "multipart/form-data; boundary=edge"},
        method="POST",
    )
    with LOOPBACK_ONLY.open(request, timeout=60) as answer:
        return int(json.loads(answer.read())["data"]["id"])
