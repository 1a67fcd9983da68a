"""A second user meets 404 at every object of the first; the scope is part of every query."""

import inspect
from types import ModuleType

import pytest

from tests.identity.conftest import ALL, Client, add, bearer
from tidemill.audit import repository as audit_repository
from tidemill.audit.contracts import AuditFilter
from tidemill.identity import repository, repository_keys
from tidemill.identity.contracts import UserView
from tidemill.identity.errors import KeyNotFound
from tidemill.identity.facade import Identity, KeySearch, KeyWish, UserSearch
from tidemill.identity.key_service import KeyChange
from tidemill.kernel import clock
from tidemill.kernel.actor import UserScope
from tidemill.kernel.pages import PageRequest
from tidemill.platform.db import Database


@pytest.mark.parametrize("module", [repository, repository_keys, audit_repository], ids=lambda m: m.__name__)
def test_every_repository_function_takes_the_scope_right_after_the_connection(module: ModuleType) -> None:
    functions = [
        function
        for name, function in inspect.getmembers(module, inspect.iscoroutinefunction)
        if not name.startswith("_") and function.__module__ == module.__name__
    ]
    assert functions
    wrong = [
        function.__name__
        for function in functions
        # Writing an audit entry is the one thing that looks nothing up and belongs to nobody.
        if list(inspect.signature(function).parameters)[1] != "scope" and function is not audit_repository.add
    ]
    assert wrong == []


async def test_another_user_s_key_is_not_there(http: Client, identity: Identity, alice: UserView) -> None:
    await add(identity, "mallory")
    made = await identity.keys.create(ALL, alice.id, KeyWish(name="k"), None)
    header = await bearer(http, "mallory")
    path = f"/api/v1/keys/{made.view.id}"
    answers = [
        await http.get(path, headers=header),
        await http.patch(path, headers=header, json={"name": "mine"}),
        await http.delete(path, headers=header),
        await http.post(f"{path}/revoke", headers=header),
    ]
    nothing_there = await http.get("/api/v1/keys/01900000-0000-7000-8000-000000000000", headers=header)
    for answer in answers:
        assert answer.status_code == 404
        assert {**answer.json(), "request_id": None} == {**nothing_there.json(), "request_id": None}
    assert (await http.get("/api/v1/keys", headers=header)).json()["items"] == []
    assert (await identity.keys.get(UserScope(alice.id), made.view.id)).status == "active"


async def test_an_administrator_s_own_keys_page_shows_only_their_own(
    http: Client, identity: Identity, alice: UserView, root: UserView
) -> None:
    made = await identity.keys.create(ALL, alice.id, KeyWish(name="k"), None)
    header = await bearer(http, root.username)
    assert (await http.get("/api/v1/keys", headers=header)).json()["items"] == []
    assert (await http.get(f"/api/v1/keys/{made.view.id}", headers=header)).status_code == 404


async def test_odd_key_ids_are_not_there(http: Client, alice: UserView) -> None:
    header = await bearer(http, alice.username)
    for key_id in ("x", "é", "0" * 500, "%00", "' OR 1=1 --"):
        assert (await http.get(f"/api/v1/keys/{key_id}", headers=header)).status_code == 404


async def test_services_refuse_a_foreign_scope(identity: Identity, alice: UserView) -> None:
    mallory = UserScope((await add(identity, "mallory")).id)
    made = await identity.keys.create(ALL, alice.id, KeyWish(name="k"), None)
    with pytest.raises(KeyNotFound):
        await identity.keys.get(mallory, made.view.id)
    with pytest.raises(KeyNotFound):
        await identity.keys.change(mallory, made.view.id, KeyChange(name="mine"), None)
    with pytest.raises(KeyNotFound):
        await identity.keys.revoke(mallory, made.view.id, None)
    with pytest.raises(KeyNotFound):
        await identity.keys.delete(mallory, made.view.id, None)
    assert (await identity.keys.page(mallory, KeySearch(user_id=alice.id), PageRequest())).items == []


async def test_repositories_filter_in_the_query_itself(identity: Identity, database: Database, alice: UserView) -> None:
    mallory = UserScope((await add(identity, "mallory")).id)
    made = await identity.keys.create(ALL, alice.id, KeyWish(name="k"), None)
    async with database.write() as w:
        assert await repository.by_id(w, mallory, alice.id) is None
        assert await repository.by_username_key(w, mallory, "alice") is None
        assert not await repository.change(w, mallory, alice.id, {"group": "stolen"})
        assert not await repository.remove(w, mallory, alice.id)
        assert [user.id for user in (await repository.page(w, mallory, UserSearch(), PageRequest())).items] == [
            mallory.user_id
        ]
        assert not await repository_keys.change(w, mallory, made.view.id, {"name": "stolen"})
        assert not await repository_keys.remove(w, mallory, made.view.id)
        assert await repository_keys.by_id(w, mallory, made.view.id, clock.now()) is None
        with pytest.raises(PermissionError):
            await repository_keys.add(w, mallory, {"user_id": alice.id})
    async with database.read() as r:
        mine = await audit_repository.page(r, mallory, AuditFilter(), PageRequest(page_size=200))
    assert {entry.actor_id for entry in mine.items} == {mallory.user_id}
