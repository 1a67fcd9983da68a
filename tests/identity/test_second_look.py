"""What another process wrote a moment ago counts, whoever tells of it first: the database or the notice."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from tests.identity.conftest import ALL, PASSWORD, Builder, add
from tidemill.identity.facade import Identity, KeyWish
from tidemill.identity.second_look import SecondLook
from tidemill.kernel.actor import Actor
from tidemill.platform.db import Database, Reader


async def test_a_notice_that_comes_during_the_look_up_is_not_mistaken_for_no_news(
    build: Builder, identity: Identity, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = build()
    await late.load()
    owner = await add(identity, "olga")
    made = await identity.keys.create(ALL, owner.id, KeyWish(name="k", scopes=["relay"]), None)

    class NoticedMeanwhile:
        """The database, but by the time it is read the notice has been followed."""

        @asynccontextmanager
        async def _read(self) -> AsyncGenerator[Reader]:
            await late.snapshots.refresh()
            async with database.read() as r:
                yield r

        def read(self) -> AbstractAsyncContextManager[Reader]:
            return self._read()

    monkeypatch.setattr(late, "_second_look", SecondLook(NoticedMeanwhile(), late.snapshots))  # pyright: ignore[reportArgumentType]
    session = await identity.users.sign_in("olga", PASSWORD)
    for token in (made.secret, session.token):
        late.snapshots.current = build().snapshots.current
        found = await late.identify([(b"authorization", b"Bearer " + token.encode())], b"", None)
        assert isinstance(found, Actor), found
