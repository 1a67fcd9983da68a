import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.identity.snapshot import KnownUser, Snapshot, SnapshotKeeper
from tidemill.platform.tasks import TaskOwner


def numbered(number: int) -> Snapshot:
    user = KnownUser(number, "u", is_active=True, is_admin=False, group="default", epoch=0)
    return Snapshot({number: user}, {}, frozenset(), {})


class Source:
    """A database in small: ``version`` is what a load that begins now will see."""

    def __init__(self) -> None:
        self.version = 0
        self.loads = 0
        self.failures = 0

    async def load(self) -> Snapshot:
        seen = self.version
        self.loads += 1
        await asyncio.sleep(0)
        if self.failures > 0:
            self.failures -= 1
            raise OSError("away")
        await asyncio.sleep(0)
        return numbered(seen)


@given(st.lists(st.integers(min_value=0, max_value=5), min_size=1, max_size=30))
def test_after_a_refresh_everything_committed_before_it_is_seen(steps: list[int]) -> None:
    async def story() -> None:
        source = Source()
        keeper = SnapshotKeeper(source.load)

        async def writer(pause: int) -> None:
            for _ in range(pause):
                await asyncio.sleep(0)
            source.version += 1
            mine = source.version
            await keeper.refresh()
            assert max(keeper.current.users) >= mine

        await asyncio.gather(*(writer(pause) for pause in steps))
        assert max(keeper.current.users) == len(steps)
        assert source.loads <= len(steps)

    asyncio.run(story())


async def test_many_who_wait_share_one_load() -> None:
    source = Source()
    keeper = SnapshotKeeper(source.load)
    await asyncio.gather(*(keeper.refresh() for _ in range(50)))
    assert source.loads <= 2


async def test_a_snapshot_taken_before_a_swap_stays_as_it_was() -> None:
    source = Source()
    keeper = SnapshotKeeper(source.load)
    await keeper.refresh()
    before = keeper.current
    source.version = 7
    await keeper.refresh()
    assert set(before.users) == {0}
    assert set(keeper.current.users) == {7}


async def test_nobody_is_known_before_the_first_load() -> None:
    assert SnapshotKeeper(Source().load).current == Snapshot.empty()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0)


async def test_a_failed_load_keeps_the_old_snapshot_and_is_tried_again() -> None:
    source, tasks = Source(), TaskOwner()
    keeper = SnapshotKeeper(source.load)
    await keeper.refresh()
    source.version, source.failures = 3, 2
    errors: list[Exception] = []
    tasks.spawn("follow", keeper.follow(errors.append, pause_s=0))
    keeper.mark_stale()
    await until(lambda: 3 in keeper.current.users)
    assert len(errors) == 2
    await tasks.cancel()


async def test_a_failed_refresh_is_told_to_its_caller() -> None:
    source = Source()
    source.failures = 1
    keeper = SnapshotKeeper(source.load)
    with pytest.raises(OSError, match="away"):
        await keeper.refresh()
    await keeper.refresh()
    assert 0 in keeper.current.users
