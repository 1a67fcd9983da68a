"""The wishes, as rows."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import delete, insert, select, update

from tidemill.kernel import clock
from tidemill.kernel.actor import SystemScope
from tidemill.localmodels.tables import local_model_wishes as wishes
from tidemill.platform.db import Reader, Row, Writer

_KEPT: Final = timedelta(days=1)
_MAX_OPEN: Final = 100


async def add(w: Writer, scope: SystemScope, place: str, name: str, wish: str) -> int:
    """Write a wish down and return its id; yesterday's are swept out."""
    del scope
    now = clock.now()
    await w.run(delete(wishes).where(wishes.c.asked_at < now - _KEPT))
    row = insert(wishes).values(place=place, name=name, wish=wish, asked_at=now).returning(wishes.c.id)
    return int(await w.scalar(row))


async def open_since(r: Reader, scope: SystemScope, place: str, since: datetime) -> Sequence[Row]:
    """Return wishes of ``place`` that nobody has taken up, oldest first."""
    del scope
    # Uses index: ix_local_model_wishes_place_id (place, id).
    return await r.all(
        select(wishes.c.id, wishes.c.name, wishes.c.wish)
        .where(wishes.c.place == place, wishes.c.done_at.is_(None), wishes.c.asked_at >= since)
        .order_by(wishes.c.id)
        .limit(_MAX_OPEN)
    )


async def settle(w: Writer, scope: SystemScope, wish_id: int, status: str, problem: Any) -> None:
    """Write down how a wish came out."""
    del scope
    await w.run(
        update(wishes)
        .where(wishes.c.id == wish_id, wishes.c.done_at.is_(None))
        .values(done_at=clock.now(), status=status, problem=problem)
    )


async def outcome(r: Reader, scope: SystemScope, wish_id: int) -> Row | None:
    """Return a wish's outcome, None while there is none."""
    del scope
    return await r.first(
        select(wishes.c.status, wishes.c.problem).where(wishes.c.id == wish_id, wishes.c.done_at.is_not(None))
    )
