"""``/api/v1/models/`` over HTTP."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.localmodels.conftest import Mill
from tidemill.kernel.actor import Actor
from tidemill.localmodels.routes import HANDLERS
from tidemill.platform.settings import Settings
from tidemill.platform.web.guards import ACTOR
from tidemill.server.api import build_api

ROOT = Actor(user_id=1, username="root", is_admin=True, via="session")
ALICE = Actor(user_id=2, username="alice", is_admin=False, via="session")
RUNNER = Actor(user_id=2, username="alice", is_admin=False, via="key", scopes=frozenset({"models"}))
RELAY_KEY = Actor(user_id=1, username="root", is_admin=True, via="key", scopes=frozenset({"relay"}))


class Door:
    """The routes, with whoever ``actor`` is at the moment."""

    def __init__(self, api: Any) -> None:
        self._api = api
        self.actor: Actor | None = ROOT

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self.actor is not None:
            scope.setdefault("state", {})[ACTOR] = self.actor
        await self._api(scope, receive, send)


class Client(httpx.AsyncClient):
    def __init__(self, door: Door) -> None:
        self.door = door
        super().__init__(transport=httpx.ASGITransport(door), base_url="http://mill.test")


@pytest.fixture
async def http(mill: Mill) -> AsyncIterator[Client]:
    mill.model("one")
    mill.models.joinpath("junk.gguf").write_bytes(b"junk")
    models = await mill.open(ports=1)
    async with Client(Door(build_api(HANDLERS, {"local_models": lambda: models}, Settings()))) as client:
        yield client


async def test_the_list_has_every_fact(http: Client) -> None:
    http.door.actor = ALICE
    answer = await http.get("/api/v1/models/")
    assert answer.status_code == 200
    junk, one = answer.json()["models"]
    assert one | {"memory_estimate_bytes": 0, "size_bytes": 0, "size": ""} == {
        "name": "one",
        "description": "Tiny",
        "status": "available",
        "detail": "Ready to start; a request that names it starts it.",
        "size": "",
        "size_bytes": 0,
        "architecture": "llama",
        "quantization": "Q4_1",
        "context": 4096,
        "slots": 4,
        "port": None,
        "pid": None,
        "rss_bytes": None,
        "in_flight": 0,
        "error": None,
        "embeddings": True,
        "parameters": 2048,
        "context_trained": 8192,
        "chat_template": True,
        "memory_estimate_bytes": 0,
        "queued": 0,
        "pinned": False,
        "instances": [],
    }
    assert junk["status"] == "failed"
    assert "GGUF" in junk["error"]


async def test_start_use_stop(http: Client) -> None:
    started = await http.post("/api/v1/models/one/start?wait=true")
    assert (started.status_code, started.json()["status"]) == (200, "running")
    assert started.json()["rss_bytes"] > 0
    assert (await http.get("/api/v1/models/one")).json()["pid"] == started.json()["pid"]
    logs = (await http.get("/api/v1/models/one/logs?lines=1")).json()
    assert logs == {"name": "one", "lines": logs["lines"], "next": logs["next"]}
    assert len(logs["lines"]) == 1
    metrics = (await http.get("/api/v1/models/one/metrics")).json()
    assert metrics["instances"][0]["values"] == {"requests_processing": 1.0}
    stopped = await http.post("/api/v1/models/one/stop?wait=true")
    assert (stopped.status_code, stopped.json()["status"]) == (200, "available")


async def test_start_answers_at_once(http: Client) -> None:
    assert (await http.post("/api/v1/models/one/start")).json()["status"] == "starting"
    assert (await http.post("/api/v1/models/one/stop")).json()["status"] in {"stopping", "available"}


@pytest.mark.parametrize(("actor", "status"), [(None, 401), (ALICE, 403), (RELAY_KEY, 403), (RUNNER, 200), (ROOT, 200)])
async def test_who_may_run_models(http: Client, actor: Actor | None, status: int) -> None:
    http.door.actor = actor
    for method, path in (("POST", "start"), ("POST", "stop"), ("GET", "logs")):
        assert (await http.request(method, f"/api/v1/models/one/{path}")).status_code == status
    assert (await http.get("/api/v1/models/")).status_code == (401 if actor is None else 200)


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [("nobody/start", 404, "local_model_not_found"), ("junk/start", 400, "not_gguf"), ("nobody/stop", 404, "")],
)
async def test_refusals_are_problems(http: Client, path: str, status: int, code: str) -> None:
    answer = await http.post(f"/api/v1/models/{path}")
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert code in answer.json()["type"]


async def test_a_range_used_up_is_409(http: Client, mill: Mill) -> None:
    mill.model("two")
    await http.post("/api/v1/models/one/start?wait=true")
    answer = await http.post("/api/v1/models/two/start", headers={"accept-language": "zh"})
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:tidemill:port_range_exhausted")
    assert "port_max" in answer.json()["title"]


async def test_bad_parameters_name_the_field(http: Client) -> None:
    answer = await http.get("/api/v1/models/one/logs?lines=0")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "lines"
