"""The backends that tests run on are real, fresh for each test, and apart from each other."""

from collections.abc import AsyncIterator

from playwright.async_api import Page
from sqlalchemy import text

from tests.fixtures.ports import free_range
from tidemill.platform.blobs import open_blobs
from tidemill.platform.db import Database
from tidemill.platform.db.migrate import head
from tidemill.platform.settings.groups.storage import ObjectSettings


async def test_a_database_stands_at_the_newest_revision(database: Database) -> None:
    async with database.read() as r:
        assert await r.scalar(text("SELECT version_num FROM alembic_version")) == head()


async def test_every_engine_has_the_schema_and_no_rows(any_database: Database) -> None:
    async with any_database.read() as r:
        assert await r.scalar(text("SELECT count(*) FROM users")) == 0


async def test_what_a_test_writes_is_gone_in_the_next(any_database: Database) -> None:
    async with any_database.read() as r:
        assert await r.scalar(text("SELECT count(*) FROM change_seq WHERE topic = 'left-over'")) == 0
    async with any_database.write() as w:
        await w.run(text("INSERT INTO change_seq (topic, seq) VALUES ('left-over', 1)"))


# The same again: whichever of the two runs second would see what the first has written.
test_what_a_test_writes_is_gone_in_the_next_again = test_what_a_test_writes_is_gone_in_the_next


async def test_s3_keeps_what_is_put(s3_settings: ObjectSettings) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"tide"
        yield b"mill"

    assert s3_settings.url is not None
    blobs = open_blobs(s3_settings.url, s3_settings)
    await blobs.put("a/b", chunks(), max_bytes=100)
    assert await blobs.read("a/b") == b"tidemill"


async def test_the_browser_clicks(page: Page) -> None:
    await page.set_content("<button onclick=\"document.title = 'clicked'\">磨</button>")
    await page.get_by_role("button", name="磨").click()
    assert await page.title() == "clicked"


def test_port_ranges_are_neighbours_and_not_the_products_own() -> None:
    first, last = free_range(5)
    assert last - first == 4
    assert not {first, last} & set(range(8080, 8086))
