"""Every part of one process, joined through its ports; built when it is first asked for.

This is the only place that picks engines and knows all contexts.
"""

from collections.abc import Mapping, MutableMapping
from functools import cached_property
from typing import Any, cast

from tidemill.datagen.facade import (
    START,
    SWEEP,
    DatagenEraser,
    Mill,
    ScheduledStart,
    TaskTable,
    TaskType,
    load_types,
)
from tidemill.datagen.reports.service import ReportService
from tidemill.datagen.review.service import ReviewService
from tidemill.datagen.samples.service import SampleFiles
from tidemill.datagen.service import JOB as GENERATION
from tidemill.datagen.service import TaskService
from tidemill.identity.contracts import KeyLimits
from tidemill.identity.facade import AuthFailure, Identity, Neighbours, Refused
from tidemill.kernel.actor import Actor
from tidemill.kernel.errors import TidemillError, Unauthenticated
from tidemill.localmodels.facade import LocalModels
from tidemill.metering.facade import Balances, CallLog, ChannelUsage, Meter, UsageService
from tidemill.operations.facade import (
    FORGET_ALERTS,
    Alerts,
    AlertSender,
    JobService,
    OperationsEraser,
    QueueService,
    ScheduleService,
    StatusService,
    SystemSchedule,
    Ways,
    open_ways,
)
from tidemill.platform.blobs import Blobs, open_blobs
from tidemill.platform.cache import Cache, open_cache
from tidemill.platform.db import Database, open_database
from tidemill.platform.events import EventBus, open_events
from tidemill.platform.jobs.engine import JobEngine
from tidemill.platform.jobs.engines import open_transport
from tidemill.platform.jobs.heartbeat import this_process
from tidemill.platform.jobs.rules import Pulse
from tidemill.platform.mail import Mailer, open_mailer
from tidemill.platform.secrets import Keyring, Purpose, SecretBox, load_keyring
from tidemill.platform.settings import Settings
from tidemill.platform.tasks import TaskOwner
from tidemill.platform.web.guards import ACTOR, REFUSAL
from tidemill.relay.app import RelayContext
from tidemill.relay.health.app import BALANCES, FORGET, HealthContext
from tidemill.relay.ports import CallerLimits
from tidemill.server.caller_facts import FactsOfCaller
from tidemill.server.entry import App
from tidemill.server.health import Checks
from tidemill.server.live.live import Live, RightsOf
from tidemill.server.owners import OwnersNow
from tidemill.server.usage_of_user import UsageOfUser


class Parts:
    """The parts of one process. A command pays for what it uses."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.background = TaskOwner()

    # --- the ground

    @cached_property
    def db(self) -> Database:
        """The database."""
        options = self.settings.database
        return open_database(self.settings.database_url, synchronous=options.synchronous, pool_size=options.pool_size)

    @cached_property
    def blobs(self) -> Blobs:
        """The object store."""
        return open_blobs(self.settings.objects_url, self.settings.objects)

    @cached_property
    def events(self) -> EventBus:
        """The event bus."""
        return open_events(self.settings.cache.url, self.settings.database_url)

    @cached_property
    def cache(self) -> Cache:
        """The cache."""
        return open_cache(self.settings.cache.url)

    @cached_property
    def jobs(self) -> JobEngine:
        """The job engine. Nobody else runs jobs of a SQLite file whose data directory we hold the lock of."""
        url = self.settings.database_url
        return JobEngine(
            self.db,
            open_transport(self.settings.queue.url, url, prefix=self.settings.queue.prefix),
            alone=self.db.dialect == "sqlite",  # the worker's lock is held
            worker=this_process(self.settings.server.roles),
            beat_database=lambda: open_database(url, pool_size=1),
            events=self.events,
            pulse=Pulse(self.settings.queue.lease_s),
        )

    @cached_property
    def mailer(self) -> Mailer | None:
        """The mail server, None while none is named."""
        return open_mailer(self.settings.mail)

    @cached_property
    def keyring(self) -> Keyring:
        """The keys of this installation."""
        auth = self.settings.auth
        configured: dict[Purpose, str | None] = {
            "signing": auth.secret_key,
            "data": auth.data_key,
            "pepper": auth.key_pepper,
        }
        return load_keyring(self.settings.data_dir / "secrets", configured)

    @cached_property
    def secrets(self) -> SecretBox:
        """Seals what must be read again, hashes what need not."""
        return SecretBox(self.keyring)

    # --- contexts

    @cached_property
    def balances(self) -> Balances:
        """What everybody has left."""
        return Balances()

    @cached_property
    def meter(self) -> Meter:
        """The usage journal."""
        gateway = self.settings.gateway
        return Meter(
            self.db,
            self.settings.data_dir / "journal",
            interval_s=gateway.journal_flush_s,
            fsync=gateway.journal_fsync,
            events=self.events,
        )

    @cached_property
    def identity(self) -> Identity:
        """Users, sessions, keys."""
        return Identity(
            self.db,
            auth=self.settings.auth,
            data_dir=self.settings.data_dir,
            keyring=self.keyring,
            box=self.secrets,
            neighbours=Neighbours(
                balances=self.balances,
                usage=UsageOfUser(self.usage),
                erasers=(
                    self.usage,
                    DatagenEraser(self.jobs, self.sample_files.upkeep, self.background),
                    OperationsEraser(),
                ),
            ),
            public_url=self.settings.server.public_url,
        )

    @cached_property
    def usage(self) -> UsageService:
        """Questions about usage."""
        return UsageService(self.db)

    @cached_property
    def calls(self) -> CallLog:
        """The log of calls."""
        return CallLog(self.db)

    @cached_property
    def channel_usage(self) -> ChannelUsage:
        """What channels did."""
        return ChannelUsage(self.db)

    @cached_property
    def local_models(self) -> LocalModels:
        """The llama-server processes of this server."""
        if "api" in self.settings.server.roles:
            return LocalModels(self.settings, db=self.db)
        # The server of this data directory, if there is one, runs them; we use its instances or start our own.
        return LocalModels(self.settings, borrow=True)

    @cached_property
    def relay_context(self) -> RelayContext:
        """Channels and all that calls models through them."""
        return RelayContext(
            db=self.db,
            secrets=self.secrets,
            meter=self.meter,
            settings=self.settings.gateway,
            leases=self.local_models,
            local_slots=self.settings.local_models.slots,
            cache_url=self.settings.cache.url,
            cache=self.cache if self._cache_is_shared else None,
            limits_of=self._limits_of,
        )

    @cached_property
    def channel_health(self) -> HealthContext:
        """Probes of channels, their keys, their history, and who is told."""
        return HealthContext(self.relay_context.house, self.alerts, self.settings.gateway)

    @cached_property
    def sample_files(self) -> SampleFiles:
        """Sample files."""
        return SampleFiles(
            self.db,
            self.blobs,
            TaskTable(),
            upload_folder=self.settings.data_dir / "uploads",
            max_upload_bytes=self.settings.limits.max_upload_bytes,
        )

    @cached_property
    def task_types(self) -> Mapping[str, TaskType]:
        """The installed task types."""
        return load_types(self.settings.data_dir / "task-types")

    @cached_property
    def mill(self) -> Mill:
        """The generation engine of this process."""
        return Mill(
            db=self.db,
            calls=self.relay_context.relay,
            samples=self.sample_files.reader,
            task_types=self.task_types,
            settings=self.settings.datagen,
        )

    @cached_property
    def tasks(self) -> TaskService:
        """Generation tasks."""
        return TaskService(
            db=self.db,
            jobs=self.jobs,
            mill=self.mill,
            calls=self.relay_context.relay,
            samples=self.sample_files.reader,
            task_types=self.task_types,
            settings=self.settings.datagen,
        )

    @cached_property
    def review(self) -> ReviewService:
        """Generated rows under review."""
        return ReviewService(self.db, self.task_types)

    @cached_property
    def reports(self) -> ReportService:
        """Reports of tasks."""
        return ReportService(self.db, self.identity.administration)

    @cached_property
    def owners(self) -> OwnersNow:
        """Who the owners of scheduled work are by now."""
        return OwnersNow(self.identity.administration)

    @cached_property
    def job_service(self) -> JobService:
        """Jobs as people see them."""
        return JobService(self.db, self.jobs, {GENERATION: self.tasks})

    @cached_property
    def queues(self) -> QueueService:
        """Queues and workers."""
        return QueueService(self.db, self.jobs, self.settings.queue.lease_s)

    @cached_property
    def schedules(self) -> ScheduleService:
        """Schedules: what users may schedule, and what the program does by itself."""
        return ScheduleService(
            self.db,
            self.jobs,
            lambda: {START: ScheduledStart(self.tasks)},
            self.owners,
            (
                SystemSchedule(SWEEP, SWEEP, "17 3 * * *"),
                SystemSchedule(FORGET_ALERTS, FORGET_ALERTS, "27 3 * * *"),
                SystemSchedule(FORGET, FORGET, "37 3 * * *"),
                SystemSchedule(BALANCES, BALANCES, "*/30 * * * *"),
            ),
        )

    @cached_property
    def statuses(self) -> StatusService:
        """How far anything long-running has got."""
        return StatusService(self.db, (self.tasks,))

    @cached_property
    def _ways(self) -> Ways:
        allow_private = self.settings.gateway.allow_private_upstreams
        return open_ways(self.settings.alerts, self.mailer, allow_private=allow_private)

    @cached_property
    def alerts(self) -> Alerts:
        """What is wrong, and who knows."""
        return Alerts(self.db, self.jobs, self._ways, self.events)

    @cached_property
    def alert_sender(self) -> AlertSender:
        """Tells of alerts by webhook and mail."""
        return AlertSender(self.db, self._ways, self.settings.alerts.language)

    @cached_property
    def live(self) -> Live:
        """Live events and who watches them."""
        return Live(self.db, self.events, RightsOf(self.identity), self._greet, self.settings.limits)

    async def _greet(self, token: str, client_ip: str | None) -> Actor | TidemillError | None:
        """Find whom a token belongs to that came in a message."""
        found = await self.identity.identify([(b"authorization", b"Bearer " + token.encode())], b"", client_ip)
        if isinstance(found, AuthFailure):
            return None if found.reason is Refused.MISSING else found.error()
        return found

    @cached_property
    def checks(self) -> Checks:
        """What readiness looks at."""
        return Checks(
            {"database": self.db.check, "objects": self.blobs.check},
            reported={"cache": self._check_cache} if self._cache_is_shared else {},
        )

    @property
    def _cache_is_shared(self) -> bool:
        return not self.settings.cache.url.startswith("memory://")

    async def _check_cache(self) -> float:
        return await self.cache.check()

    @cached_property
    def relay_app(self) -> App:
        """The surface of ``/v1``."""
        facts_of = FactsOfCaller(self.identity.keys, self.usage)
        return cast("App", self.relay_context.asgi(_caller_of, facts_of))

    def _limits_of(self, actor: Actor) -> CallerLimits:
        """Hold a key to its own limits, and everybody to the settings' where that is tighter."""
        known = self.identity.authenticator.key_limits(actor.key_id) if actor.key_id else None
        gateway = self.settings.gateway
        own = known.limits if known else KeyLimits()
        return CallerLimits(
            _tighter(own.rpm, gateway.caller_rpm),
            _tighter(own.concurrency, gateway.caller_max_concurrent),
            _tighter(own.tpm, gateway.caller_tpm),
        )


def _tighter(own: int | None, everybodys: int) -> int | None:
    """Return the smaller limit; None and 0 are no limit."""
    limits = [limit for limit in (own, everybodys) if limit]
    return min(limits) if limits else None


def _caller_of(scope: MutableMapping[str, Any]) -> Actor | TidemillError:
    """Return whom the edge has found for this request."""
    state = scope["state"]
    return state.get(ACTOR) or state.get(REFUSAL) or Unauthenticated()
