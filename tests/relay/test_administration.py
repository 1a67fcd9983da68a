"""Channels and model configurations over HTTP, as an administrator and as everybody else."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from tests.relay.conftest import Start
from tests.relay.rig import ADMIN, Rig, box, relay_rig
from tests.relay.upstream import refuses
from tidemill.audit.tables import audit_log
from tidemill.identity.contracts import UserView
from tidemill.identity.facade import UserAdministration
from tidemill.kernel import clock
from tidemill.kernel.actor import Actor, AdminScope, SystemScope
from tidemill.metering.facade import Balances
from tidemill.platform.db import Database
from tidemill.platform.settings import Settings
from tidemill.platform.web.guards import ACTOR
from tidemill.relay.contracts import ChannelChange
from tidemill.relay.routes import HANDLERS
from tidemill.relay.tables import channel_keys, channels, model_configs
from tidemill.server.api import build_api

CHANNELS = "/api/v1/admin/channels"
CONFIGS = "/api/admin/models"
ROOT = Actor(user_id=1, username="root", is_admin=True, via="session")
ALICE = Actor(user_id=2, username="alice", is_admin=False, via="session")
NARROW = Actor(
    user_id=2, username="alice", is_admin=False, via="key", scopes=frozenset({"relay"}), models=frozenset({"other"})
)


class Users(UserAdministration):
    """Everybody is in the group `lab`."""

    def __init__(self) -> None:
        pass

    async def get(self, scope: AdminScope | SystemScope, user_id: int) -> UserView:
        del scope
        now = clock.now()
        return UserView(user_id, f"u{user_id}", None, True, False, "lab", now, now, None)  # noqa: FBT003 - a row


class Http:
    """Calls the routes as whom a test says."""

    def __init__(self, rig: Rig, client: httpx.AsyncClient) -> None:
        self.rig = rig
        self._client = client
        self.actor: Actor | None = ROOT

    async def __call__(self, method: str, path: str, body: Any = None) -> httpx.Response:
        return await self._client.request(method, path, json=body)

    async def raw(self, method: str, path: str, content: bytes) -> httpx.Response:
        """Send a body as it is."""
        return await self._client.request(method, path, content=content)


@pytest.fixture
async def http(database: Database) -> AsyncIterator[Http]:
    async with relay_rig(database) as rig:
        context = rig.context
        given = {
            "relay": lambda: context.relay,
            "channels": lambda: context.channels,
            "model_configs": lambda: context.model_configs,
            "rules": lambda: context.rules,
            "imports": lambda: context.imports,
            "user_administration": Users,
            "balances": Balances,
        }
        api = build_api(HANDLERS, given, Settings())
        caller: Http

        async def door(scope: Any, receive: Any, send: Any) -> None:
            state = scope.setdefault("state", {})
            if caller.actor is not None:
                state[ACTOR] = caller.actor
            await api(scope, receive, send)

        async with httpx.AsyncClient(transport=httpx.ASGITransport(door), base_url="http://mill.test") as client:
            caller = Http(rig, client)
            yield caller


async def test_a_channel_is_made_shown_changed_and_deleted(http: Http, database: Database) -> None:
    body = {
        "name": "vendor",
        "base_url": "https://api.example.com/v1/",
        "models": {"a": "vendor-a"},
        "keys": ["sk-secret-number-one"],
        "tags": ["paid"],
    }
    made = await http("POST", CHANNELS, body)
    assert made.status_code == 201
    view = made.json()
    assert [(key["last4"], key["status"]) for key in view["keys"]] == [("-one", "active")]
    assert (view["status"], view["weight"], view["priority"], view["limit"]) == ("enabled", 1, 0, 16)
    assert "secret" not in made.text
    one = f"{CHANNELS}/{view['id']}"
    changed = await http("PATCH", one, {"models": ["b", "c"], "weight": 0, "rpm": 5})
    assert changed.json()["models"] == {"b": "b", "c": "c"}
    assert (changed.json()["weight"], changed.json()["keys"]) == (0, view["keys"])
    assert (await http("PATCH", one, {"keys": []})).json()["keys"] == []
    for verb, status in (("drain", "draining"), ("disable", "disabled"), ("enable", "enabled")):
        assert (await http("POST", f"{one}/{verb}")).json()["status"] == status
    listed = (await http("GET", f"{CHANNELS}?q=VEND")).json()
    assert [item["id"] for item in listed["items"]] == [view["id"]]
    assert (await http("GET", f"{CHANNELS}?q=nothing")).json()["items"] == []
    assert (await http("DELETE", one)).status_code == 204
    assert (await http("GET", one)).status_code == 404
    async with database.read() as r:
        actions = [row["action"] for row in await r.all(select(audit_log.c.action).order_by(audit_log.c.id))]
    assert actions == ["channel.create", *["channel.change"] * 5, "channel.delete"]


async def test_keys_are_sealed_where_they_lie(http: Http, database: Database) -> None:
    key = "sk-secret-number-one"
    await http("POST", CHANNELS, {"name": "c", "base_url": "http://127.0.0.1:9", "models": ["m"], "keys": [key]})
    await http("POST", CONFIGS, {"name": "n", "api_url": "http://127.0.0.1:9/v1", "model_path": "p", "api_key": key})
    async with database.read() as r:
        sealed = [row["sealed"] for row in await r.all(select(channel_keys.c.sealed))]
        ids = [row["id"] for row in await r.all(select(channel_keys.c.id))]
        stored = await r.scalar(select(model_configs.c.api_key))
        audited = str(await r.all(select(audit_log.c.details)))
    assert len(sealed) == 2
    assert not any(key in text for text in [*sealed, stored, audited])
    assert box().open(sealed[0], bound_to=f"channel_key:{ids[0]}") == key


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": " "}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"models": []}, "models"),
        ({"models": {"a": ""}}, "models"),
        ({"base_url": "ftp://x"}, "base_url"),
        ({"base_url": "http://169.254.169.254/v1"}, "base_url"),
        ({"base_url": "http://[::ffff:169.254.169.254]/"}, "base_url"),
        ({"base_url": "http://metadata.google.internal"}, "base_url"),
        ({"base_url": "http://u:p@x.example"}, "base_url"),
        ({"weight": -1}, "weight"),
        ({"rpm": 0}, "rpm"),
        ({"max_concurrent": 0}, "max_concurrent"),
        ({"timeout_s": 0}, "timeout_s"),
        ({"keys": ["a\nb"]}, "keys"),
        ({"provider": "local"}, "provider"),
        ({"colour": "red"}, "colour"),
        ({"status": "on"}, "status"),
    ],
)
async def test_what_is_wrong_with_a_channel_is_named(http: Http, change: dict[str, Any], field: str) -> None:
    body = {"name": "c", "base_url": "http://127.0.0.1:9", "models": ["m"], **change}
    answer = await http("POST", CHANNELS, body)
    assert answer.status_code == 400
    assert [problem["field"].split(".")[0] for problem in answer.json()["errors"]] == [field]
    assert (await http("GET", CHANNELS)).json()["items"] == []


async def test_names_are_unique_and_only_administrators_come_in(http: Http) -> None:
    body = {"name": "c", "base_url": "http://127.0.0.1:9", "models": ["m"]}
    assert (await http("POST", CHANNELS, body)).status_code == 201
    taken = await http("POST", CHANNELS, body)
    assert taken.status_code == 409
    assert taken.json()["type"] == "urn:tidemill:channel_name_taken"
    http.actor = ALICE
    for method, path in (("GET", CHANNELS), ("POST", CHANNELS), ("GET", CONFIGS), ("DELETE", f"{CONFIGS}/1")):
        assert (await http(method, path, body if method == "POST" else None)).status_code == 403
    http.actor = None
    assert (await http("GET", CHANNELS)).status_code == 401


async def test_a_channel_is_tried_whether_or_not_it_takes_traffic(http: Http, services: Start) -> None:
    good, bad = await services(), await services(refuses(401, "bad key"))
    view = await http.rig.channel(good, models={"m": "x"}, status="disabled", weight=0)
    answer = (await http("POST", f"{CHANNELS}/{view.id}/test", {"model": "m"})).json()
    assert (answer["ok"], answer["status"], answer["error"]) == (True, 200, None)
    assert answer["latency_ms"] > 0
    assert good.seen[0].body == {"model": "x", "messages": [{"role": "user", "content": "ping"}], "max_tokens": 1}
    other = await http.rig.channel(bad, "bad")
    answer = (await http("POST", f"{CHANNELS}/{other.id}/test")).json()
    assert (answer["ok"], answer["status"]) == (False, 401)
    assert answer["error"]
    gone = await http.rig.channel("http://127.0.0.1:1", "gone")
    answer = (await http("POST", f"{CHANNELS}/{gone.id}/test", {})).json()
    assert (answer["ok"], answer["status"]) == (False, 0)
    assert (await http("POST", f"{CHANNELS}/{view.id}/test", {"model": "none"})).status_code == 400
    assert [event.surface for event in http.rig.ledger.events] == ["channel-test"] * 3


async def test_a_configuration_is_a_channel_under_two_names(http: Http, services: Start) -> None:
    service = await services()
    body = {"name": "chat", "api_url": service.url, "model_path": "/models/qwen", "max_tokens": 64}
    made = await http("POST", CONFIGS, body)
    assert made.status_code == 200
    data = made.json()["data"]
    assert data["api_key"] == "sk-xxxxx"
    assert (data["max_concurrent"], data["temperature"], data["timeout"], data["is_vllm"]) == (16, 1.0, 600, True)
    for name in ("chat", "/models/qwen"):
        async with http.rig.post({"model": name, "messages": []}) as answer:
            assert answer.status == 200
    assert [request.body["model"] for request in service.seen] == ["/models/qwen"] * 2
    assert (service.seen[0].body["max_tokens"], service.seen[0].body["top_p"]) == (64, 1.0)
    assert "authorization" not in service.seen[0].headers
    (item,) = (await http("GET", "/api/models")).json()["data"]["items"]
    assert (item["id"], item["name"], item["is_active"], item["is_local"]) == (data["id"], "chat", True, False)
    channel = (await http("GET", f"{CHANNELS}/{data['channel_id']}")).json()
    assert (channel["provider"], channel["config_id"]) == ("vllm", data["id"])
    assert (await http("PATCH", f"{CHANNELS}/{channel['id']}", {"priority": 3})).status_code == 200
    refused = await http("PATCH", f"{CHANNELS}/{channel['id']}", {"base_url": "http://x.example"})
    assert refused.status_code == 409
    assert (await http("DELETE", f"{CHANNELS}/{channel['id']}")).status_code == 409


async def test_the_mask_keeps_the_key_and_what_is_left_out_stays(http: Http, services: Start) -> None:
    service = await services()
    body = {"name": "chat", "api_url": service.url, "model_path": "p", "api_key": "sk-real-key-1234", "is_vllm": False}
    data = (await http("POST", CONFIGS, body)).json()["data"]
    assert data["api_key"] == "sk-****1234"
    one = f"{CONFIGS}/{data['id']}"
    for sent in ({"api_key": data["api_key"]}, {"api_key": "sk-xxxxx"}, {"description": "d"}):
        assert (await http("PUT", one, sent)).json()["data"]["api_key"] == "sk-****1234"
    async with http.rig.post({"model": "chat", "messages": []}) as answer:
        assert answer.status == 200
    assert service.seen[0].headers["authorization"] == "Bearer sk-real-key-1234"
    assert (await http("PUT", one, {"api_key": "sk-new-key-56789"})).json()["data"]["api_key"] == "sk-****6789"
    assert (await http("PUT", one, {"api_key": ""})).json()["data"]["api_key"] == "sk-xxxxx"
    final = (await http("GET", one)).json()["data"]
    assert (final["description"], final["is_vllm"]) == ("d", False)


async def test_a_port_range_makes_a_channel_each_and_follows_changes(http: Http, database: Database) -> None:
    body = {"name": "many", "api_url": "http://127.0.0.1:7001-7003/v1", "model_path": "p"}
    data = (await http("POST", CONFIGS, body)).json()["data"]

    async def urls() -> list[str]:
        async with database.read() as r:
            return [row["base_url"] for row in await r.all(select(channels.c.base_url).order_by(channels.c.id))]

    assert await urls() == [f"http://127.0.0.1:{port}/v1" for port in (7001, 7002, 7003)]
    assert len(http.rig.context.relay.services("p")) == 3
    await http("PUT", f"{CONFIGS}/{data['id']}", {"api_url": "http://127.0.0.1:7002-7003/v1"})
    assert await urls() == [f"http://127.0.0.1:{port}/v1" for port in (7002, 7003)]
    await http("PUT", f"{CONFIGS}/{data['id']}", {"is_active": False})
    assert http.rig.context.relay.services("p") == []
    assert (await http("GET", "/api/models")).json()["data"]["items"] == []
    assert (await http("DELETE", f"{CONFIGS}/{data['id']}")).json()["code"] == 200
    assert await urls() == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"model_path": " "}, "model_path"),
        ({"api_url": "nothing"}, "api_url"),
        ({"api_url": "http://127.0.0.1:8003-8001/v1"}, "api_url"),
        ({"api_url": "http://127.0.0.1:1000-2000/v1"}, "api_url"),
        ({"max_concurrent": 0}, "max_concurrent"),
        ({"temperature": 3}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"timeout": 0}, "timeout"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"api_key": "a\tb"}, "api_key"),
    ],
)
async def test_what_is_wrong_with_a_configuration_is_named(http: Http, change: dict[str, Any], field: str) -> None:
    body = {"name": "n", "api_url": "http://127.0.0.1:9/v1", "model_path": "p", **change}
    answer = await http("POST", CONFIGS, body)
    assert answer.status_code == 400
    assert answer.json()["code"] == 400
    assert [problem["field"] for problem in answer.json()["errors"]] == [field]
    assert (await http("GET", CHANNELS)).json()["items"] == [], "nothing half done"


async def test_configurations_have_unique_names_pages_and_a_404(http: Http) -> None:
    for number in range(3):
        body = {"name": f"n{number}", "api_url": "http://127.0.0.1:9", "model_path": "shared"}
        assert (await http("POST", CONFIGS, body)).status_code == 200
    assert len(http.rig.context.relay.services("shared")) == 3
    taken = await http("POST", CONFIGS, {"name": "n0", "api_url": "http://127.0.0.1:9", "model_path": "x"})
    assert (taken.status_code, taken.json()["code"]) == (409, 409)
    assert (await http("PUT", f"{CONFIGS}/1", {"name": "n1"})).status_code == 409
    page = (await http("GET", f"{CONFIGS}?page=2&page_size=2")).json()["data"]
    assert (page["total"], [item["name"] for item in page["items"]]) == (3, ["n2"])
    assert (await http("GET", f"{CONFIGS}?q=n1")).json()["data"]["total"] == 1
    assert (await http("PUT", f"{CONFIGS}/99", {})).status_code == 404


async def test_model_call_answers_in_the_envelope_or_streams(http: Http, services: Start) -> None:
    service = await services()
    await http.rig.channel(service)
    http.actor = ALICE
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "temperature": 0.5, "stop": ["x"]}
    data = (await http("POST", "/api/model-call", body)).json()["data"]
    assert (data["model"], data["content"], data["finish_reason"], data["reasoning"]) == ("m", "hello", "stop", None)
    assert (data["usage"]["prompt_tokens"], data["usage"]["total_tokens"]) == (7, 10)
    assert (service.seen[0].body["temperature"], service.seen[0].body["stop"]) == (0.5, ["x"])
    streamed = await http("POST", "/api/model-call", {**body, "stream": True})
    assert streamed.headers["content-type"].startswith("text/event-stream")
    assert streamed.text.startswith("data: ")
    assert streamed.text.endswith("data: [DONE]\n\n")
    assert [event.surface for event in await http.rig.ledger.wait_for(2)] == ["model-call", "model-call"]
    assert {event.user_id for event in http.rig.ledger.events} == {2}


@pytest.mark.parametrize("stream", [False, True])
async def test_model_call_errors_have_their_status(http: Http, services: Start, *, stream: bool) -> None:
    await http.rig.channel(await services(refuses(500)))
    http.actor = ALICE
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": stream}
    failed = await http("POST", "/api/model-call", body)
    assert (failed.status_code, failed.json()["code"]) == (502, 502)
    assert (await http("POST", "/api/model-call", {**body, "model": "none"})).status_code == 404
    assert (await http("POST", "/api/model-call", {**body, "messages": []})).status_code == 400
    http.actor = NARROW
    assert (await http("POST", "/api/model-call", body)).status_code == 403
    assert (await http("GET", "/api/models")).json()["data"]["items"] == []


async def test_chat_by_name_tells_what_it_used_and_what_is_left(http: Http, services: Start) -> None:
    service = await services()
    await http.rig.channel(service)
    http.actor = ALICE
    answer = (await http("POST", "/api/v1/models/m/chat", {"message": "hi", "max_tokens": 5})).json()
    assert (answer["response"], answer["model"]) == ("hello", "m")
    assert (answer["tokens_consumed"], answer["remaining_tokens"], answer["usage"]["total_tokens"]) == (10, 1000, 10)
    assert service.seen[0].body["messages"] == [{"role": "user", "content": "hi"}]
    streamed = await http(
        "POST", "/api/v1/models/m/chat", {"messages": [{"role": "user", "content": "x"}], "stream": True}
    )
    assert streamed.text.endswith("data: [DONE]\n\n")
    assert (await http("POST", "/api/v1/models/m/chat", {})).status_code == 400
    assert (await http("POST", "/api/v1/models/none/chat", {"message": "x"})).status_code == 404


async def test_export_and_import_make_the_same_channels_again(http: Http, services: Start) -> None:
    channels_service = http.rig.context.channels
    await http.rig.channel(await services(), "a", tags=["x"], rpm=9)
    await http("POST", CONFIGS, {"name": "cfg", "api_url": "http://127.0.0.1:9", "model_path": "p"})
    imports = http.rig.context.imports
    exported = await imports.export(ADMIN)
    assert [entry["name"] for entry in exported] == ["a"]
    assert "keys" not in exported[0]
    same: Any = {**exported[0], "rpm": 10}
    other: Any = {**exported[0], "name": "b"}
    report = await imports.run(ADMIN, [ChannelChange(**same), ChannelChange(**other)], None)
    assert (report.created, report.changed) == (["b"], ["a"])
    views = {view.name: view for view in await channels_service.all(ADMIN)}
    assert (views["a"].rpm, views["a"].keys[0].last4, views["b"].keys) == (10, "cret", [])


async def test_the_environments_key_becomes_a_channel_only_at_the_first_start(http: Http, services: Start) -> None:
    context = http.rig.context
    service = await services()
    given = {"OPENAI_API_KEY": "sk-from-environment", "OPENAI_BASE_URL": service.url, "OPENAI_MODELS": "m, n"}
    assert await context.adopt_environment({}) is None
    view = await context.adopt_environment(given)
    assert view is not None
    assert (view.name, view.models, view.keys[0].last4) == ("openai", {"m": "m", "n": "n"}, "ment")
    async with http.rig.post() as answer:
        assert answer.status == 200
    await context.channels.delete(ADMIN, view.id, None)
    assert await context.adopt_environment(given) is None, "who deleted it does not want it back"


async def test_another_relay_on_the_database_sees_a_change(database: Database, services: Start) -> None:
    async with relay_rig(database) as first, relay_rig(database) as second:
        view = await first.channel(await services())
        await second.context.sync.load()
        async with second.post() as answer:
            assert answer.status == 200
        await first.context.channels.delete(ADMIN, view.id, None)
        await second.context.sync.load()
        assert second.context.relay.services("m") == []
