"""Raise alerts, let them recover, show and acknowledge them; tell the world by jobs, outside the transaction.

The first sign and the end of an incident are told at once. One that comes back within minutes of its end is the same
incident: it is re-opened, and what is told next waits until the state has held for as long.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

from msgspec import Struct

from tidemill.audit.facade import record
from tidemill.kernel import clock
from tidemill.kernel.actor import Actor, Scope, SystemReason, SystemScope
from tidemill.kernel.ids import uuid7
from tidemill.kernel.lang import Lang
from tidemill.kernel.pages import Page, PageRequest, encode_cursor
from tidemill.operations.alerts import repository
from tidemill.operations.alerts.contracts import AlertEvent, AlertFilter, AlertKind, AlertView, AlertWish
from tidemill.operations.alerts.news import AlertNews
from tidemill.operations.alerts.ports import Ways
from tidemill.operations.errors import AlertNotFound
from tidemill.platform.db import Database, Row, Writer
from tidemill.platform.events import EventBus
from tidemill.platform.jobs import Jobs
from tidemill.platform.telemetry import get_logger

SEND = "alerts.send"
# An alert that comes back sooner than this after its recovery is the same incident.
HOLD = timedelta(minutes=5)
KEEP_RECOVERED = timedelta(days=180)
_FORGET_AT_ONCE = 500
# Messages of alerts go before other jobs of their queue.
_PRIORITY = 10
MAX_TITLE = 300
MOST_OPEN = 10_000
_SYSTEM = SystemScope(SystemReason.ALERTS)
_log = get_logger("tidemill.alerts")


class OpenAlert(Struct, frozen=True):
    """An open alert as those who raise them see it."""

    dedup_key: str
    subject_id: str
    raised_at: datetime
    last_seen_at: datetime


class Alerts:
    """The alerts of one installation. ``ways`` are those set up; without any, alerts are rows alone."""

    def __init__(self, db: Database, jobs: Jobs, ways: Ways, events: EventBus) -> None:
        self._db = db
        self._jobs = jobs
        self._ways = ways
        self._news = AlertNews(events)

    async def raise_(self, w: Writer, scope: Scope, wish: AlertWish) -> bool:
        """Say that something is wrong, in the caller's transaction; True when it was not so a moment ago.

        An open alert of the same key is seen once more; one that recovered within ``HOLD`` is re-opened.
        """
        now = clock.now()
        opened = await repository.open_alert(w, scope, wish.dedup_key)
        if opened is None:
            before = await repository.recovered_since(w, scope, wish.dedup_key, now - HOLD)
            if before is not None:
                await self._reopen(w, scope, before, wish, now)
                return True
            if await self._open(w, scope, wish, now):
                return True
            opened = await repository.open_alert(w, scope, wish.dedup_key)
        if opened is not None:
            seen = {**_told(wish), "last_seen_at": now, "count": opened["count"] + 1}
            await repository.change(w, scope, opened["id"], seen)
        return False

    async def _open(self, w: Writer, scope: Scope, wish: AlertWish, now: datetime) -> bool:
        alert_id = uuid7()
        values: dict[str, Any] = {
            **_told(wish),
            "id": alert_id,
            "kind": wish.kind,
            "subject_type": wish.subject_type,
            "subject_id": wish.subject_id,
            "dedup_key": wish.dedup_key,
            "status": "open",
            "raised_at": now,
            "last_seen_at": now,
            "count": 1,
            "sent": {},
        }
        if not await repository.add(w, scope, values):
            return False
        await self._tell(w, scope, alert_id, "raised", None)
        _log.warning("alert.raised", alert_id=alert_id, kind=wish.kind, subject=wish.subject_id, text=wish.title.en)
        return True

    async def _reopen(self, w: Writer, scope: Scope, before: Row, wish: AlertWish, now: datetime) -> None:
        values = {
            **_told(wish),
            "status": "acknowledged" if before["acknowledged_at"] else "open",
            "last_seen_at": now,
            "count": before["count"] + 1,
            "recovered_at": None,
            "reopened_at": now,
        }
        await repository.change(w, scope, before["id"], values)
        await self._tell(w, scope, before["id"], "raised", now + HOLD)
        _log.warning("alert.reopened", alert_id=before["id"], kind=wish.kind, subject=wish.subject_id)

    async def recover(self, w: Writer, scope: Scope, dedup_key: str) -> bool:
        """Say that it is over, in the caller's transaction; False when no alert of that key is open."""
        opened = await repository.open_alert(w, scope, dedup_key)
        if opened is None:
            return False
        now = clock.now()
        await repository.change(w, scope, opened["id"], {"status": "recovered", "recovered_at": now})
        flapping = opened["reopened_at"] is not None and now - opened["reopened_at"] < HOLD
        await self._tell(w, scope, opened["id"], "recovered", now + HOLD if flapping else None)
        _log.info("alert.recovered", alert_id=opened["id"], kind=opened["kind"], subject=opened["subject_id"])
        return True

    async def _tell(self, w: Writer, scope: Scope, alert_id: str, event: AlertEvent, at: datetime | None) -> None:
        for way in self._ways:
            payload = {"alert_id": alert_id, "way": way, "event": event}
            await self._jobs.enqueue(w, scope, SEND, payload, user_id=None, run_at=at, priority=_PRIORITY)
        self._announce(w, alert_id, event)

    def _announce(self, w: Writer, alert_id: str, event: AlertEvent | Literal["acknowledged"]) -> None:
        w.after_commit(lambda: self._news.tell(alert_id, event))

    # ---- looking, and taking note

    async def open_of_kind(self, scope: Scope, kind: AlertKind) -> Sequence[OpenAlert]:
        """Return the open alerts of a kind (10,000 at most), the oldest first."""
        async with self._db.read() as r:
            rows = await repository.open_of_kind(r, scope, kind, MOST_OPEN)
        return [OpenAlert(row["dedup_key"], row["subject_id"], row["raised_at"], row["last_seen_at"]) for row in rows]

    async def page(self, scope: Scope, wanted: AlertFilter, request: PageRequest, lang: Lang) -> Page[AlertView]:
        """Return alerts, the newest first."""
        async with self._db.read() as r:
            rows = await repository.page(r, scope, wanted, request)
        more = len(rows) > request.page_size
        rows = rows[: request.page_size]
        following = encode_cursor(rows[-1]["id"]) if more else None
        return Page([view_of(row, lang) for row in rows], page_size=request.page_size, next=following)

    async def acknowledge(self, scope: Scope, alert_id: str, actor: Actor, lang: Lang) -> AlertView:
        """Note that somebody knows; doing it again changes nothing. Raises AlertNotFound."""
        async with self._db.write() as w:
            row = await repository.locked(w, scope, alert_id) if _is_id(alert_id) else None
            if row is None:
                raise AlertNotFound(id=alert_id)
            if row["acknowledged_at"] is None:
                note: dict[str, Any] = {"acknowledged_at": clock.now(), "acknowledged_by": actor.user_id}
                if row["recovered_at"] is None:
                    note["status"] = "acknowledged"
                await repository.change(w, scope, alert_id, note)
                await record(
                    w,
                    actor=actor,
                    action="alert.acknowledge",
                    object_type="alert",
                    object_id=alert_id,
                    details={"kind": row["kind"], "subject": f"{row['subject_type']}:{row['subject_id']}"},
                )
                self._announce(w, alert_id, "acknowledged")
                row = await repository.one(w, scope, alert_id)
                assert row is not None  # noqa: S101 - locked above
        return view_of(row, lang)

    async def forget(self) -> int:
        """Delete what recovered half a year ago, some rows a transaction; returns how many."""
        before, gone = clock.now() - KEEP_RECOVERED, 0
        while True:
            async with self._db.write() as w:
                count = await repository.forget(w, _SYSTEM, before, _FORGET_AT_ONCE)
            gone += count
            if count < _FORGET_AT_ONCE:
                return gone


def view_of(row: Row, lang: Lang) -> AlertView:
    """Show an alert in ``lang``."""
    return AlertView(
        id=row["id"],
        kind=row["kind"],
        severity=row["severity"],
        status=row["status"],
        subject_type=row["subject_type"],
        subject_id=row["subject_id"],
        title=row[f"title_{lang}"],
        text=row[f"text_{lang}"],
        details=row["details"],
        raised_at=row["raised_at"],
        last_seen_at=row["last_seen_at"],
        count=row["count"],
        sent_at=row["sent_at"],
        acknowledged_at=row["acknowledged_at"],
        acknowledged_by=row["acknowledged_by"],
        recovered_at=row["recovered_at"],
    )


def _told(wish: AlertWish) -> dict[str, Any]:
    return {
        "severity": wish.severity,
        "title_zh": wish.title.zh[:MAX_TITLE],
        "title_en": wish.title.en[:MAX_TITLE],
        "text_zh": wish.text.zh,
        "text_en": wish.text.en,
        "details": wish.details,
    }


def _is_id(text: str) -> bool:
    return text.isascii() and text.isprintable()
