"""Every decision about accounts and credentials leaves its entry."""

from tests.identity.conftest import ALL, PASSWORD, Client, add, bearer, caller
from tidemill.audit.contracts import AuditEntry, AuditFilter
from tidemill.identity.contracts import UserView
from tidemill.identity.facade import Identity
from tidemill.kernel.pages import PageRequest


async def entries(
    identity: Identity, *, action: str | None = None, object_type: str | None = None, object_id: str | None = None
) -> list[AuditEntry]:
    wanted = AuditFilter(action=action, object_type=object_type, object_id=object_id)
    page = await identity.audit.page(ALL, wanted, PageRequest(page_size=200))
    return list(reversed(page.items))


async def test_sign_in_and_out_are_written_with_where_from(http: Client, identity: Identity, alice: UserView) -> None:
    await http.post("/api/login", json={"username": "alice", "password": "wrong password"})
    await http.post("/api/login", json={"username": "ghost", "password": "wrong password"})
    header = await bearer(http, alice.username)
    await http.post("/api/logout", headers=header)
    opened = await entries(identity, action="session.open")
    assert [(entry.result, entry.reason, entry.actor_name) for entry in opened] == [
        ("refused", "wrong_password", "alice"),
        ("refused", "unknown_user", "ghost"),
        ("ok", None, "alice"),
    ]
    assert {entry.address for entry in opened} == {"10.1.2.3"}
    assert {entry.request_id for entry in opened} == {"req-1"}
    [closed] = await entries(identity, action="session.close")
    assert (closed.actor_id, closed.actor_kind) == (alice.id, "user")


async def test_waiting_out_the_limit_is_written_folded(http: Client, identity: Identity, alice: UserView) -> None:
    for _ in range(14):
        await http.post("/api/login", json={"username": alice.username, "password": "wrong password"})
    assert len(await entries(identity, action="session.open", object_type="user")) == 10
    await identity.flush()
    folded = await entries(identity, action="session.open", object_type="credential")
    assert sum(entry.count for entry in folded) == 4
    assert {entry.reason for entry in folded} == {"too_many_attempts"}


async def test_keys_and_users_leave_before_and_after(http: Client, identity: Identity, root: UserView) -> None:
    header = await bearer(http, root.username)
    made = (await http.post("/api/v1/keys", headers=header, json={"name": "k"})).json()
    await http.patch(f"/api/v1/keys/{made['id']}", headers=header, json={"name": "renamed"})
    await http.post(f"/api/v1/keys/{made['id']}/revoke", headers=header)
    await http.delete(f"/api/v1/keys/{made['id']}", headers=header)
    written = await entries(identity, object_type="key", object_id=made["id"])
    assert [entry.action for entry in written] == ["key.create", "key.change", "key.revoke", "key.delete"]
    assert (written[1].details["before"]["name"], written[1].details["after"]["name"]) == ("k", "renamed")
    assert made["key"] not in str(written)

    eve = await add(identity, "eve")
    await http.patch(f"/api/v1/admin/users/{eve.id}", headers=header, json={"role": "admin"})
    await http.patch(f"/api/v1/admin/users/{eve.id}", headers=header, json={"role": "admin"})
    [changed] = await entries(identity, action="user.change")
    assert changed.details == {"before": {"is_admin": False}, "after": {"is_admin": True}}
    assert changed.actor_name == "root"


async def test_a_deleted_user_leaves_no_name_behind(http: Client, identity: Identity, root: UserView) -> None:
    await identity.users.register("evelyn", PASSWORD, "evelyn@example.com")
    await bearer(http, "evelyn")
    header = await bearer(http, root.username)
    [evelyn] = (await http.get("/api/admin/users?q=evelyn", headers=header)).json()["data"]["items"]
    gone = await http.delete(f"/api/admin/users/{evelyn['id']}", headers=header)
    assert gone.json() == {"code": 200, "message": "用户已删除", "data": None}
    everything = (await http.get("/api/v1/admin/audit?page_size=200", headers=header)).text
    assert "evelyn" not in everything
    hers = await entries(identity, action="user.create", object_id=str(evelyn["id"]))
    assert [entry.actor_id for entry in hers] == [evelyn["id"]]
    [deleted] = await entries(identity, action="user.delete")
    assert (deleted.actor_name, deleted.object_id) == ("root", str(evelyn["id"]))
    missing = await http.delete(f"/api/admin/users/{evelyn['id']}", headers=header)
    assert (missing.status_code, missing.json()["code"]) == (404, 1002)


async def test_refused_credentials_are_folded_by_key_and_minute(identity: Identity) -> None:
    for _ in range(5):
        caller(identity, "sk-tm-" + "0" * 36)
    await identity.flush()
    folded = await entries(identity, action="credential.use")
    assert sum(entry.count for entry in folded) == 5
    assert {(entry.result, entry.reason, entry.object_id) for entry in folded} == {
        ("refused", "malformed", "sk-tm-0000…0000")
    }


async def test_the_log_is_read_with_filters_over_http(http: Client, root: UserView) -> None:
    header = await bearer(http, root.username)
    answer = await http.get("/api/v1/admin/audit?action=session.open&page_size=1", headers=header)
    assert answer.status_code == 200
    [entry] = answer.json()["items"]
    assert (entry["action"], entry["actor_name"], entry["erased"]) == ("session.open", "root", False)
    narrowed = await http.get("/api/v1/admin/audit?since=2999-01-01T00:00:00", headers=header)
    assert narrowed.json()["items"] == []
    for query, field in (
        ("actor_id=0", "actor_id"),
        ("result=maybe", "result"),
        ("since=yesterday", "since"),
        ("page_size=900", "page_size"),
        ("cursor=x", "cursor"),
        ("action=%00", "action"),
    ):
        refused = await http.get(f"/api/v1/admin/audit?{query}", headers=header)
        assert refused.status_code == 400, query
        assert refused.json()["errors"][0]["field"] == field, refused.text
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert (await http.request(method, "/api/v1/admin/audit", headers=header)).status_code == 405
