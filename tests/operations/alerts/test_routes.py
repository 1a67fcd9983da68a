"""Alerts over HTTP, and the schema they stand in."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection, inspect

from tests.operations.alerts.conftest import Office, Postbox
from tests.operations.conftest import ANN, ROOT
from tidemill.kernel.actor import Actor
from tidemill.operations.alerts.ports import Undelivered
from tidemill.operations.alerts.routes import HANDLERS
from tidemill.operations.alerts.tables import alerts
from tidemill.platform.db import migrate
from tidemill.platform.settings import Settings
from tidemill.platform.web.guards import ACTOR
from tidemill.server.api import build_api

ALERTS = "/api/v1/admin/alerts"


class Http:
    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self.actor: Actor | None = ROOT

    async def __call__(self, method: str, path: str, **given: Any) -> httpx.Response:
        return await self._client.request(method, path, **given)


@pytest.fixture
async def http(office: Office) -> AsyncIterator[Http]:
    given = {"alerts": lambda: office.alerts, "alert_sender": lambda: office.sender}
    api = build_api(HANDLERS, given, Settings())
    caller: Http

    async def door(scope: Any, receive: Any, send: Any) -> None:
        if caller.actor is not None:
            scope.setdefault("state", {})[ACTOR] = caller.actor
        await api(scope, receive, send)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(door), base_url="http://mill.test") as client:
        caller = Http(client)
        yield caller


async def test_an_administrator_lists_and_acknowledges(http: Http, office: Office) -> None:
    for number in range(3):
        await office.raise_(key=f"channel_down:{number}", subject_id=str(number))
    first = (await http("GET", f"{ALERTS}?page_size=2&status=active", headers={"accept-language": "zh"})).json()
    assert [item["title"] for item in first["items"]] == ["渠道 a 不可用"] * 2
    rest = (await http("GET", f"{ALERTS}?page_size=2&status=active&cursor={first['next']}")).json()
    assert [item["subject_id"] for item in rest["items"]] == ["0"]
    assert rest["next"] is None
    alert_id = rest["items"][0]["id"]
    taken = await http("POST", f"{ALERTS}/{alert_id}/acknowledge")
    assert (taken.status_code, taken.json()["status"], taken.json()["acknowledged_by"]) == (200, "acknowledged", 1)
    assert (await http("POST", f"{ALERTS}/unknown/acknowledge")).status_code == 404
    assert (await http("GET", f"{ALERTS}?status=odd")).status_code == 400
    assert (await http("GET", f"{ALERTS}?cursor=odd")).status_code == 400


async def test_a_test_message_goes_every_way_that_is_set_up(http: Http, hook: Postbox) -> None:
    told = (await http("POST", f"{ALERTS}/test")).json()["ways"]
    assert [(way["way"], way["ok"]) for way in told] == [("webhook", True), ("mail", None)]
    assert hook.told == ["test"]
    hook.failures = [Undelivered("the webhook answered 404", lasting=True)]
    told = (await http("POST", f"{ALERTS}/test")).json()["ways"]
    assert (told[0]["ok"], told[0]["error"]) == (False, "the webhook answered 404")


@pytest.mark.parametrize(("actor", "status"), [(None, 401), (ANN, 403)])
async def test_nobody_else_sees_them(http: Http, actor: Actor | None, status: int) -> None:
    http.actor = actor
    for method, path in (("GET", ALERTS), ("POST", f"{ALERTS}/test"), ("POST", f"{ALERTS}/x/acknowledge")):
        assert (await http(method, path)).status_code == status


def seen(connection: Connection) -> tuple[dict[str, bool], set[str]]:
    """Return column -> whether it takes NULL, and the names of indexes; nothing where there is no such table."""
    found = inspect(connection)
    if not found.has_table("alerts"):
        return {}, set()
    columns = {column["name"]: column["nullable"] for column in found.get_columns("alerts")}
    return columns, {str(index["name"]) for index in found.get_indexes("alerts")}


def test_the_migration_goes_up_and_down_and_agrees_with_the_table(empty_database_url: str) -> None:
    url = empty_database_url
    expected = (
        {column.name: bool(column.nullable) for column in alerts.columns},
        {str(index.name) for index in alerts.indexes},
    )
    for _ in range(2):
        migrate.upgrade(url, "0010")
        assert migrate._run_sync(url, seen) == expected  # pyright: ignore[reportPrivateUsage]
        migrate.downgrade(url, "0009")
        assert migrate._run_sync(url, seen) == ({}, set())  # pyright: ignore[reportPrivateUsage]
