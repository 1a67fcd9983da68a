"""Build what looks after the channels of one process, and run it."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import timedelta

from tidemill.kernel import clock
from tidemill.operations.facade import Alerts
from tidemill.platform.jobs import JobContext, JobKind, Jobs
from tidemill.platform.settings.groups.gateway import GatewaySettings
from tidemill.platform.tasks import TaskOwner, steadily
from tidemill.platform.telemetry import get_logger
from tidemill.relay.health import repository
from tidemill.relay.health.accounts import Accounts
from tidemill.relay.health.desk import RETRY_S, Desk
from tidemill.relay.health.keys import SCOPE, KeyWarden
from tidemill.relay.health.probe import Prober
from tidemill.relay.health.rounds import Rounds
from tidemill.relay.health.service import HealthService
from tidemill.relay.health.settling import Settling
from tidemill.relay.house import House
from tidemill.relay.repository import TOPIC

BALANCES = "channels.balances"
FORGET = "channels.forget"
KEEP = timedelta(days=30)
SETTLE_S = 60.0
_FORGET_AT_ONCE = 1000
_log = get_logger("tidemill.relay.health")
_LEAST_TICK_S, _MOST_TICK_S = 0.2, 30.0
_JOB_TIMEOUT_S = 600.0


class HealthContext:
    """Probes, keys, history, balances and alerts of the channels of one process."""

    def __init__(self, house: House, alerts: Alerts, settings: GatewaySettings) -> None:
        self._house = house
        self._settings = settings
        self._tasks = TaskOwner()
        self._stale = asyncio.Event()
        self._prober = Prober(house.upstreams, house.meter)
        self.warden = KeyWarden(house, self._prober, alerts, settings.key_retest_s)
        self.desk = Desk(house, self.warden, alerts)
        self.rounds = Rounds(house, self._prober, settings.probe_interval_s)
        self.settling = Settling(house, alerts)
        self.accounts = Accounts(house, alerts)
        self.service = HealthService(house.db, house.board, settings.probe_interval_s)

    def start(self) -> None:
        """Begin to look after the channels (a server's start, after the relay's)."""
        self._house.board.listeners.append(self.desk.hear)
        self._house.db.subscribe(TOPIC, self._stale.set)
        self._spawn("relay.shifts", self.desk.work, 0.0)
        self._spawn("relay.settling", self._settle, RETRY_S)
        if self._settings.probe_interval_s > 0:
            self._spawn("relay.probes", self.rounds.work, 0.0)
        if self._settings.key_retest_s > 0:
            tick_s = min(max(self._settings.key_retest_s / 10, _LEAST_TICK_S), _MOST_TICK_S)
            self._spawn("relay.keys", self.warden.retest, tick_s)

    def _spawn(self, name: str, work: Callable[[], Awaitable[object]], every_s: float) -> None:
        self._tasks.spawn(name, steadily(name, work, every_s))

    async def _settle(self) -> None:
        """Compare alerts with channels after each change of one, and now and then."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_S):
                await self._stale.wait()
        self._stale.clear()
        await self.settling.work()

    async def close(self) -> None:
        """Stop; what gathered last is written down first."""
        if self.desk.hear in self._house.board.listeners:
            self._house.board.listeners.remove(self.desk.hear)
        await self._tasks.cancel()
        try:
            await self.desk.flush()
        except Exception:  # noqa: BLE001 - the last word of a process that ends; its end goes on
            _log.exception("relay.shifts_lost")

    async def forget(self) -> int:
        """Delete probes and events older than 30 days, some rows a transaction; returns how many."""
        before, gone = clock.now() - KEEP, 0
        while True:
            async with self._house.db.write() as w:
                count = await repository.forget(w, SCOPE, before, _FORGET_AT_ONCE)
            gone += count
            if count == 0:
                return gone


def register_health(jobs: Jobs, health: HealthContext) -> None:
    """Teach the job engine to look up balances and to forget what is old."""

    async def look(context: JobContext) -> None:
        known = await health.accounts.look()
        context.progress(known, known)

    async def forget(context: JobContext) -> None:
        gone = await health.forget()
        context.progress(gone, gone)

    jobs.register(JobKind(type=BALANCES, handler=look, concurrency=1, timeout_s=_JOB_TIMEOUT_S, max_attempts=2))
    jobs.register(JobKind(type=FORGET, handler=forget, concurrency=1))
