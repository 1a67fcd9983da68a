"""Administration of users, over HTTP and in the service."""

import pytest

from tests.identity.conftest import ALL, PASSWORD, Builder, Client, add, bearer, caller, session
from tidemill.identity.admin_service import UserChange
from tidemill.identity.contracts import UserView
from tidemill.identity.errors import RegistrationClosed
from tidemill.identity.facade import AuthFailure, Identity, KeyWish, Neighbours, UserSearch
from tidemill.kernel.actor import Actor, Scope
from tidemill.kernel.pages import PageRequest
from tidemill.platform.db import Writer
from tidemill.platform.settings.groups.auth import AuthSettings


async def test_lists_users_by_page_by_cursor_and_by_search(http: Client, identity: Identity, root: UserView) -> None:
    for number in range(4):
        await add(identity, f"Worker{number}")
    header = await bearer(http, root.username)
    first = (await http.get("/api/admin/users?page_size=2", headers=header)).json()["data"]
    assert [user["username"] for user in first["items"]] == ["root", "Worker0"]
    assert (first["total"], first["page"], first["page_size"]) == (5, 1, 2)
    by_number = (await http.get("/api/admin/users?page_size=2&page=2", headers=header)).json()["data"]
    by_cursor = (await http.get(f"/api/admin/users?page_size=2&cursor={first['next']}", headers=header)).json()["data"]
    assert by_number["items"] == by_cursor["items"]
    assert [user["username"] for user in by_number["items"]] == ["Worker1", "Worker2"]
    found = (await http.get("/api/admin/users?q=wORKER3", headers=header)).json()["data"]
    assert [user["username"] for user in found["items"]] == ["Worker3"]
    assert found["next"] is None
    nothing = (await http.get("/api/admin/users?q=%25", headers=header)).json()["data"]
    assert nothing["items"] == []
    for bad in ("cursor=nonsense", "page=0", "page_size=0", "page=x", "cursor=WyJ4Il0"):
        answer = await http.get(f"/api/admin/users?{bad}", headers=header)
        assert answer.status_code == 400, bad
        assert answer.json()["errors"][0]["field"] == bad.split("=")[0]


async def test_only_administrators_administer(
    http: Client, identity: Identity, root: UserView, alice: UserView
) -> None:
    ordinary = await bearer(http, alice.username)
    admin_key = await identity.keys.create(ALL, root.id, KeyWish(name="k", scopes=["admin"]), None)
    plain_key = await identity.keys.create(ALL, root.id, KeyWish(name="k"), None)
    wants = [("GET", "/api/admin/users"), ("DELETE", f"/api/admin/users/{alice.id}"), ("GET", "/api/v1/admin/audit")]
    for method, path in wants:
        assert (await http.request(method, path)).status_code == 401
        refused = await http.request(method, path, headers=ordinary)
        assert refused.status_code == 403
        by_plain_key = await http.request(method, path, headers={"x-api-key": plain_key.secret})
        assert by_plain_key.status_code == 403
    assert (await http.get("/api/admin/users", headers={"x-api-key": admin_key.secret})).status_code == 200


async def test_disabling_a_user_ends_sessions_and_keys_everywhere(build: Builder, identity: Identity) -> None:
    alice = await add(identity, "alice")
    opened = await identity.users.sign_in("alice", PASSWORD)
    key = await identity.keys.create(ALL, alice.id, KeyWish(name="k"), None)
    elsewhere = build()
    await elsewhere.load()
    assert isinstance(caller(elsewhere, opened.token), Actor)
    await identity.administration.change(ALL, alice.id, UserChange(is_active=False), None)
    await elsewhere.load()
    for process in (identity, elsewhere):
        assert isinstance(caller(process, opened.token), AuthFailure)
        assert isinstance(caller(process, key.secret), AuthFailure)
    await identity.administration.change(ALL, alice.id, UserChange(is_active=True), None)
    assert isinstance(caller(identity, key.secret), Actor)
    assert isinstance(caller(identity, opened.token), AuthFailure)


async def test_patches_role_group_and_state(http: Client, root: UserView, alice: UserView) -> None:
    header = await bearer(http, root.username)
    path = f"/api/v1/admin/users/{alice.id}"
    changed = await http.patch(path, headers=header, json={"role": "admin", "group": "vip"})
    assert changed.status_code == 200
    assert (changed.json()["role"], changed.json()["group"], changed.json()["is_admin"]) == ("admin", "vip", True)
    for body, field in (
        [{"role": "king"}, "role"],
        [{"group": " "}, "group"],
        [{"group": "g" * 51}, "group"],
        [{"colour": "red"}, "colour"],
    ):
        answer = await http.patch(path, headers=header, json=body)
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["field"] == field
    for missing in (999_999, 2**40, 2**70):
        answer = await http.patch(f"/api/v1/admin/users/{missing}", headers=header, json={"group": "x"})
        assert (answer.status_code, answer.json()["type"]) == (404, "urn:tidemill:user_not_found")


async def test_the_last_administrator_stays(http: Client, identity: Identity, root: UserView) -> None:
    header = await bearer(http, root.username)
    for body in ({"role": "user"}, {"is_active": False}):
        answer = await http.patch(f"/api/v1/admin/users/{root.id}", headers=header, json=body)
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:tidemill:last_administrator")
    answer = await http.delete(f"/api/admin/users/{root.id}", headers=header)
    assert (answer.status_code, answer.json()["code"]) == (409, 409)

    second = await add(identity, "second", is_admin=True)
    await identity.administration.change(ALL, second.id, UserChange(is_active=False), None)
    assert (await http.delete(f"/api/admin/users/{root.id}", headers=header)).status_code == 409
    await identity.administration.change(ALL, second.id, UserChange(is_active=True), None)
    assert (await http.delete(f"/api/admin/users/{root.id}", headers=header)).status_code == 200
    assert (await http.get("/api/me", headers=header)).status_code == 401


class Eraser:
    """Another context's part of an account."""

    def __init__(self, *, breaks: bool = False) -> None:
        self.erased: list[int] = []
        self._breaks = breaks

    async def erase(self, w: Writer, scope: Scope, user_id: int) -> None:
        del w, scope
        if self._breaks:
            raise RuntimeError("the files would not go")
        self.erased.append(user_id)


async def test_deleting_a_user_takes_everything_or_nothing(build: Builder) -> None:
    eraser, broken = Eraser(), Eraser(breaks=True)
    identity = build(neighbours=Neighbours(erasers=[eraser]))
    failing = build(neighbours=Neighbours(erasers=[eraser, broken]))
    alice = await add(identity, "alice")
    key = await identity.keys.create(ALL, alice.id, KeyWish(name="k"), None)
    with pytest.raises(RuntimeError, match="would not go"):
        await failing.administration.delete(ALL, alice.id, None)
    await identity.load()
    assert isinstance(caller(identity, key.secret), Actor)
    assert (await identity.administration.get(ALL, alice.id)).username == "alice"

    await identity.administration.delete(ALL, alice.id, None)
    assert eraser.erased == [alice.id, alice.id]
    assert isinstance(caller(identity, key.secret), AuthFailure)
    page = await identity.administration.page(ALL, UserSearch("alice"), PageRequest())
    assert page.items == []


async def test_a_deleted_user_s_id_and_token_are_never_somebody_else_s(identity: Identity) -> None:
    alice = await add(identity, "alice")
    opened = await identity.users.sign_in("alice", PASSWORD)
    await identity.administration.delete(ALL, alice.id, None)
    again = await add(identity, "alice")
    assert again.id != alice.id
    assert isinstance(caller(identity, opened.token), AuthFailure)


class Opener:
    def __init__(self) -> None:
        self.opened: list[int] = []

    async def open_account(self, w: Writer, scope: Scope, user_id: int) -> None:
        del w, scope
        self.opened.append(user_id)


async def test_other_contexts_open_their_part_of_a_new_account(build: Builder) -> None:
    opener = Opener()
    identity = build(neighbours=Neighbours(openers=[opener]))
    alice = await add(identity, "alice")
    assert opener.opened == [alice.id]


async def test_a_password_set_by_an_administrator_ends_sessions(identity: Identity, alice: UserView) -> None:
    mine = await identity.users.sign_in("alice", PASSWORD)
    await identity.administration.set_password(ALL, alice.id, "another one 7", None)
    assert isinstance(caller(identity, mine.token), AuthFailure)
    assert (await session(identity, "alice", "another one 7")).user_id == alice.id


async def test_a_reset_token_sets_the_password_once(http: Client, identity: Identity, alice: UserView) -> None:
    token = await identity.administration.reset_token(ALL, alice.id, None)
    weak = await http.post("/api/v1/auth/reset", json={"token": token, "password": "short"})
    assert weak.status_code == 400
    done = await http.post("/api/v1/auth/reset", json={"token": token, "password": "quite new 22"})
    assert done.status_code == 204
    again = await http.post("/api/v1/auth/reset", json={"token": token, "password": "quite new 33"})
    assert (again.status_code, again.json()["type"]) == (400, "urn:tidemill:reset_token_invalid")
    assert (await session(identity, "alice", "quite new 22")).user_id == alice.id


class Post:
    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []

    def send_reset(self, email: str, token: str) -> None:
        self.sent.append((email, token))


async def test_asking_for_a_reset_answers_alike_and_mails_only_the_owner(build: Builder) -> None:
    post = Post()
    identity = build(neighbours=Neighbours(mailer=post))
    await identity.users.register("alice", PASSWORD, "Alice@Example.com")
    await identity.users.ask_reset("nobody@example.com")
    assert post.sent == []
    await identity.users.ask_reset(" alice@example.com ")
    [(address, token)] = post.sent
    assert address == "alice@example.com"
    await identity.users.reset_password(token, "quite new 22")
    assert (await session(identity, "alice", "quite new 22")).username == "alice"
    for _ in range(20):
        await identity.users.ask_reset("alice@example.com")
    assert len(post.sent) == 10


async def test_forgot_always_answers_202(http: Client, alice: UserView) -> None:
    assert alice.email is None
    answers = [await http.post("/api/v1/auth/forgot", json={"email": email}) for email in ("a@b.cc", "", "x\x00y")]
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.content for answer in answers}) == 1


async def test_registration_can_be_closed(build: Builder) -> None:
    identity = build(AuthSettings(open_registration=False))
    with pytest.raises(RegistrationClosed):
        await identity.users.register("alice", PASSWORD)
    assert (await add(identity, "alice")).username == "alice"
