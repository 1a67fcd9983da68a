"""Whatever comes and goes at whatever pace: nobody is told the same twice running, and all know the end."""

import asyncio
from pathlib import Path
from typing import Literal

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fixtures.databases import opened_in_memory
from tests.operations.alerts.conftest import Office, Postbox
from tidemill.kernel import clock
from tidemill.operations.alerts.service import HOLD

Step = tuple[Literal["raise", "recover"], int, bool]
# What happens, how many seconds later, and whether the jobs that are due are run then.
STEPS = st.lists(
    st.tuples(st.sampled_from(["raise", "recover"]), st.sampled_from([0, 10, 100, 290, 310, 1000]), st.booleans()),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(steps=STEPS)
def test_what_is_told_alternates_and_ends_with_the_truth(migrated_sqlite: Path, steps: list[Step]) -> None:
    asyncio.run(play(migrated_sqlite, steps))


async def play(template: Path, steps: list[Step]) -> None:
    db = await opened_in_memory(template)
    try:
        hook = Postbox()
        office = Office(db, {"webhook": hook})
        at_s = 0
        for what, later_s, works in steps:
            at_s += later_s
            with clock.shifted(at_s):
                await (office.raise_() if what == "raise" else office.recover())
                if works:
                    await office.work()
        for _ in range(2):
            at_s += int(HOLD.total_seconds()) + 1
            with clock.shifted(at_s):
                await office.work()
        for alert in await office.all():
            told = [message.event for message in hook.messages if message.alert.id == alert.id]
            assert told == ["raised", "recovered"] * (len(told) // 2) + ["raised"] * (len(told) % 2)
            is_open = alert.recovered_at is None
            assert (told[-1:] == ["raised"]) == is_open
        assert sum(alert.recovered_at is None for alert in await office.all()) <= 1
    finally:
        await db.close()
