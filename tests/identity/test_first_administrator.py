import asyncio
import re
import stat
from pathlib import Path

import bcrypt
import pytest

from tests.identity.conftest import ALL, PASSWORD, Builder, add, session
from tidemill.identity.admin_service import UserChange
from tidemill.identity.errors import FirstAdministratorImpossible
from tidemill.identity.facade import Identity, UserSearch
from tidemill.kernel.pages import PageRequest
from tidemill.platform.settings.groups.admin import AdminSettings

FILE = "initial-admin-password"


async def administrators(identity: Identity) -> list[str]:
    page = await identity.administration.page(ALL, UserSearch(is_admin=True), PageRequest())
    return [user.username for user in page.items]


async def test_prints_a_random_password_once_and_keeps_it_for_the_owner(identity: Identity, tmp_path: Path) -> None:
    said: list[str] = []
    assert await identity.ensure_first_administrator(AdminSettings(), said.append)
    [line] = said
    printed = re.fullmatch(r"administrator: admin password: (\S{20})", line)
    assert printed is not None
    path = tmp_path / FILE
    assert path.read_text() == printed[1] + "\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (await session(identity, "admin", printed[1])).may_administer

    assert not await identity.ensure_first_administrator(AdminSettings(), said.append)
    assert len(said) == 1
    assert await administrators(identity) == ["admin"]


async def test_the_file_goes_with_the_first_password_change(identity: Identity, tmp_path: Path) -> None:
    said: list[str] = []
    await identity.ensure_first_administrator(AdminSettings(), said.append)
    password = (tmp_path / FILE).read_text().strip()
    other = await add(identity, "other")
    await identity.administration.set_password(ALL, other.id, "somebody else 1", None)
    assert (tmp_path / FILE).exists()
    await identity.users.change_password(await session(identity, "admin", password), password, "my own words 1")
    assert not (tmp_path / FILE).exists()


async def test_a_configured_plain_password_is_neither_printed_nor_written(identity: Identity, tmp_path: Path) -> None:
    said: list[str] = []
    assert await identity.ensure_first_administrator(AdminSettings(username="boss", password="admin123"), said.append)
    assert said == []
    assert not (tmp_path / FILE).exists()
    assert (await session(identity, "boss", "admin123")).may_administer


async def test_a_configured_hash_is_taken_as_it_is(identity: Identity) -> None:
    stored = bcrypt.hashpw(b"admin123", bcrypt.gensalt(4, prefix=b"2a")).decode()
    await identity.ensure_first_administrator(AdminSettings(password=stored), lambda _: None)
    assert (await session(identity, "admin", "admin123")).may_administer


async def test_configured_values_do_nothing_while_there_is_an_administrator(identity: Identity) -> None:
    boss = await add(identity, "boss", is_admin=True)
    second = await add(identity, "second", is_admin=True)
    await identity.administration.change(ALL, second.id, UserChange(is_active=False), None)
    assert not await identity.ensure_first_administrator(AdminSettings(password="admin123"), lambda _: None)
    assert await administrators(identity) == [boss.username, second.username]


@pytest.mark.parametrize(
    "settings",
    [
        AdminSettings(password="$2a$12$..."),
        AdminSettings(password="short"),
        AdminSettings(username="a b", password=PASSWORD),
        AdminSettings(username="taken", password=PASSWORD),
    ],
    ids=["cut hash", "short", "bad name", "taken name"],
)
async def test_an_impossible_administrator_stops_the_start_with_a_reason(
    identity: Identity, settings: AdminSettings
) -> None:
    await add(identity, "taken")
    with pytest.raises(FirstAdministratorImpossible) as refused:
        await identity.ensure_first_administrator(settings, lambda _: None)
    assert "admin." in refused.value.message("en")
    assert await administrators(identity) == []


async def test_processes_that_start_at_once_make_one_administrator(build: Builder, tmp_path: Path) -> None:
    said: list[str] = []
    processes = [build() for _ in range(4)]
    made = await asyncio.gather(
        *(process.ensure_first_administrator(AdminSettings(), said.append) for process in processes)
    )
    assert sorted(made) == [False, False, False, True]
    assert len(said) == 1
    assert (await session(processes[0], "admin", (tmp_path / FILE).read_text().strip())).may_administer
