"""A task from start to end on a scripted relay: every item once, counters that agree with the rows, pauses that end."""

import asyncio
import json
from typing import Any

import pytest
from sqlalchemy import func, select

from tests.datagen.engine.conftest import until
from tests.datagen.engine.fakes import MODEL, OWNER, Installation, Said, Writer, is_judge, note, service
from tidemill.datagen.contracts import StartRequest, TaskRef
from tidemill.datagen.tables import generated_data, task_event, task_item_failed, tasks
from tidemill.platform.db import Row
from tidemill.relay.contracts import Call
from tidemill.relay.errors import NoChannelAvailable, RateLimited, UpstreamFailed, UpstreamTimedOut


async def started(installation: Installation, **changes: Any) -> str:
    """Start a task without a job engine behind it and return its name."""
    from tidemill.datagen.jobs import register  # noqa: PLC0415 - registered, never started

    register(installation.jobs, installation.mill)
    asked: dict[str, Any] = {"variants_per_sample": 3, "data_rounds": 2, "dedup": "off", "evaluator_model": "none"}
    request = StartRequest(file_id=1, task_type="note", min_score=0, **{**asked, **changes})
    answer = await installation.service.start(OWNER, request, "en")
    assert isinstance(answer, TaskRef)
    return answer.task_id


async def run(installation: Installation, task_id: str) -> str:
    """Run a task to its end in this process."""
    return await installation.mill.run(task_id, asyncio.Event(), asyncio.Event())


async def task_row(installation: Installation, task_id: str) -> Row:
    """Read the task's row."""
    async with installation.db.read() as r:
        row = await r.first(select(tasks).where(tasks.c.task_id == task_id))
    assert row is not None
    return row


async def rows_of(installation: Installation, task_id: str) -> list[Row]:
    """Read the rows of a task, by item."""
    async with installation.db.read() as r:
        found = await r.all(
            select(generated_data).where(generated_data.c.task_id == task_id).order_by(generated_data.c.item_no)
        )
    return list(found)


async def assert_whole(installation: Installation, task_id: str) -> None:
    """Every item is stored once, and the counters say what the tables hold."""
    row = await task_row(installation, task_id)
    made = await rows_of(installation, task_id)
    async with installation.db.read() as r:
        failed = await r.all(select(task_item_failed.c.item_no).where(task_item_failed.c.task_id == task_id))
        events = await r.scalar(select(func.count()).where(task_event.c.task_id == task_id))
    numbers = [one["item_no"] for one in made] + [one["item_no"] for one in failed]
    assert sorted(numbers) == list(range(row["total"]))
    for status in ("accepted", "below_threshold", "needs_review"):
        assert row[status] == sum(one["status"] == status for one in made)
    assert row["failed"] == len(failed)
    assert row["seq"] >= len(numbers) + events  # a resume takes the event that ended the task away
    assert row["input_tokens"] >= sum(one["input_tokens"] for one in made)


async def test_makes_every_item_once(installation: Installation) -> None:
    task_id = await started(installation)
    assert await run(installation, task_id) == "finished"
    await assert_whole(installation, task_id)
    row = await task_row(installation, task_id)
    assert (row["status"], row["accepted"], row["total"]) == ("finished", 24, 24)
    assert json.loads(row["result"])["accepted"] == 24
    assert row["finished_at"] is not None


async def test_a_row_knows_where_it_comes_from(quick: Installation) -> None:
    task_id = await started(quick, directions=["fees", "limits"], evaluator_model=None)
    await run(quick, task_id)
    rows = await rows_of(quick, task_id)
    lineage = json.loads(rows[5]["lineage"])
    assert lineage["sample"]["index"] == 5 % 4
    assert (lineage["round"], lineage["variant"]) == (0, 1)
    assert lineage["direction"] == rows[5]["direction"]
    assert lineage["model"] == MODEL
    assert lineage["attempts"][0]["judge_model"] == MODEL
    assert rows[5]["model_score"] == 9.0
    assert rows[5]["rule_score"] == int(rows[5]["rule_score_exact"] + 0.5)
    assert rows[5]["final_score"] == pytest.approx(0.6 * 9 + 0.4 * rows[5]["rule_score_exact"], abs=0.01)
    assert {row["direction"] for row in rows} == {"fees", "limits"}


async def test_low_scores_are_tried_again_with_reasons_and_kept(quick: Installation) -> None:
    quick.relay.script = Writer(mark=2)
    task_id = await started(quick, evaluator_model=None, sample_limit=1, variants_per_sample=1, data_rounds=1)
    await started_with_score(quick, task_id, 8)
    await run(quick, task_id)
    (row,) = await rows_of(quick, task_id)
    assert (row["status"], row["retry_count"], row["attempts"]) == ("below_threshold", 2, 3)
    second = [call for call in quick.relay.calls if not is_judge(call)][1]
    assert "correctness: 2/10" in str(second.messages)
    assert (await task_row(quick, task_id))["retried"] == 2


async def started_with_score(installation: Installation, task_id: str, min_score: float) -> None:
    """Give a started task another threshold."""
    async with installation.db.write() as w:
        row = await w.first(select(tasks.c.plan).where(tasks.c.task_id == task_id))
        assert row is not None
        changed = {**row["plan"], "min_score": min_score}
        await w.run(tasks.update().where(tasks.c.task_id == task_id).values(plan=changed))


async def test_a_judge_that_cannot_be_read_leaves_the_row_to_a_person(quick: Installation) -> None:
    async def script(call: Call) -> Said:
        return Said("no score from me") if is_judge(call) else note("A note about something.")

    quick.relay.script = script
    task_id = await started(quick, evaluator_model=None, sample_limit=1, variants_per_sample=1, data_rounds=1)
    await run(quick, task_id)
    (row,) = await rows_of(quick, task_id)
    assert (row["status"], row["model_score"], row["final_score"]) == ("needs_review", None, None)
    assert sum(is_judge(call) for call in quick.relay.calls) == 2


async def test_an_answer_that_is_no_row_fails_after_its_attempts(installation: Installation) -> None:
    async def script(call: Call) -> Said:
        del call
        return Said("I would rather not.")

    installation.relay.script = script
    task_id = await started(installation, sample_limit=2, variants_per_sample=1, data_rounds=1)
    assert await run(installation, task_id) == "finished"
    await assert_whole(installation, task_id)
    row = await task_row(installation, task_id)
    assert row["failed"] == 2
    assert len(installation.relay.calls) == 6


async def test_an_answer_cut_off_counts_as_none(quick: Installation) -> None:
    async def script(call: Call) -> Said:
        del call
        return Said('{"text": "cut', finish_reason="length")

    quick.relay.script = script
    task_id = await started(quick, sample_limit=1, variants_per_sample=1, data_rounds=1, max_retries=0)
    await run(quick, task_id)
    async with quick.db.read() as r:
        kinds = [row["kind"] for row in await r.all(select(task_item_failed.c.kind))]
    assert kinds == ["truncated"]


async def test_duplicates_are_refused(quick: Installation) -> None:
    async def script(call: Call) -> Said:
        del call
        return note("Always the same words.")

    quick.relay.script = script
    task_id = await started(quick, dedup="exact", variants_per_sample=2, data_rounds=1)
    await run(quick, task_id)
    rows = await rows_of(quick, task_id)
    assert [row["status"] for row in rows].count("accepted") == 1
    assert all(row["final_score"] == 0 for row in rows if row["status"] != "accepted")


async def test_max_concurrent_is_never_passed(quick: Installation) -> None:
    quick.relay.script = Writer(latency_s=0.005)
    task_id = await started(quick, max_concurrent=3)
    await run(quick, task_id)
    assert quick.relay.most_in_flight == 3


async def test_the_faster_service_makes_more(quick: Installation) -> None:
    writer = Writer()

    async def script(call: Call) -> Said:
        await asyncio.sleep(0.002 if call.channel_id == 1 else 0.04)
        return await writer(call)

    quick.relay.script = script
    quick.relay.views = [service(1, limit=2), service(2, limit=2)]
    task_id = await started(quick, max_concurrent=4, variants_per_sample=10)
    await run(quick, task_id)
    assert quick.relay.by_channel[1] > 3 * quick.relay.by_channel[2]
    assert quick.relay.by_channel[2] > 0


async def test_a_dead_service_costs_only_its_calls(quick: Installation) -> None:
    writer = Writer(latency_s=0.001)

    async def script(call: Call) -> Said:
        if call.channel_id == 2:
            raise UpstreamFailed("connection refused", kind="transport")
        return await writer(call)

    quick.relay.script = script
    quick.relay.views = [service(1), service(2)]
    task_id = await started(quick)
    assert await run(quick, task_id) == "finished"
    row = await task_row(quick, task_id)
    assert row["accepted"] == 24
    assert row["paused"] is None
    figures = {one["channel"]: one for one in row["live"]["services"]}
    assert figures["channel-1"]["done"] == 24
    assert figures["channel-2"]["errors"] >= 1


async def test_refusals_slow_down_and_lose_nothing(quick: Installation) -> None:
    writer = Writer()
    seen = 0

    async def script(call: Call) -> Said:
        nonlocal seen
        seen += 1
        if seen % 4 == 0:
            raise RateLimited(limit="rpm", retry_after_s=0.01)
        return await writer(call)

    quick.relay.script = script
    task_id = await started(quick)
    assert await run(quick, task_id) == "finished"
    assert (await task_row(quick, task_id))["accepted"] == 24


async def test_when_every_service_is_down_the_task_waits_and_goes_on_by_itself(
    quick: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidemill.datagen.engine.lanes.OPEN_S", 0.05)
    monkeypatch.setattr("tidemill.datagen.engine.lanes.OPEN_MAX_S", 0.05)
    monkeypatch.setattr("tidemill.datagen.engine.foreman.TICK_S", 0.02)
    writer = Writer()
    down = True

    async def script(call: Call) -> Said:
        if down:
            raise UpstreamTimedOut("no answer", kind="timeout")
        return await writer(call)

    quick.relay.script = script
    task_id = await started(quick)
    running = asyncio.ensure_future(run(quick, task_id))

    async def paused() -> bool:
        row = await task_row(quick, task_id)
        return row["paused"] is not None and row["paused"]["code"] == "no_service"

    await until(paused)
    assert (await quick.service.status(OWNER.scope, task_id, "zh")).paused_reason is not None
    down = False
    assert await running == "finished"
    row = await task_row(quick, task_id)
    assert (row["accepted"], row["failed"], row["paused"]) == (24, 0, None)


async def test_a_model_without_channel_waits_for_one(quick: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidemill.datagen.engine.foreman.TICK_S", 0.02)
    monkeypatch.setattr("tidemill.datagen.engine.lanes.REFRESH_S", 0.02)
    task_id = await started(quick)
    views, quick.relay.views = quick.relay.views, []
    running = asyncio.ensure_future(run(quick, task_id))

    async def paused() -> bool:
        row = await task_row(quick, task_id)
        return row["paused"] is not None and row["paused"]["code"] == "no_channel"

    await until(paused)
    quick.relay.views = views
    assert await running == "finished"


async def test_a_service_without_schemas_is_asked_more_plainly(quick: Installation) -> None:
    writer = Writer()

    async def script(call: Call) -> Said:
        if call.response_format is not None:
            raise UpstreamFailed("response_format is not known", kind="client", upstream_status=400)
        return await writer(call)

    quick.relay.script = script
    task_id = await started(quick)
    assert await run(quick, task_id) == "finished"
    assert (await task_row(quick, task_id))["accepted"] == 24


async def test_an_item_that_the_service_refuses_fails_alone(quick: Installation) -> None:
    writer = Writer()

    async def script(call: Call) -> Said:
        if "number 2." in str(call.messages):
            raise UpstreamFailed("context too long", kind="client", upstream_status=400)
        return await writer(call)

    quick.relay.script = script
    task_id = await started(quick, variants_per_sample=1, data_rounds=1)
    assert await run(quick, task_id) == "finished"
    row = await task_row(quick, task_id)
    assert (row["accepted"], row["failed"]) == (3, 1)


async def test_an_item_that_breaks_the_service_fails_after_five_tries(
    quick: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidemill.datagen.engine.lanes.OPEN_S", 0.01)
    monkeypatch.setattr("tidemill.datagen.engine.lanes.OPEN_MAX_S", 0.02)
    monkeypatch.setattr("tidemill.datagen.engine.lanes.SHORT_REST_MAX_S", 0.01)
    writer = Writer()

    async def script(call: Call) -> Said:
        if "number 2." in str(call.messages):
            raise UpstreamFailed("internal error", kind="server", upstream_status=500)
        return await writer(call)

    quick.relay.script = script
    quick.relay.views = [service(1)]
    task_id = await started(quick, variants_per_sample=2, data_rounds=4)
    assert await run(quick, task_id) == "finished"
    row = await task_row(quick, task_id)
    assert (row["accepted"], row["failed"]) == (24, 8)


async def test_the_budget_stops_the_spending_and_a_higher_one_goes_on(
    quick: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidemill.datagen.engine.foreman.TICK_S", 0.02)
    quick.relay.script = Writer(latency_s=0.001)
    task_id = await started(quick, budget="300", max_concurrent=1)
    running = asyncio.ensure_future(run(quick, task_id))

    async def paused() -> bool:
        row = await task_row(quick, task_id)
        return row["paused"] is not None and row["paused"]["code"] == "budget_spent"

    async def tenth_row() -> bool:
        # The item that spent the last of it may still stand in the window of the group commit.
        return (await task_row(quick, task_id))["accepted"] >= 10

    await until(paused)
    await until(tenth_row)
    row = await task_row(quick, task_id)
    assert row["accepted"] == 10
    assert row["cost_nano"] == 300 * 10**9
    from tidemill.datagen.contracts import ResumeRequest  # noqa: PLC0415 - used here alone

    await quick.service.resume(OWNER, task_id, ResumeRequest(budget=100_000), "en")
    assert await running == "finished"
    assert (await task_row(quick, task_id))["accepted"] == 24


async def test_many_failures_of_one_kind_pause_the_task_with_the_cause(
    quick: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidemill.datagen.engine.foreman.TICK_S", 0.02)
    writer = Writer()
    broken = True

    async def script(call: Call) -> Said:
        return Said("nothing useful") if broken else await writer(call)

    quick.relay.script = script
    task_id = await started(quick, variants_per_sample=20, max_retries=0)
    running = asyncio.ensure_future(run(quick, task_id))

    async def paused() -> bool:
        row = await task_row(quick, task_id)
        return row["paused"] is not None and row["paused"]["code"] == "mostly_failing"

    await until(paused)
    assert "parse" in str((await quick.service.status(OWNER.scope, task_id, "en")).paused_reason)
    broken = False
    from tidemill.datagen.contracts import ResumeRequest  # noqa: PLC0415 - used here alone

    await quick.service.resume(OWNER, task_id, ResumeRequest(), "en")
    assert await running == "finished"
    await assert_whole(quick, task_id)


async def test_earlier_rows_of_a_sample_are_shown_as_taken(quick: Installation) -> None:
    quick.relay.script = Writer(latency_s=0.02)  # ten commit windows: the first row is stored before the second is
    task_id = await started(quick, variants_per_sample=1, data_rounds=2, max_concurrent=1, sample_limit=2)
    await run(quick, task_id)
    assert "A note about matter 1 of the day." not in str(quick.relay.calls[1].messages)
    assert "A note about matter 1 of the day." in str(quick.relay.calls[2].messages)


async def test_a_prompt_is_the_same_after_a_restart(quick: Installation) -> None:
    first, second = await started(quick, seed=5), await started(quick, seed=5)
    await run(quick, first)
    prompts = [call.messages for call in quick.relay.calls]
    quick.relay.calls.clear()
    await run(quick, second)
    earlier = {json.dumps(one) for one in prompts[:12]}
    assert {json.dumps(call.messages) for call in quick.relay.calls[:12]} == earlier


async def test_a_run_without_samples_fails_in_words(quick: Installation) -> None:
    task_id = await started(quick)
    quick.samples.rows_of_file.clear()
    assert await run(quick, task_id) == "failed"
    row = await task_row(quick, task_id)
    assert row["status"] == "failed"
    assert "sample file" in row["error_message"]


async def test_no_channel_for_a_while_costs_no_item(quick: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidemill.datagen.engine.lanes.OPEN_S", 0.01)
    monkeypatch.setattr("tidemill.datagen.engine.lanes.OPEN_MAX_S", 0.02)
    writer = Writer()
    refused = 0

    async def script(call: Call) -> Said:
        nonlocal refused
        if refused < 12:
            refused += 1
            raise NoChannelAvailable(model=call.model)
        return await writer(call)

    quick.relay.script = script
    task_id = await started(quick)
    assert await run(quick, task_id) == "finished"
    assert (await task_row(quick, task_id))["failed"] == 0


async def test_two_tasks_share_a_service_in_turns(quick: Installation) -> None:
    quick.relay.script = Writer(latency_s=0.002)
    quick.relay.views = [service(1, limit=2)]
    first, second = await started(quick), await started(quick)
    ends = await asyncio.gather(run(quick, first), run(quick, second))
    assert ends == ["finished", "finished"]
    tasks_called = [call.metadata["task"] for call in quick.relay.calls]
    assert first in tasks_called[:12]
    assert second in tasks_called[:12]
