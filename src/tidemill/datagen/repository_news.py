"""The SQL of news: tasks with what a watcher is told of them, never their plans or parameters."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import or_, select

from tidemill.datagen.repository import DELETED, LIVE
from tidemill.datagen.tables import tasks
from tidemill.kernel.actor import SystemScope
from tidemill.platform.db import Reader, Row

_COLUMNS = [column for column in tasks.c if column.name not in {"params", "result", "plan", "error_message"}]


async def live_or_after(r: Reader, scope: SystemScope, newest: int) -> Sequence[Row]:
    """Return the tasks that are live or whose row id is above ``newest``. Uses index: ix_tasks_status, the key."""
    del scope  # each row goes to its own user
    stmt = select(*_COLUMNS).where(or_(tasks.c.status.in_(LIVE), tasks.c.id > newest))
    return await r.all(stmt.order_by(tasks.c.id))


async def named(r: Reader, scope: SystemScope, names: Sequence[str]) -> Sequence[Row]:
    """Return these tasks, also hidden ones."""
    del scope  # as above
    return await r.all(select(*_COLUMNS).where(tasks.c.task_id.in_(names))) if names else ()


async def changed_since(r: Reader, scope: SystemScope, moment: datetime, limit: int) -> Sequence[Row]:
    """Return up to ``limit`` visible tasks that are live, or began or ended since a moment, the newest first."""
    del scope  # as above
    recent = or_(tasks.c.status.in_(LIVE), tasks.c.finished_at >= moment, tasks.c.started_at >= moment)
    stmt = select(*_COLUMNS).where(recent, tasks.c.status != DELETED)
    return await r.all(stmt.order_by(tasks.c.id.desc()).limit(limit))
