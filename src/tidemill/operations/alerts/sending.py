"""Tell of alerts: one job a message and way, so that a way that is down is tried again without repeating the others.

A message whose news is overtaken (it recovered meanwhile, or came back) is not sent, and none tells twice what was told
last. A process killed between sending and noting it sends once more.
"""

import asyncio
from typing import Any

from tidemill.kernel import clock
from tidemill.kernel.actor import SystemReason, SystemScope
from tidemill.kernel.ids import uuid7
from tidemill.kernel.lang import Lang
from tidemill.operations.alerts import repository
from tidemill.operations.alerts.contracts import AlertEvent, AlertView, Delivery, DeliveryTest, Way
from tidemill.operations.alerts.ports import Message, Undelivered, WayOut, Ways
from tidemill.operations.alerts.service import SEND, Alerts, view_of
from tidemill.platform.db import Database, Row
from tidemill.platform.jobs import JobContext, JobFailed, JobKind, JobRetry, Jobs

FORGET = "alerts.forget"
WAYS: tuple[Way, ...] = ("webhook", "mail")
TIMEOUT_S = 120.0
MAX_ATTEMPTS = 12
TEST_TIMEOUT_S = 30.0
_SCOPE = SystemScope(SystemReason.ALERTS)
_TEST_TITLE = {"zh": "测试告警", "en": "Test alert"}
_TEST_TEXT = {
    "zh": "这是一条测试消息：收到它说明此告警方式可用，无需处理。",
    "en": "This is a test: that it arrived shows that this way works. There is nothing to do.",
}


class AlertSender:
    """Sends messages by the ways that are set up, in ``lang``."""

    def __init__(self, db: Database, ways: Ways, lang: Lang) -> None:
        self._db = db
        self._ways = ways
        self._lang: Lang = lang

    async def send(self, context: JobContext) -> None:
        """Send the message that a job stands for, unless it is stale."""
        alert_id, event = str(context.payload["alert_id"]), context.payload["event"]
        name: Way = context.payload["way"]
        way = self._ways.get(name)
        async with self._db.read() as r:
            row = await repository.one(r, _SCOPE, alert_id)
        if way is None or row is None or not is_due(row, name, event):
            return
        try:
            await way.send(Message(event, view_of(row, self._lang), self._lang))
        except Undelivered as error:
            if error.lasting:
                raise JobFailed("undelivered", str(error)) from error
            raise JobRetry("undelivered", str(error), after_s=error.retry_after_s) from error
        await self._note(alert_id, name, event)

    async def _note(self, alert_id: str, way: Way, event: AlertEvent) -> None:
        async with self._db.write() as w:
            row = await repository.locked(w, _SCOPE, alert_id)
            if row is None:
                return
            now = clock.now()
            sent = {**row["sent"], way: {"event": event, "at": now}}
            await repository.change(w, _SCOPE, alert_id, {"sent": sent, "sent_at": row["sent_at"] or now})

    async def test(self) -> DeliveryTest:
        """Send a test message by every way at once and tell how each went."""
        now = clock.now()
        alert = AlertView(
            id=uuid7(),
            kind="test",
            severity="warning",
            status="open",
            subject_type="installation",
            subject_id="",
            title=_TEST_TITLE[self._lang],
            text=_TEST_TEXT[self._lang],
            details={},
            raised_at=now,
            last_seen_at=now,
            count=1,
            sent_at=None,
            acknowledged_at=None,
            acknowledged_by=None,
            recovered_at=None,
        )
        found = await asyncio.gather(*(self._try(name, Message("test", alert, self._lang)) for name in WAYS))
        return DeliveryTest(list(found))

    async def _try(self, name: Way, message: Message) -> Delivery:
        way: WayOut | None = self._ways.get(name)
        if way is None:
            return Delivery(name, None)
        began = clock.monotonic()
        try:
            async with asyncio.timeout(TEST_TIMEOUT_S):
                await way.send(message)
        except (Undelivered, TimeoutError) as error:
            text = str(error) or f"no answer within {TEST_TIMEOUT_S:.0f} s"
            return Delivery(name, ok=False, error=text, latency_ms=_since(began))
        return Delivery(name, ok=True, latency_ms=_since(began))


def is_due(row: Row, way: Way, event: AlertEvent) -> bool:
    """Tell whether a message is still news: it is how things stand, and not what this way was told last."""
    stands = "raised" if row["recovered_at"] is None else "recovered"
    told: dict[str, Any] = row["sent"].get(way, {})
    before = told.get("event")
    return event == stands and event != before and not (event == "recovered" and before is None)


def register_alerts(jobs: Jobs, alerts: Alerts, sender: AlertSender) -> None:
    """Teach the job engine to send messages and to forget old alerts."""

    async def forget(context: JobContext) -> None:
        gone = await alerts.forget()
        context.progress(gone, gone)

    jobs.register(JobKind(type=SEND, handler=sender.send, max_attempts=MAX_ATTEMPTS, timeout_s=TIMEOUT_S))
    jobs.register(JobKind(type=FORGET, handler=forget, concurrency=1))


def _since(began: float) -> float:
    return round((clock.monotonic() - began) * 1000, 1)
