from datetime import UTC, datetime, timedelta
from typing import Any

from tests.identity.conftest import ALL, Client, add, bearer, caller
from tidemill.audit.contracts import AuditFilter
from tidemill.identity.admin_service import UserChange
from tidemill.identity.contracts import UserView
from tidemill.identity.facade import AuthFailure, Identity, KeyWish
from tidemill.identity.key_format import is_well_formed
from tidemill.kernel import clock
from tidemill.kernel.actor import Actor
from tidemill.kernel.pages import PageRequest

KEYS = "/api/v1/keys"


async def test_a_key_lives_its_life(http: Client, identity: Identity, alice: UserView) -> None:
    header = await bearer(http, alice.username)
    made = await http.post(KEYS, headers=header, json={"name": " laptop "})
    assert made.status_code == 201
    body = made.json()
    secret, key_id = body["key"], body["id"]
    assert is_well_formed(secret)
    assert (body["name"], body["scopes"], body["status"], body["expires_at"]) == ("laptop", ["relay"], "active", None)
    assert secret.startswith(body["prefix"])
    assert secret.endswith(body["last4"])
    assert datetime.fromisoformat(body["created_at"]).tzinfo is not None

    shown = (await http.get(f"{KEYS}/{key_id}", headers=header)).json()
    listed = (await http.get(KEYS, headers=header)).json()
    assert listed["items"] == [shown]
    assert (listed["total"], listed["next"]) == (1, None)
    assert "key" not in shown
    assert secret not in str(shown)

    actor = caller(identity, secret)
    assert isinstance(actor, Actor)
    assert (actor.user_id, actor.key_id) == (alice.id, key_id)

    patched = await http.patch(
        f"{KEYS}/{key_id}", headers=header, json={"name": "desk", "models": ["m"], "budget": 2.5, "rpm": 60}
    )
    assert patched.status_code == 200
    assert (patched.json()["name"], patched.json()["models"], patched.json()["budget"]) == ("desk", ["m"], "2.5")
    known = identity.authenticator.key_limits(key_id)
    assert known is not None
    assert (known.limits.rpm, known.limits.budget, known.actor.models) == (60, "2.5", frozenset({"m"}))
    cleared = await http.patch(f"{KEYS}/{key_id}", headers=header, json={"models": None, "rpm": None})
    assert (cleared.json()["models"], cleared.json()["rpm"], cleared.json()["budget"]) == (None, None, "2.5")

    for _ in range(2):
        revoked = await http.post(f"{KEYS}/{key_id}/revoke", headers=header)
        assert (revoked.status_code, revoked.json()["status"]) == (200, "revoked")
    assert isinstance(caller(identity, secret), AuthFailure)
    again = await http.patch(f"{KEYS}/{key_id}", headers=header, json={"name": "x"})
    assert (again.status_code, again.json()["type"]) == (409, "urn:tidemill:key_not_active")

    assert (await http.delete(f"{KEYS}/{key_id}", headers=header)).status_code == 204
    assert (await http.get(f"{KEYS}/{key_id}", headers=header)).status_code == 404


async def test_the_secret_is_nowhere_in_the_database(http: Client, identity: Identity, alice: UserView) -> None:
    header = await bearer(http, alice.username)
    secret = (await http.post(KEYS, headers=header, json={"name": "k"})).json()["key"]
    view = (await http.get(KEYS, headers=header)).text
    audit = await identity.audit.page(ALL, AuditFilter(), PageRequest(page_size=200))
    for place in (view, str(audit)):
        assert secret not in place
        assert secret[10:-4] not in place


async def test_a_bad_key_request_names_the_field(http: Client, alice: UserView) -> None:
    header = await bearer(http, alice.username)
    past = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    bad: list[tuple[dict[str, Any], str]] = [
        ({}, "name"),
        ({"name": "  "}, "name"),
        ({"name": "n" * 101}, "name"),
        ({"name": "k", "scopes": []}, "scopes"),
        ({"name": "k", "scopes": ["everything"]}, "scopes"),
        ({"name": "k", "scopes": ["admin"]}, "scopes"),
        ({"name": "k", "networks": ["10.0.0.0/33"]}, "networks"),
        ({"name": "k", "networks": ["home"]}, "networks"),
        ({"name": "k", "models": [""]}, "models"),
        ({"name": "k", "expires_at": past}, "expires_at"),
        ({"name": "k", "expires_at": "tomorrow"}, "expires_at"),
        ({"name": "k", "budget": -1}, "budget"),
        ({"name": "k", "budget": "much"}, "budget"),
        ({"name": "k", "budget": "NaN"}, "budget"),
        ({"name": "k", "budget": 1e30}, "budget"),
        ({"name": "k", "rpm": 0}, "rpm"),
        ({"name": "k", "rpm": 10**15}, "rpm"),
        ({"name": "k", "colour": "red"}, "colour"),
    ]
    for body, field in bad:
        answer = await http.post(KEYS, headers=header, json=body)
        assert answer.status_code == 400, body
        assert answer.json()["errors"][0]["field"] == field, answer.json()
    assert (await http.get(KEYS, headers=header)).json()["items"] == []


async def test_an_expired_key_says_so_and_no_longer_works(http: Client, identity: Identity, alice: UserView) -> None:
    header = await bearer(http, alice.username)
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    made = (await http.post(KEYS, headers=header, json={"name": "k", "expires_at": soon})).json()
    assert isinstance(caller(identity, made["key"]), Actor)
    with clock.shifted(3601):
        assert isinstance(caller(identity, made["key"]), AuthFailure)
        await identity.load()
        assert isinstance(caller(identity, made["key"]), AuthFailure)
        assert (await http.get(f"{KEYS}/{made['id']}", headers=header)).json()["status"] == "expired"
        assert len((await http.get(f"{KEYS}?status=expired", headers=header)).json()["items"]) == 1
        assert (await http.get(f"{KEYS}?status=active", headers=header)).json()["items"] == []


async def test_pages_and_searches_keys(http: Client, identity: Identity, alice: UserView) -> None:
    for number in range(5):
        await identity.keys.create(ALL, alice.id, KeyWish(name=f"Key {number}"), None)
    header = await bearer(http, alice.username)
    seen: list[str] = []
    cursor = ""
    while True:
        page = (await http.get(f"{KEYS}?page_size=2{cursor}", headers=header)).json()
        seen += [key["name"] for key in page["items"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert seen == ["Key 4", "Key 3", "Key 2", "Key 1", "Key 0"]
    found = (await http.get(f"{KEYS}?q=kEY%203", headers=header)).json()
    assert [key["name"] for key in found["items"]] == ["Key 3"]


async def test_keys_do_not_breed(http: Client, identity: Identity, alice: UserView) -> None:
    root = await add(identity, "root", is_admin=True)
    every_scope = ["relay", "datagen", "models", "knowledge", "tools"]
    strong = await identity.keys.create(ALL, alice.id, KeyWish(name="k", scopes=every_scope), None)
    admin = await identity.keys.create(ALL, root.id, KeyWish(name="k", scopes=["admin"]), None)
    fenced = await identity.keys.create(ALL, root.id, KeyWish(name="k", scopes=["admin"], models=["m"]), None)
    for secret, status in ((strong.secret, 403), (fenced.secret, 403), (admin.secret, 201)):
        answer = await http.post(KEYS, headers={"x-api-key": secret}, json={"name": "child"})
        assert answer.status_code == status


async def test_a_role_taken_away_takes_the_key_s_administration_with_it(identity: Identity) -> None:
    await add(identity, "root", is_admin=True)
    second = await add(identity, "second", is_admin=True)
    made = await identity.keys.create(ALL, second.id, KeyWish(name="k", scopes=["admin"]), None)
    before = caller(identity, made.secret)
    assert isinstance(before, Actor)
    assert before.may_administer
    await identity.administration.change(ALL, second.id, UserChange(role="user"), None)
    after = caller(identity, made.secret)
    assert isinstance(after, Actor)
    assert not after.may_administer


async def test_uses_are_counted_and_written_in_one_go(http: Client, identity: Identity, alice: UserView) -> None:
    made = await identity.keys.create(ALL, alice.id, KeyWish(name="k"), None)
    header = await bearer(http, alice.username)
    for _ in range(3):
        assert isinstance(caller(identity, made.secret), Actor)
    before = (await http.get(f"{KEYS}/{made.view.id}", headers=header)).json()
    assert (before["use_count"], before["last_used_at"]) == (0, None)
    await identity.flush()
    await identity.flush()
    after = (await http.get(f"{KEYS}/{made.view.id}", headers=header)).json()
    assert after["use_count"] == 3
    assert after["last_used_at"] is not None
