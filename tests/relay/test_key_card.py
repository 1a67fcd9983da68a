"""``GET /v1/key``: what the caller is held to, and what is left of it."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.relay.conftest import Start
from tests.relay.rig import Rig, relay_rig
from tidemill.kernel import clock
from tidemill.kernel.actor import Actor
from tidemill.platform.db import Database
from tidemill.relay.key_card import key_card
from tidemill.relay.limits import Bound, Standing
from tidemill.relay.ports import CallerFacts, CallerLimits, CallerUsage


async def card_of(rig: Rig, headers: Mapping[str, str] | None = None) -> Any:
    async with rig.http.get(f"{rig.url}/v1/key", headers=headers or {"authorization": "Bearer user-1"}) as answer:
        assert answer.status == 200, await answer.text()
        assert answer.headers["x-request-id"]
        return (await answer.json())["data"]


async def test_a_key_is_told_what_it_is_held_to_and_what_is_left(memory_database: Database, services: Start) -> None:
    limits = CallerLimits(rpm=3, tpm=10_000, max_concurrent=2)
    async with relay_rig(memory_database, limits_of=lambda _: limits) as rig:
        await rig.channel(await services())
        fresh = await card_of(rig)
        assert (fresh["key_id"], fresh["user_id"], fresh["label"]) == ("key-1", 1, "u1")
        assert (fresh["scopes"], fresh["models"]) == (["relay"], None)
        assert fresh["limits"] == fresh["remaining"] == {"rpm": 3, "tpm": 10_000, "concurrent": 2}
        assert fresh["resets"] == {"rpm": 0, "tpm": 0}
        async with rig.post() as answer:
            assert answer.status == 200
        await rig.ledger.wait_for(1)
        used = await card_of(rig)
        assert used["limits"] == fresh["limits"]
        assert (used["remaining"]["rpm"], used["remaining"]["concurrent"]) == (2, 2)
        assert used["remaining"]["tpm"] == 10_000 - rig.ledger.events[0].tokens.total
        assert 50 < used["resets"]["rpm"] <= 60
        assert used["bounds"] == [
            {"of": "key", "limits": used["limits"], "remaining": used["remaining"], "resets": used["resets"]}
        ]
        with clock.shifted(61):
            assert (await card_of(rig))["remaining"] == fresh["remaining"]


async def test_who_is_held_to_nothing_is_told_so(memory_database: Database) -> None:
    async with relay_rig(memory_database) as rig:
        card = await card_of(rig)
        assert card["limits"] == card["remaining"] == {"rpm": None, "tpm": None, "concurrent": None}
        assert card["bounds"] == []


@pytest.mark.parametrize(
    ("headers", "status"), [({}, 401), ({"authorization": "Bearer poor"}, 403), ({"x-api-key": "user-1"}, 200)]
)
async def test_only_who_may_call_models_is_told(
    memory_database: Database, headers: dict[str, str], status: int
) -> None:
    async with relay_rig(memory_database) as rig, rig.http.get(f"{rig.url}/v1/key/", headers=headers) as answer:
        assert answer.status == status
        assert ("error" in await answer.json()) == (status != 200)


async def test_it_is_only_read(memory_database: Database) -> None:
    async with relay_rig(memory_database) as rig, rig.post(path="/v1/key") as answer:
        assert answer.status == 405
        assert answer.headers["allow"] == "GET, HEAD"


def test_the_tightest_bound_is_told_kind_by_kind() -> None:
    actor = Actor(user_id=7, username="ada", is_admin=False, via="session", expires_at_s=1_800_000_000)
    key = Standing.of(
        Bound("key:1", rpm=60, tpm=500), calls=1, tokens=499, in_flight=3, calls_reset_us=5_000_000, tokens_reset_us=1
    )
    user = Standing.of(
        Bound("user:7", rpm=100, concurrent=2), calls=99, tokens=0, in_flight=3, calls_reset_us=9, tokens_reset_us=0
    )
    since = datetime(2026, 1, 2, 3, tzinfo=UTC)
    facts = CallerFacts(None, "12.5", CallerUsage(since, 4, 30, 20, 50))
    card = json.loads(key_card(actor, [key, user], facts))["data"]
    assert card["limits"] == {"rpm": 100, "tpm": 500, "concurrent": 2}
    assert card["remaining"] == {"rpm": 1, "tpm": 1, "concurrent": 0}
    assert [bound["of"] for bound in card["bounds"]] == ["key", "user"]
    assert (card["scopes"], card["models"], card["budget"], card["label"]) == (None, None, "12.5", "ada")
    assert card["expires_at"] == "2027-01-15T08:00:00Z"
    assert card["usage"] == {
        "since": "2026-01-02T03:00:00Z",
        "requests": 4,
        "request_tokens": 30,
        "response_tokens": 20,
        "total_tokens": 50,
    }
