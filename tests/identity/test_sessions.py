"""Hash renewal, equal work, revocation across processes, the month's usage."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime

import bcrypt
import pytest
from sqlalchemy import func, insert, select, update

from tests.identity.conftest import ALL, PASSWORD, Builder, add, caller, session
from tidemill.audit.tables import audit_log
from tidemill.identity import passwords, repository_snapshot
from tidemill.identity.contracts import UserView
from tidemill.identity.errors import PasswordWrong, SessionNeeded, SignInRefused, TooManyAttempts, UserExists
from tidemill.identity.facade import AuthFailure, Identity, KeyWish, Neighbours
from tidemill.identity.key_format import new_key
from tidemill.identity.ports import UsageSums
from tidemill.identity.tables import api_keys, revoked_sessions, users
from tidemill.kernel import clock
from tidemill.kernel.actor import Actor, Scope, SystemScope, UserScope
from tidemill.platform.db import Database, Reader
from tidemill.platform.settings.groups.auth import AuthSettings
from tidemill.platform.tasks import TaskOwner

# "ALICE" in the full-width letters of East Asian keyboards: another text, the same name.
FULL_WIDTH = "\uff21\uff2c\uff29\uff23\uff25"


async def stored_hash(database: Database, user_id: int) -> str:
    async with database.read() as r:
        return await r.scalar(select(users.c.password_hash).where(users.c.id == user_id))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


async def test_a_bcrypt_hash_is_renewed_at_the_next_sign_in(
    identity: Identity, database: Database, alice: UserView
) -> None:
    earlier = bcrypt.hashpw(b"admin123", bcrypt.gensalt(4, prefix=b"2a")).decode()
    async with database.write() as w:
        await w.run(update(users).where(users.c.id == alice.id).values(password_hash=earlier))
    await session(identity, "alice", "admin123")
    renewed = await stored_hash(database, alice.id)
    assert renewed.startswith("$argon2id$")
    await session(identity, "alice", "admin123")
    assert await stored_hash(database, alice.id) == renewed


async def test_under_bcrypt_hashes_stay_bcrypt(build: Builder, database: Database) -> None:
    identity = build(AuthSettings(password_hash="bcrypt"))
    alice = await add(identity, "alice")
    before = await stored_hash(database, alice.id)
    assert before.startswith("$2b$12$")
    await session(identity, "alice")
    assert await stored_hash(database, alice.id) == before


async def test_an_unknown_user_costs_the_same_check_as_a_known_one(
    identity: Identity, alice: UserView, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[str] = []
    real = passwords._check  # pyright: ignore[reportPrivateUsage]

    def counting(stored: str, password: str) -> bool:
        checked.append(stored[:20])
        return real(stored, password)

    monkeypatch.setattr(passwords, "_check", counting)
    for name in ("nobody", alice.username):
        with pytest.raises(SignInRefused):
            await identity.users.sign_in(name, "wrong password")
    assert len(checked) == 2
    # The same algorithm with the same parameters.
    assert checked[0] == checked[1]


async def test_signing_out_reaches_every_process_by_notice(build: Builder, identity: Identity) -> None:
    await add(identity, "alice")
    opened = await identity.users.sign_in("alice", PASSWORD)
    actor = caller(identity, opened.token)
    assert isinstance(actor, Actor)
    elsewhere, tasks = build(), TaskOwner()
    await elsewhere.start(tasks)
    assert isinstance(caller(elsewhere, opened.token), Actor)
    await identity.users.sign_out(actor)
    assert isinstance(caller(identity, opened.token), AuthFailure)
    await until(lambda: isinstance(caller(elsewhere, opened.token), AuthFailure))
    await until(lambda: elsewhere.snapshots.is_fresh)
    await tasks.cancel()


async def test_a_key_made_elsewhere_is_known_by_notice(build: Builder, identity: Identity) -> None:
    alice = await add(identity, "alice")
    elsewhere, tasks = build(), TaskOwner()
    await elsewhere.start(tasks)
    made = await identity.keys.create(ALL, alice.id, KeyWish(name="k"), None)
    await until(lambda: isinstance(caller(elsewhere, made.secret), Actor))
    await until(lambda: elsewhere.snapshots.is_fresh)
    await tasks.cancel()


async def test_many_keys_are_known_too(identity: Identity, database: Database, alice: UserView) -> None:
    made = await identity.keys.create(ALL, alice.id, KeyWish(name="k"), None)
    row = {
        "user_id": alice.id,
        "name": "filler",
        "type": "inference",
        "prefix": "sk-tm-0000",
        "last4": "0000",
        "scopes": ["relay"],
        "tags": [],
        "status": "active",
        "created_at": clock.now(),
        "updated_at": clock.now(),
    }
    async with database.write() as w:
        await w.run(insert(api_keys), [row | {"id": f"f{number}", "key_hash": f"h{number}"} for number in range(500)])
    await identity.load()
    assert len(identity.snapshots.current.keys) == 501
    assert isinstance(caller(identity, made.secret), Actor)


def asks(identity: Identity, credential: str) -> Awaitable[Actor | AuthFailure]:
    return identity.identify([(b"authorization", credential.encode())], b"", "192.0.2.1")


async def test_a_key_made_elsewhere_works_at_once_before_any_notice(build: Builder, identity: Identity) -> None:
    elsewhere = build()
    await elsewhere.load()
    alice = await add(identity, "alice")
    made = await identity.keys.create(ALL, alice.id, KeyWish(name="k"), None)
    assert isinstance(caller(elsewhere, made.secret), AuthFailure)
    assert isinstance(await asks(elsewhere, made.secret), Actor)
    assert isinstance(caller(elsewhere, made.secret), Actor)


async def test_a_user_made_elsewhere_signs_in_here_at_once(build: Builder, identity: Identity) -> None:
    elsewhere = build()
    await elsewhere.load()
    await add(identity, "alice")
    assert isinstance(caller(elsewhere, (await elsewhere.users.sign_in("alice", PASSWORD)).token), Actor)


async def test_a_session_from_elsewhere_works_here_at_once(build: Builder, identity: Identity) -> None:
    alice = await add(identity, "alice")
    elsewhere = build()
    await elsewhere.load()
    await identity.administration.set_password(ALL, alice.id, "another one 7", None)
    opened = await identity.users.sign_in("alice", "another one 7")
    assert isinstance(await asks(elsewhere, opened.token), Actor)


async def test_a_flood_of_invented_keys_asks_the_database_a_bounded_number_of_times(
    identity: Identity, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0
    real = repository_snapshot.knows_key

    async def counting(r: Reader, scope: SystemScope, digests: Sequence[str]) -> bool:
        nonlocal looks
        looks += 1
        return await real(r, scope, digests)

    monkeypatch.setattr(repository_snapshot, "knows_key", counting)
    frozen = clock.monotonic()
    monkeypatch.setattr(clock, "monotonic", lambda: frozen)
    keys = [new_key() for _ in range(60)]
    outcomes = [await asks(identity, key) for key in keys]
    assert not any(isinstance(outcome, Actor) for outcome in outcomes)
    assert looks == 20
    await identity.flush()
    async with database.read() as r:
        counted = await r.scalar(select(func.sum(audit_log.c.count)).where(audit_log.c.reason == "unknown_key"))
    assert counted == 60


async def test_without_a_database_the_first_answer_stands(identity: Identity, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(r: Reader, scope: SystemScope, digests: Sequence[str]) -> bool:
        del r, scope, digests
        raise OSError("away")

    monkeypatch.setattr(repository_snapshot, "knows_key", away)
    assert isinstance(await asks(identity, new_key()), AuthFailure)


async def test_sessions_taken_back_are_forgotten_once_they_would_have_ended(
    identity: Identity, database: Database
) -> None:
    await add(identity, "alice")
    await identity.users.sign_out(await session(identity, "alice"))
    with clock.shifted(43_200 * 60 + 10):
        await identity.users.sign_out(await session(identity, "alice"))
        async with database.read() as r:
            assert len(await r.all(select(revoked_sessions.c.jti))) == 1


async def test_a_key_can_neither_sign_out_nor_refresh_nor_change_the_password(
    identity: Identity, alice: UserView
) -> None:
    made = await identity.keys.create(ALL, alice.id, KeyWish(name="k"), None)
    actor = caller(identity, made.secret)
    assert isinstance(actor, Actor)
    with pytest.raises(SessionNeeded):
        await identity.users.sign_out(actor)
    with pytest.raises(SessionNeeded):
        await identity.users.refresh(actor)
    with pytest.raises(SessionNeeded):
        await identity.users.change_password(actor, PASSWORD, "brand new 1")


async def test_guessing_the_current_password_counts_as_failed_sign_ins(identity: Identity, alice: UserView) -> None:
    actor = await session(identity, alice.username)
    for _ in range(10):
        with pytest.raises(PasswordWrong):
            await identity.users.change_password(actor, "guess guess", "brand new 1")
    with pytest.raises(TooManyAttempts):
        await identity.users.change_password(actor, PASSWORD, "brand new 1")


async def test_two_registrations_of_one_name_make_one_user(identity: Identity) -> None:
    outcomes = await asyncio.gather(
        *(identity.users.register(name, PASSWORD, None) for name in ("alice", "Alice", "ALICE", FULL_WIDTH)),
        return_exceptions=True,
    )
    assert len([made for made in outcomes if isinstance(made, UserView)]) == 1
    assert len([refused for refused in outcomes if isinstance(refused, UserExists)]) == 3


class Month:
    def __init__(self) -> None:
        self.asked: list[tuple[Scope, datetime]] = []

    async def usage_since(self, scope: Scope, since: datetime) -> UsageSums:
        self.asked.append((scope, since))
        return UsageSums(requests=3, request_tokens=10, response_tokens=5, total_tokens=15)


async def test_the_profile_counts_one_s_own_usage_since_the_month_began(build: Builder) -> None:
    month = Month()
    identity = build(neighbours=Neighbours(usage=month))
    await add(identity, "alice")
    actor = await session(identity, "alice")
    assert await identity.users.usage_of_month(actor) == UsageSums(3, 10, 5, 15)
    [(scope, since)] = month.asked
    assert scope == UserScope(actor.user_id)
    now = datetime.now(UTC)
    assert (since.year, since.month, since.day, since.hour, since.minute) == (now.year, now.month, 1, 0, 0)
