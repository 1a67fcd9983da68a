"""Routing rules over HTTP: made, shown, changed, refused with the field that is wrong, and written down."""

from typing import Any

import pytest
from sqlalchemy import select

from tests.relay.test_administration import ALICE, Http, http
from tidemill.audit.tables import audit_log
from tidemill.platform.db import Database

__all__ = ["http"]

ROUTES = "/api/v1/admin/routes"


async def test_a_rule_is_made_shown_changed_and_deleted(http: Http, database: Database) -> None:
    made = await http("POST", ROUTES, {"kind": "model", "name": " m ", "strategy": "least_errors", "rpm": 60})
    assert made.status_code == 201
    rule = made.json()
    assert (rule["kind"], rule["name"], rule["strategy"], rule["rpm"]) == ("model", "m", "least_errors", 60)
    one = f"{ROUTES}/{rule['id']}"
    changed = await http("PATCH", one, {"rpm": None, "region": "eu"})
    assert (changed.json()["rpm"], changed.json()["region"], changed.json()["strategy"]) == (None, "eu", "least_errors")
    assert (await http("GET", one)).json() == changed.json()
    assert [entry["id"] for entry in (await http("GET", ROUTES)).json()["items"]] == [rule["id"]]
    assert (await http("DELETE", one)).status_code == 204
    gone = await http("GET", one)
    assert (gone.status_code, gone.json()["type"]) == (404, "urn:tidemill:route_rule_not_found")
    async with database.read() as r:
        rows = await r.all(select(audit_log).where(audit_log.c.object_type == "route_rule").order_by(audit_log.c.id))
    assert [row["action"] for row in rows] == ["route_rule.create", "route_rule.change", "route_rule.delete"]
    assert rows[1]["details"]["before"]["rpm"] == 60
    assert rows[1]["details"]["after"]["rpm"] is None


async def test_there_is_one_rule_for_each(http: Http) -> None:
    for kind, name in (("global", ""), ("group", "lab"), ("user", "7"), ("model", "lab")):
        wish = {"kind": kind, "name": name, "strategy": "random"}
        assert (await http("POST", ROUTES, wish)).status_code == 201
        again = await http("POST", ROUTES, wish)
        assert (again.status_code, again.json()["type"]) == (409, "urn:tidemill:route_rule_taken")


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"kind": "global", "name": "x", "rpm": 1}, "name"),
        ({"kind": "group", "name": "  ", "rpm": 1}, "name"),
        ({"kind": "user", "name": "alice", "rpm": 1}, "name"),
        ({"kind": "user", "name": "0", "rpm": 1}, "name"),
        ({"kind": "model", "name": "m" * 501, "rpm": 1}, "name"),
        ({"kind": "model", "name": "m", "rpm": 0}, "rpm"),
        ({"kind": "model", "name": "m", "tpm": -1}, "tpm"),
        ({"kind": "model", "name": "m", "region": " "}, "region"),
        ({"kind": "model", "name": "m"}, "strategy"),
        ({"kind": "model", "name": "m", "strategy": "best"}, "strategy"),
        ({"kind": "planet", "name": "m", "rpm": 1}, "kind"),
    ],
)
async def test_what_is_wrong_with_a_rule_is_named(http: Http, wish: dict[str, Any], field: str) -> None:
    answer = await http("POST", ROUTES, wish)
    assert answer.status_code == 400
    assert [problem["field"] for problem in answer.json()["errors"]] == [field]


async def test_a_rule_cannot_be_emptied(http: Http) -> None:
    made = (await http("POST", ROUTES, {"kind": "global", "rpm": 5})).json()
    answer = await http("PATCH", f"{ROUTES}/{made['id']}", {"rpm": None})
    assert answer.status_code == 400
    assert (await http("GET", f"{ROUTES}/{made['id']}")).json()["rpm"] == 5


async def test_rules_are_for_administrators(http: Http) -> None:
    http.actor = ALICE
    assert (await http("GET", ROUTES)).status_code == 403
    assert (await http("POST", ROUTES, {"kind": "global", "rpm": 5})).status_code == 403


async def test_a_dry_run_tells_who_would_serve_and_why_not_the_others(http: Http) -> None:
    rig = http.rig
    everybodys = await rig.channel("http://127.0.0.1:9", "everybody's")
    labs = await rig.channel("http://127.0.0.1:9", "the lab's", groups=["lab"], priority=5)
    await rig.channel("http://127.0.0.1:9", "off", status="disabled")
    rule = (await http("POST", ROUTES, {"kind": "model", "name": "m", "strategy": "lowest_latency"})).json()

    async def ask(**question: Any) -> dict[str, Any]:
        answer = await http("POST", ROUTES + "/dry-run", {"model": "m", **question})
        assert answer.status_code == 200
        return answer.json()

    mine = await ask()
    assert (mine["would_serve"], mine["strategy"], mine["strategy_from"]) == (
        everybodys.id,
        "lowest_latency",
        "model:m",
    )
    verdicts = {one["channel"]: one["verdict"] for one in mine["candidates"]}
    assert verdicts == {"everybody's": "serves", "the lab's": "group", "off": "resting"}
    assert all(one["why"] for one in mine["candidates"])
    assert (await ask(user_id=7))["would_serve"] == labs.id  # user 7 is in the lab
    assert (await ask(user_id=7, group="default"))["would_serve"] == everybodys.id
    assert (await ask(group="lab", exclude=[labs.id]))["would_serve"] == everybodys.id
    assert (await ask(model="unknown"))["candidates"] == []
    # The next of the same priority is asked next, whatever stands above and may not serve; lower ones come later.
    await rig.channel("http://127.0.0.1:9", "its twin")
    await rig.channel("http://127.0.0.1:9", "a reserve", priority=-1)
    by_rank = {one["rank"]: one["verdict"] for one in (await ask())["candidates"]}
    assert (by_rank[1], by_rank[2], by_rank[3]) == ("serves", "next", "later")
    # A rule holds as soon as it is made, and no longer than it stands.
    await http("DELETE", f"{ROUTES}/{rule['id']}")
    assert (await ask())["strategy"] == "weighted"
    assert rig.ledger.events == []


async def test_a_question_about_no_kind_of_call_is_refused(http: Http) -> None:
    answer = await http("POST", ROUTES + "/dry-run", {"model": "m", "scene": "dance"})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "scene")
    http.actor = ALICE
    assert (await http("POST", ROUTES + "/dry-run", {"model": "m"})).status_code == 403
