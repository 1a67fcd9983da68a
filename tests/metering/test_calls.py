"""The log of calls and the figures of channels: filters, pages by key, a safe file, an index for every question."""

import csv
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Select, bindparam, insert, text
from sqlalchemy.dialects import sqlite

from tests.metering.events import BEGAN_MS, usage
from tidemill.kernel import clock
from tidemill.kernel.actor import Actor, AdminScope, Scope, UserScope
from tidemill.kernel.errors import BadInput
from tidemill.metering import call_log, repository_calls
from tidemill.metering.contracts import CallStatus
from tidemill.metering.contracts_calls import CallFilter, CallPage
from tidemill.metering.errors import CallNotFound
from tidemill.metering.facade import CallLog, ChannelUsage, Meter
from tidemill.metering.routes_calls import HANDLERS as CALLS
from tidemill.metering.routes_channels import HANDLERS as CHANNELS
from tidemill.metering.rows import event_row
from tidemill.metering.tables import usage_events
from tidemill.platform.db import Database
from tidemill.platform.settings import Settings
from tidemill.platform.web.guards import ACTOR
from tidemill.server.api import build_api

ROOT = Actor(user_id=9, username="root", is_admin=True, via="session")
ALICE = Actor(user_id=1, username="alice", is_admin=False, via="session")
ADMIN = AdminScope(9)
SINCE = datetime(2026, 1, 2, tzinfo=UTC)
UNTIL = SINCE + timedelta(days=1)
HOUR_MS = 3_600_000


async def record(db: Database, folder: Path, *events: Any) -> None:
    meter = Meter(db, folder)
    for event in events:
        meter.record(event)
    await meter.flush()
    await meter.close()


def models(page: CallPage) -> list[str]:
    return [entry.model for entry in page.items]


async def test_pages_lead_to_older_and_back_to_newer_calls(database: Database, tmp_path: Path) -> None:
    # Two calls share each moment: the id decides between them.
    events = [usage(model=f"m{number}", began_ms=BEGAN_MS + number // 2) for number in range(7)]
    await record(database, tmp_path, *events)
    log = CallLog(database)
    newest = ["m6", "m5", "m4", "m3", "m2", "m1", "m0"]
    pages: list[CallPage] = [await log.page(ADMIN, CallFilter(), page_size=3)]
    while pages[-1].next is not None:
        pages.append(await log.page(ADMIN, CallFilter(), page_size=3, cursor=pages[-1].next))
    assert [models(page) for page in pages] == [newest[:3], newest[3:6], newest[6:]]
    assert pages[0].previous is None
    back = await log.page(ADMIN, CallFilter(), page_size=3, cursor=pages[2].previous)
    assert models(back) == newest[3:6]
    first = await log.page(ADMIN, CallFilter(), page_size=3, cursor=back.previous)
    assert (models(first), first.previous) == (newest[:3], None)
    again = await log.page(ADMIN, CallFilter(), page_size=3, cursor=first.next)
    assert models(again) == newest[3:6]
    exact = await log.page(ADMIN, CallFilter(), page_size=7)
    assert (len(exact.items), exact.next, exact.previous) == (7, None, None)


@pytest.mark.parametrize("cursor", ["x", "WzFd", "WzEsMiwzXQ", "WyJvbGRlciIsIm5vdyIsImEiXQ"])
async def test_a_cursor_that_is_none_is_refused(memory_database: Database, cursor: str) -> None:
    with pytest.raises(BadInput) as problem:
        await CallLog(memory_database).page(ADMIN, CallFilter(), page_size=3, cursor=cursor)
    assert problem.value.fields[0].field == "cursor"


CASES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"user_id": 2}, {"user_id": 2}),
    ({"key_id": "k"}, {"key_id": "k"}),
    ({"channel_id": -7}, {"channel_id": -7, "channel": "local"}),
    ({"provider": "vllm"}, {"provider": "vllm"}),
    ({"model": "other"}, {"model": "other"}),
    ({"status": "timeout"}, {"status": CallStatus.TIMEOUT}),
    ({"status": "failed"}, {"status": CallStatus.UPSTREAM_ERROR}),
    ({"error_code": "boom"}, {"error_code": "boom"}),
    ({"surface": "datagen"}, {"surface": "datagen"}),
    ({"stream": True}, {"stream": True}),
    ({"min_latency_ms": 500.0}, {"latency_ms": 500.0}),
    ({"request_id": "req-7"}, {"request_id": "req-7"}),
    ({"since": SINCE + timedelta(hours=4)}, {"began_ms": BEGAN_MS + HOUR_MS}),
    ({"until": SINCE + timedelta(hours=3)}, {"began_ms": BEGAN_MS - HOUR_MS}),
    ({"q": "EQ-7"}, {"request_id": "req-7"}),
    ({"q": "100%"}, {"model": "100%-sure"}),
    ({"q": "spec"}, {"channel": "special"}),
]


@pytest.mark.parametrize(("wanted", "fields"), CASES)
async def test_each_filter_finds_its_call_and_no_other(
    database: Database, tmp_path: Path, wanted: dict[str, Any], fields: dict[str, Any]
) -> None:
    match = usage(**fields)
    await record(database, tmp_path, usage(), match, usage(model="1000"))
    found = await CallLog(database).page(ADMIN, CallFilter(**wanted), page_size=50)
    assert [entry.id for entry in found.items] == [match.id]


async def test_everybody_sees_their_own_calls(database: Database, tmp_path: Path) -> None:
    mine, hers = usage(user_id=1, usage_raw='{"a": 1}', metadata={"team": "x"}), usage(user_id=2)
    await record(database, tmp_path, mine, hers)
    log = CallLog(database)
    assert [entry.id for entry in (await log.page(UserScope(1), CallFilter(), page_size=9)).items] == [mine.id]
    assert (await log.page(UserScope(1), CallFilter(user_id=2), page_size=9)).items == []
    assert len((await log.page(ADMIN, CallFilter(), page_size=9)).items) == 2
    detail = await log.get(UserScope(1), mine.id)
    assert (detail.usage_raw, detail.metadata, detail.fresh_tokens, detail.output_tokens) == (
        '{"a": 1}',
        {"team": "x"},
        10,
        5,
    )
    for missing in (hers.id, "none", "a\x00b"):
        with pytest.raises(CallNotFound):
            await log.get(UserScope(1), missing)


async def test_a_file_of_calls_is_whole_and_runs_no_formula(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_log, "SLICE_ROWS", 2)
    events = [
        usage(model=model, began_ms=BEGAN_MS + place) for place, model in enumerate(("=1+1", "b,c", "d", "e", "f"))
    ]
    await record(database, tmp_path, *events)
    content = b"".join([part async for part in CallLog(database).csv(ADMIN, CallFilter(), mark=True)])
    assert content.startswith(b"\xef\xbb\xbfid,created_at,")
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))
    assert [row["model"] for row in rows] == ["f", "e", "d", "b,c", "'=1+1"]
    assert (rows[0]["created_at"], rows[0]["total_tokens"], rows[0]["error_code"]) == (
        "2026-01-02T03:04:05.004000+00:00",
        "15",
        "",
    )


def _plan(statement: Select[Any]) -> Any:
    compiled = statement.compile(dialect=sqlite.dialect(paramstyle="named"))
    explain = text("EXPLAIN QUERY PLAN " + str(compiled))
    return explain.bindparams(
        *(bindparam(name, compiled.params[name], type_=bind.type) for bind, name in compiled.bind_names.items())
    )


QUESTIONS: list[tuple[Scope, dict[str, Any], str]] = [
    (ADMIN, {}, "ix_usage_events_created_at"),
    (ADMIN, {"status": "failed"}, "ix_usage_events_created_at"),
    (ADMIN, {"since": SINCE, "until": UNTIL, "q": "x"}, "ix_usage_events_created_at"),
    (ADMIN, {"channel_id": 3}, "ix_usage_events_channel_id_created_at"),
    (ADMIN, {"channel_id": 3, "status": "failed"}, "ix_usage_events_channel_id_created_at"),
    (ADMIN, {"user_id": 3}, "ix_usage_events_user_id_created_at"),
    (UserScope(3), {}, "ix_usage_events_user_id_created_at"),
    (UserScope(3), {"model": "m"}, "ix_usage_events_user_id_created_at"),
]


async def test_every_page_of_a_long_log_is_read_through_an_index(memory_database: Database) -> None:
    rows: list[dict[str, Any]] = [
        {
            **event_row(usage(began_ms=BEGAN_MS + number * 250, user_id=number % 50, channel_id=number % 7)),
            "cached": False,
        }
        for number in range(20_000)
    ]
    async with memory_database.write() as w:
        for start in range(0, len(rows), 1000):
            await w.run(insert(usage_events), rows[start : start + 1000])
        await w.run(text("ANALYZE"))
    place = rows[10_000]["created_at"], rows[10_000]["id"]
    async with memory_database.read() as r:
        for scope, wanted, index in QUESTIONS:
            for at, newer in ((None, False), (place, False), (place, True)):
                asked = repository_calls.statement(scope, CallFilter(**wanted), at, 51, newer=newer)
                details = [row["detail"] for row in await r.all(_plan(asked))]
                assert any(f"USING INDEX {index}" in detail for detail in details), (wanted, at, details)
                # The index gives the order, too; only within one moment is anything sorted.
                assert "USE TEMP B-TREE FOR ORDER BY" not in details, (wanted, at, details)
    log = CallLog(memory_database)
    deep = await log.page(ADMIN, CallFilter(), page_size=200)
    for _ in range(3):
        deep = await log.page(ADMIN, CallFilter(), page_size=200, cursor=deep.next)
    assert deep.items[-1].id == rows[19_200]["id"]


class Counted:
    """A database that counts what is asked of it."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self.asked = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)

    def read(self) -> Any:
        return _CountedRead(self, self._db.read())


class _CountedRead:
    def __init__(self, counted: Counted, inner: Any) -> None:
        self._counted = counted
        self._inner = inner

    async def __aenter__(self) -> Any:
        self._reader = await self._inner.__aenter__()
        return self

    async def __aexit__(self, *failure: object) -> Any:
        return await self._inner.__aexit__(*failure)

    def __getattr__(self, name: str) -> Any:
        self._counted.asked += 1
        return getattr(self._reader, name)


async def test_channels_are_summed_in_three_questions_however_many_there_are(
    database: Database, tmp_path: Path
) -> None:
    now_ms = int(clock.now().timestamp() * 1000)
    await record(
        database,
        tmp_path,
        *(usage(channel_id=number, began_ms=now_ms) for number in range(1, 31)),
        usage(channel_id=1, began_ms=now_ms, status=CallStatus.TIMEOUT, latency_ms=40.0),
        usage(channel_id=None, began_ms=now_ms, status=CallStatus.REFUSED),
    )
    counted: Any = Counted(database)
    found = await ChannelUsage(counted).all(ADMIN, since=None, until=None, series=True)
    assert counted.asked == 3
    assert len(found.channels) == 30
    busiest = found.channels[0]
    assert (busiest.channel_id, busiest.requests, busiest.errors, busiest.error_rate) == (1, 2, 1, 0.5)
    assert (busiest.total_tokens, busiest.latency_ms_avg, busiest.cost_nano, busiest.cost_today_nano) == (
        30,
        30.0,
        0,
        0,
    )
    assert [(hour.requests, hour.errors, hour.latency_ms_avg) for hour in busiest.hours] == [(2, 1, 30.0)]
    with pytest.raises(BadInput, match="series"):
        await ChannelUsage(database).all(ADMIN, since=SINCE, until=SINCE + timedelta(days=9), series=True)


async def test_one_channel_tells_its_hours_models_and_outcomes(database: Database, tmp_path: Path) -> None:
    await record(
        database,
        tmp_path,
        usage(),
        usage(model="n", status=CallStatus.UPSTREAM_ERROR, error_code="upstream_failed"),
        usage(model="n", began_ms=BEGAN_MS + HOUR_MS),
        usage(channel_id=4),
    )
    found = await ChannelUsage(database).one(ADMIN, 3, since=SINCE, until=UNTIL)
    assert (found.totals.requests, found.totals.errors) == (3, 1)
    assert [(hour.hour.hour, hour.requests) for hour in found.series] == [(3, 2), (4, 1)]
    assert [(model.key, model.requests) for model in found.models] == [("n", 2), ("m", 1)]
    assert [(end.status, end.error_code, end.requests) for end in found.outcomes] == [
        ("ok", None, 2),
        ("upstream_error", "upstream_failed", 1),
    ]
    nothing = await ChannelUsage(database).one(ADMIN, 99, since=SINCE, until=UNTIL)
    assert (nothing.totals.requests, nothing.series, nothing.outcomes) == (0, [], [])


class Http:
    """Calls the routes as whom a test says."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self.actor = ROOT

    async def get(self, path: str, **query: Any) -> httpx.Response:
        return await self._client.get(path, params=query)


@pytest.fixture
async def http(database: Database) -> AsyncIterator[Http]:
    given = {"calls": lambda: CallLog(database), "channel_usage": lambda: ChannelUsage(database)}
    api = build_api([*CALLS, *CHANNELS], given, Settings())
    caller: Http

    async def door(scope: Any, receive: Any, send: Any) -> None:
        scope.setdefault("state", {})[ACTOR] = caller.actor
        await api(scope, receive, send)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(door), base_url="http://mill.test") as client:
        caller = Http(client)
        yield caller


async def test_calls_over_http(http: Http, database: Database, tmp_path: Path) -> None:
    mine, hers = usage(user_id=9), usage(user_id=1, model="+x", status=CallStatus.TIMEOUT)
    await record(database, tmp_path, mine, hers)
    everybody = (await http.get("/api/v1/calls")).json()
    assert {entry["id"] for entry in everybody["items"]} == {mine.id, hers.id}
    assert (everybody["next"], everybody["previous"]) == (None, None)
    assert [e["id"] for e in (await http.get("/api/v1/calls", mine=True)).json()["items"]] == [mine.id]
    assert [e["id"] for e in (await http.get("/api/v1/calls", user_id=1)).json()["items"]] == [hers.id]
    narrowed = {"status": "timeout", "from": "2026-01-02T00:00:00Z", "to": "2026-01-03T00:00:00", "page_size": 1}
    assert [e["id"] for e in (await http.get("/api/v1/calls", **narrowed)).json()["items"]] == [hers.id]
    http.actor = ALICE
    assert [e["id"] for e in (await http.get("/api/v1/calls")).json()["items"]] == [hers.id]
    assert (await http.get(f"/api/v1/calls/{hers.id}")).json()["model"] == "+x"
    missing = await http.get(f"/api/v1/calls/{mine.id}")
    assert (missing.status_code, missing.json()["type"]) == (404, "urn:tidemill:call_not_found")
    file = await http.get("/api/v1/calls/export", status="failed")
    assert file.headers["content-disposition"].startswith('attachment; filename="calls.csv"')
    assert "'+x" in file.text


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"page_size": 201}, "page_size"),
        ({"status": "fine"}, "status"),
        ({"cursor": "x"}, "cursor"),
        ({"model": "a\x00"}, "model"),
        ({"min_latency_ms": -1}, "min_latency_ms"),
        ({"user_id": 2**40}, "user_id"),
    ],
)
async def test_a_filter_that_is_wrong_is_named(http: Http, query: dict[str, Any], field: str) -> None:
    answer = await http.get("/api/v1/calls", **query)
    assert answer.status_code == 400
    assert [problem["field"] for problem in answer.json()["errors"]] == [field]


async def test_figures_of_channels_over_http(http: Http, database: Database, tmp_path: Path) -> None:
    await record(database, tmp_path, usage(), usage(channel_id=-7))
    query = {"from": "2026-01-02T00:00:00Z", "to": "2026-01-03T00:00:00Z"}
    found = (await http.get("/api/v1/admin/channels/stats", **query)).json()
    assert (found["from"], [channel["channel_id"] for channel in found["channels"]]) == (
        "2026-01-02T00:00:00Z",
        [-7, 3],
    )
    one = (await http.get("/api/v1/admin/channels/-7/stats", **query)).json()
    assert (one["channel_id"], one["totals"]["requests"]) == (-7, 1)
    http.actor = ALICE
    for path in ("/api/v1/admin/channels/stats", "/api/v1/admin/channels/3/stats"):
        assert (await http.get(path)).status_code == 403
