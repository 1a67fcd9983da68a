"""Who serves a call: rules, groups, regions, deny lists, keys; and the dry run that foretells it."""

from collections import Counter
from typing import Any

import pytest

from tests.relay.conftest import Start
from tests.relay.rig import ADMIN, ASK, Rig, relay_rig
from tests.relay.upstream import Upstream, answers, drops, refuses
from tidemill.kernel import clock
from tidemill.kernel.actor import Actor
from tidemill.platform.db import Database
from tidemill.relay.contracts import Call, ChannelChange, Denied, Forecast, Price, Question, RuleWish
from tidemill.relay.errors import RateLimited
from tidemill.relay.ports import CallerLimits
from tidemill.relay.shifts import Shift

MESSAGES = [{"role": "user", "content": "hi"}]
ROOT = Actor(user_id=1, username="root", is_admin=True, via="session")


async def call(rig: Rig, user: int = 1, **headers: str) -> int:
    sent = {"authorization": f"Bearer user-{user}", **{name.replace("_", "-"): text for name, text in headers.items()}}
    async with rig.post(headers=sent) as answer:
        await answer.read()
        return int(answer.status)


async def rule(rig: Rig, **fields: Any) -> None:
    await rig.context.rules.create(ADMIN, RuleWish(**fields), None)


def foretold(rig: Rig, user: int = 1, **fields: Any) -> Forecast:
    return rig.context.board.forecast(Question(model="m", **fields), user, "default")


async def test_a_rule_changes_how_channels_are_chosen_while_calls_go_on(rig: Rig, services: Start) -> None:
    first, second = await services(), await services()
    await rig.channel(first, "first", weight=9, prices={"*": Price(input=5, output=5)})
    await rig.channel(second, "second", weight=1, prices={"*": Price(input=1, output=1)})
    for _ in range(10):
        assert await call(rig) == 200
    assert (len(first.seen), len(second.seen)) == (9, 1)
    await rule(rig, kind="model", name="m", strategy="lowest_price")
    for _ in range(5):
        assert await call(rig) == 200
    assert (len(first.seen), len(second.seen)) == (9, 6)
    await rule(rig, kind="user", name="1", strategy="round_robin")
    assert foretold(rig).strategy == "lowest_price", "a model's rule is narrower than a user's"


async def test_a_conversation_stays_where_its_prompt_is_cached(rig: Rig, services: Start) -> None:
    for number in range(3):
        await rig.channel(await services(), f"c{number}")
    await rule(rig, kind="global", strategy="consistent_hash")
    by_session: dict[str, set[int]] = {}
    for number in range(30):
        session = f"talk-{number % 10}"
        async with rig.post(headers={"x-gateway-session": session}) as answer:
            by_session.setdefault(session, set()).add(int(answer.headers["x-gateway-channel"]))
    assert all(len(channels) == 1 for channels in by_session.values())
    assert len({channel for channels in by_session.values() for channel in channels}) > 1
    served = set[int]()
    for _ in range(3):
        async with rig.post({**ASK, "prompt_cache_key": "k"}) as answer:
            served.add(int(answer.headers["x-gateway-channel"]))
    assert len(served) == 1


async def test_groups_regions_and_deny_lists_bound_who_serves_whom(rig: Rig, services: Start) -> None:
    vip, east, everybody = await services(), await services(), await services()
    await rig.channel(vip, "vip", priority=9, groups=["vip"])
    await rig.channel(east, "east", priority=5, region="east", denied=Denied(users=(2,)))
    await rig.channel(everybody, "everybody")
    assert [await call(rig), await call(rig, user=2)] == [200, 200]
    assert (len(vip.seen), len(east.seen), len(everybody.seen)) == (0, 1, 1)
    assert await call(rig, x_gateway_region="west") == 200
    assert (len(east.seen), len(everybody.seen)) == (1, 2)
    told = {one.channel: one.verdict for one in foretold(rig, 2, region="west").candidates}
    assert told == {"vip": "group", "east": "region", "everybody": "serves"}
    assert {one.channel: one.verdict for one in foretold(rig, 2).candidates}["east"] == "denied"


async def test_a_region_that_a_rule_demands_cannot_be_talked_away(rig: Rig, services: Start) -> None:
    await rig.channel(await services(), "east", region="east")
    await rule(rig, kind="global", region="west")
    assert await call(rig, x_gateway_region="east") == 404
    assert foretold(rig, region="east").would_serve is None


async def test_a_refused_key_fails_over_to_the_next_one_of_the_same_channel(rig: Rig, services: Start) -> None:
    service: Upstream = await services(refuses(401, "no such key"))
    shifts: list[Shift] = []
    rig.context.board.listeners.append(shifts.append)
    view = await rig.channel(service, keys=["sk-first-key-0001", "sk-second-key-0002"])
    service.scripts.extend([refuses(401, "no such key"), answers])
    service.otherwise = answers
    assert await call(rig) == 200
    assert [await call(rig) for _ in range(3)] == [200, 200, 200]
    used = Counter(request.headers["authorization"].removeprefix("Bearer ") for request in service.seen)
    assert sorted(used.values()) == [1, 4]
    assert [(shift.kind, shift.channel_id) for shift in shifts] == [("key_refused", view.id)]
    shown = await rig.context.channels.get(ADMIN, view.id)
    (lane,) = shown.lanes
    assert (lane.key_last4, lane.model, shown.breaker) == (shifts[0].key_last4, None, "closed")
    assert "0001" not in (lane.reason or "")


async def test_a_call_counts_once_for_its_caller_however_many_tries_it_took(
    memory_database: Database, services: Start
) -> None:
    async with relay_rig(memory_database, limits_of=lambda _: CallerLimits(rpm=2)) as rig:
        await rig.channel(await services(drops), "dead", priority=9)
        await rig.channel(await services(), "alive")
        assert [await call(rig) for _ in range(3)] == [200, 200, 429]
        assert [event.retries for event in rig.ledger.events[:2]] == [1, 1]


async def test_a_call_that_fails_for_good_has_counted(memory_database: Database, services: Start) -> None:
    async with relay_rig(memory_database, limits_of=lambda _: CallerLimits(rpm=1)) as rig:
        await rig.channel(await services(refuses(400, "no")))
        assert [await call(rig), await call(rig)] == [400, 429]


async def test_tokens_a_minute_hold_and_are_corrected_to_what_was_used(
    memory_database: Database, services: Start
) -> None:
    async with relay_rig(memory_database, limits_of=lambda _: CallerLimits(tpm=600)) as rig:
        await rig.channel(await services())
        async with rig.post({**ASK, "max_tokens": 500}) as answer:
            assert answer.status == 200
            used = (await answer.json())["usage"]["total_tokens"]
        async with rig.post({**ASK, "max_tokens": 500}) as answer:
            assert answer.status == 200, f"only {used} of the tokens set aside were used"
            assert int(answer.headers["x-ratelimit-remaining-tokens"]) < 600 - used
        async with rig.post({**ASK, "max_tokens": 2000}) as answer:
            assert answer.status == 429
            assert "retry-after" not in answer.headers, "coming back does not help"
            assert "600 tokens a minute" in (await answer.json())["error"]["message"]


async def test_a_model_and_a_user_are_held_to_their_rules(rig: Rig, services: Start) -> None:
    await rig.channel(await services())
    await rule(rig, kind="user", name="2", rpm=1)
    await rule(rig, kind="model", name="m", rpm=3)
    assert [await call(rig, user=2), await call(rig, user=2)] == [200, 429]
    assert [await call(rig), await call(rig)] == [200, 200]
    async with rig.post() as answer:
        assert answer.status == 429
        assert "3 calls a minute, model" in (await answer.json())["error"]["message"]
    with clock.shifted(61):
        assert await call(rig) == 200


async def test_the_dry_run_says_why_nobody_else_would_serve_and_counts_nothing(rig: Rig, services: Start) -> None:
    dead, alive, off = await services(drops), await services(), await services()
    await rig.channel(dead, "dead", priority=9)
    view = await rig.channel(alive, "alive", rpm=2)
    resting = await rig.channel(off, "off")
    await rig.channel(off, "unused", weight=0)
    await rig.context.channels.set_status(ADMIN, resting.id, "draining", None)
    for _ in range(2):
        assert await call(rig) == 200
    told = [foretold(rig) for _ in range(20)][-1]
    assert told.would_serve == next(one.channel_id for one in told.candidates if one.channel == "dead")
    assert {one.channel: (one.verdict, one.rank) for one in told.candidates} == {
        "dead": ("serves", 1),
        "alive": ("limit", None),
        "off": ("resting", None),
        "unused": ("no_weight", None),
    }
    assert (told.strategy, told.strategy_from) == ("weighted", "default")
    assert (len(alive.seen), len(off.seen)) == (2, 0)
    await rig.context.channels.change(ADMIN, view.id, ChannelChange(rpm=None), None)
    excluded = foretold(rig, exclude=[told.would_serve])
    assert {one.channel: one.verdict for one in excluded.candidates}["alive"] == "serves"
    assert rig.context.board.forecast(Question(model="nobody"), 1, "default").candidates == []


async def test_what_the_client_tried_before_lessens_our_tries(rig: Rig, services: Start) -> None:
    services_down = [await services(refuses(500)) for _ in range(4)]
    for number, service in enumerate(services_down):
        await rig.channel(service, f"c{number}")
    assert await call(rig) == 502
    assert sum(len(service.seen) for service in services_down) == 3
    assert await call(rig, x_stainless_retry_count="2") == 502
    assert sum(len(service.seen) for service in services_down) == 4


async def test_what_is_kept_for_a_group_is_shown_and_served_to_nobody_else(rig: Rig, services: Start) -> None:
    service = await services()
    await rig.channel(service, "vip", models=["v"], groups=["vip"])
    await rig.channel(service, "all")
    async with rig.http.get(rig.url + "/v1/models", headers={"authorization": "Bearer user-1"}) as answer:
        assert [model["id"] for model in (await answer.json())["data"]] == ["m"]
    async with rig.post({**ASK, "model": "v"}) as answer:
        assert answer.status == 404
    assert rig.context.relay.services("v") == []
    call_of = Call(model="v", messages=MESSAGES, user_id=1, group="vip")
    assert (await rig.context.relay.complete(call_of)).channel == "vip"


async def test_calls_by_hand_are_held_to_the_keys_own_limits(memory_database: Database, services: Start) -> None:
    asker = Actor(user_id=2, username="ada", is_admin=False, via="key", key_id="k")
    async with relay_rig(memory_database, limits_of=lambda _actor: CallerLimits(rpm=1)) as rig:
        await rig.channel(await services())
        by_hand = Call(model="m", messages=MESSAGES, user_id=2, key_id="k", asker=asker)
        await rig.context.relay.complete(by_hand)
        with pytest.raises(RateLimited, match="key"):
            await rig.context.relay.complete(by_hand)


async def test_calls_by_hand_are_held_to_the_rules_and_work_in_the_background_is_not(rig: Rig, services: Start) -> None:
    await rig.channel(await services())
    await rule(rig, kind="global", rpm=1)
    background = Call(model="m", messages=MESSAGES, user_id=1)
    for _ in range(3):
        await rig.context.relay.complete(background)
    by_hand = Call(model="m", messages=MESSAGES, user_id=1, asker=ROOT)
    await rig.context.relay.complete(by_hand)
    with pytest.raises(RateLimited):
        await rig.context.relay.complete(by_hand)


async def test_a_service_that_lacks_the_model_is_passed_over_and_not_blamed(rig: Rig, services: Start) -> None:
    lacking, serving = await services(refuses(404, "no such model")), await services()
    view = await rig.channel(lacking, "lacking", priority=9)
    await rig.channel(serving, "serving")
    for _ in range(6):
        assert await call(rig) == 200
    assert (await rig.context.channels.get(ADMIN, view.id)).breaker == "closed"
    await rig.context.channels.set_status(
        ADMIN, next(iter(rig.context.board.states.keys() - {view.id})), "disabled", None
    )
    async with rig.post() as answer:
        assert answer.status == 404
        assert "no such model" in (await answer.json())["error"]["message"]
