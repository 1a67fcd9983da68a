"""A key's limits on a running server: held to over its Redis and without, told by headers and by ``GET /v1/key``."""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

import pytest

from tests.fixtures.processes import LOOPBACK_ONLY, Server, ServerFactory, SimulatorFactory
from tests.fixtures.valkey import StartValkey


def call(server: Server, key: str) -> tuple[int, Mapping[str, str]]:
    body = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}
    request = urllib.request.Request(  # noqa: S310 - loopback
        f"{server.base_url}/v1/chat/completions",
        data=json.dumps(body).encode(),
        headers={"authorization": f"Bearer {key}", "content-type": "application/json"},
    )
    try:
        with LOOPBACK_ONLY.open(request, timeout=30) as answer:
            return answer.status, dict(answer.headers)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers)


def said(server: Server) -> list[str]:
    return [] if server.child is None else server.child.log


def make_key(server: Server, session: str, **fields: Any) -> Any:
    return server.post("/api/v1/keys", {"name": "of the test", **fields}, session)


@pytest.mark.parametrize("shared", [False, True])
def test_a_keys_limits_are_held_and_told(
    make_server: ServerFactory, make_simulator: SimulatorFactory, start_valkey: StartValkey, *, shared: bool
) -> None:
    valkey = start_valkey() if shared else None
    server = make_server({} if valkey is None else {"TIDEMILL_CACHE__URL": valkey.url}).start()
    session = server.sign_in()
    channel = {"name": "one", "base_url": make_simulator().base_url, "models": {"m": "sim"}, "keys": ["sk-x"]}
    server.post("/api/v1/admin/channels", channel, session)
    made = make_key(server, session, rpm=2, tpm=10_000, concurrency=3, budget=12.5)

    card = server.get("/v1/key", made["key"])["data"]
    assert (card["label"], card["key_id"], card["scopes"]) == ("of the test", made["id"], ["relay"])
    assert card["limits"] == card["remaining"] == {"rpm": 2, "tpm": 10_000, "concurrent": 3}
    assert float(card["budget"]) == 12.5
    assert card["usage"]["requests"] == 0

    status, headers = call(server, made["key"])
    assert (status, headers["x-ratelimit-limit-requests"], headers["x-ratelimit-remaining-requests"]) == (200, "2", "1")
    assert call(server, made["key"])[0] == 200
    assert not any("limits.alone" in line for line in said(server))
    if valkey is not None:
        valkey.kill()
    status, headers = call(server, made["key"])
    assert status == 429
    assert 0 < int(headers["retry-after"]) <= 60
    assert headers["x-ratelimit-remaining-requests"] == "0"
    card = server.get("/v1/key", made["key"])["data"]
    assert (card["remaining"]["rpm"], card["remaining"]["concurrent"]) == (0, 3)
    assert 0 < card["remaining"]["tpm"] < 10_000
    assert 0 < card["resets"]["rpm"] <= 60
    if valkey is not None:
        assert server.child is not None
        server.child.wait_for_line('"part":"limits","error"')


def test_a_session_is_told_of_its_user(make_server: ServerFactory) -> None:
    server = make_server({"TIDEMILL_GATEWAY__CALLER_RPM": "30"}).start()
    card = server.get("/v1/key", server.sign_in())["data"]
    assert (card["label"], card["key_id"], card["scopes"], card["budget"]) == ("admin", None, None, None)
    assert card["limits"] == {"rpm": 30, "tpm": None, "concurrent": None}
    assert card["usage"]["total_tokens"] == 0
