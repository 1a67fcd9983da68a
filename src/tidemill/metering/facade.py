"""The door of metering: record a call, and be told what somebody has left.

``record`` touches memory and one ``write`` to the journal; the database hears of it within half a second.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from prometheus_client import Counter, Gauge

from tidemill.kernel.actor import Scope
from tidemill.metering.call_log import CallLog
from tidemill.metering.channel_figures import ChannelUsage
from tidemill.metering.contracts import UsageEvent
from tidemill.metering.journal.writer import Fsync, JournalWriter
from tidemill.metering.news import UsageNews
from tidemill.metering.pump import UsagePump
from tidemill.metering.rows import encode_event
from tidemill.metering.service import UsageService
from tidemill.platform.db import Database, Reader
from tidemill.platform.events import EventBus
from tidemill.platform.tasks import TaskOwner
from tidemill.platform.telemetry import get_logger
from tidemill.platform.telemetry.metrics import registry

STARTING_BALANCE = 1000

_recorded = Counter("tidemill_usage_events", "Usage events written to the database.", registry=registry)
_lost = Gauge("tidemill_usage_events_lost", "Usage events given up because the disk took none.", registry=registry)
_held = Gauge("tidemill_usage_events_held", "Usage events in memory, waiting for the disk.", registry=registry)

_log = get_logger("tidemill.metering")

__all__ = ["STARTING_BALANCE", "Balances", "CallLog", "ChannelUsage", "Meter", "UsageService"]


class Meter:
    """Keeps every call's usage. One per process and journal folder."""

    def __init__(
        self,
        db: Database,
        folder: Path,
        *,
        interval_s: float = 0.5,
        fsync: Fsync = "never",
        events: EventBus | None = None,
    ) -> None:
        self._db = db
        self._news = None if events is None else UsageNews(db, events)
        self._folder = folder
        self._interval_s = interval_s
        self._fsync: Fsync = fsync
        self._writer: JournalWriter | None = None
        self._pump: UsagePump | None = None
        self._tasks = TaskOwner()
        self._listeners: list[Callable[[UsageEvent], None]] = []

    def start(self) -> None:
        """Begin to take the journal into the database; also what earlier processes left behind."""
        pump, _ = self._open()
        self._tasks.spawn("usage pump", pump.run())

    def _open(self) -> tuple[UsagePump, JournalWriter]:
        if self._pump is None or self._writer is None:
            self._writer = JournalWriter(self._folder, fsync=self._fsync)
            self._pump = UsagePump(self._db, self._folder, self._writer, interval_s=self._interval_s)
            self._pump.on_batch = self._took
        return self._pump, self._writer

    def _took(self, events: Sequence[UsageEvent]) -> None:
        _recorded.inc(len(events))
        if self._news is not None:
            self._news.took(events)

    def record(self, event: UsageEvent) -> None:
        """Keep ``event``, exactly once, even if the process is killed right after this returns.

        Never raises for a disk or database that is away. Without ``start`` it stays in the journal until ``flush``,
        ``close`` or another process takes it.
        """
        pump, writer = self._open()
        writer.append(encode_event(event))
        if writer.held or writer.lost:
            _held.set(writer.held)
            _lost.set(writer.lost)
        pump.wake()
        for listener in self._listeners:
            listener(event)

    def listen(self, callback: Callable[[UsageEvent], None]) -> None:
        """Call ``callback`` with every event of this process as it is recorded; it must not block or raise."""
        self._listeners.append(callback)

    async def flush(self) -> None:
        """Bring everything recorded so far into the database before this returns."""
        await self._open()[0].drain()

    async def close(self) -> None:
        """Stop, with everything recorded in the database if it can be reached, else in the journal for the next."""
        await self._tasks.cancel()
        if self._news is not None:
            await self._news.close()
        if self._writer is None:
            return
        self._writer.close()
        file, self._writer, self._pump = self._writer.path.name, None, None
        try:
            await UsagePump(self._db, self._folder, None).drain()
        except Exception:  # noqa: BLE001 - the edge of the process's life; the journal keeps the rest for the next
            _log.exception("usage.left_in_journal", file=file)


class Balances:
    """What each user has left (identity's BalanceReader). While nothing is charged: what a new user gets."""

    async def balance(self, r: Reader, scope: Scope, user_id: int) -> int:
        """Return the credit of ``user_id``, whole credits, rounded down."""
        del r, scope, user_id
        return STARTING_BALANCE

    def remaining(self, user_id: int) -> int:
        """Return the same from memory, for answers that show it beside each call."""
        del user_id
        return STARTING_BALANCE
