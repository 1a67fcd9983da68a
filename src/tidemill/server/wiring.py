"""Pick engines, build every context once, join their ports: the only place that knows them all."""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Mapping, MutableMapping, Sequence
from contextlib import asynccontextmanager
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from litestar import Litestar

from tidemill.audit.contracts import Origin, current_origin
from tidemill.datagen.facade import DatagenEraser, Mill, TaskTable, TaskType, load_types
from tidemill.datagen.jobs import recover as recover_generation
from tidemill.datagen.jobs import register as register_generation
from tidemill.datagen.reports.service import ReportService
from tidemill.datagen.review.service import ReviewService
from tidemill.datagen.samples.service import SampleFiles
from tidemill.datagen.service import TaskService
from tidemill.identity.contracts import KeyLimits
from tidemill.identity.facade import AuthFailure, Identity, Neighbours, Refused
from tidemill.kernel.actor import Actor
from tidemill.kernel.errors import TidemillError, Unauthenticated
from tidemill.localmodels.facade import LocalModels
from tidemill.metering.facade import Balances, Meter, UsageService
from tidemill.platform.blobs import Blobs, open_blobs
from tidemill.platform.cache import Cache, MemoryCache
from tidemill.platform.db import Database, migrate, open_database
from tidemill.platform.events import EventBus, MemoryEvents
from tidemill.platform.jobs import Jobs
from tidemill.platform.jobs.local import LocalJobs
from tidemill.platform.secrets import Keyring, Purpose, SecretBox, load_keyring
from tidemill.platform.settings import Settings
from tidemill.platform.settings.groups.server import ServerSettings
from tidemill.platform.tasks import TaskOwner
from tidemill.platform.telemetry import request_id
from tidemill.platform.web.guards import ACTOR, REFUSAL
from tidemill.relay.app import RelayContext
from tidemill.relay.ports import CallerLimits
from tidemill.server import surfaces
from tidemill.server.addresses import AddressReader
from tidemill.server.api import build_api
from tidemill.server.console import Console
from tidemill.server.cors import Cors
from tidemill.server.edge import App, Edge
from tidemill.server.health import Checks
from tidemill.server.usage_of_user import UsageOfUser

_DAY_S = 24 * 3600


class Runtime:
    """Everything of one process. Each part is built when it is first asked for, so a command pays for what it uses."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._tasks = TaskOwner()

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
        return MemoryEvents()

    @cached_property
    def cache(self) -> Cache:
        """The cache."""
        return MemoryCache()

    @cached_property
    def jobs(self) -> Jobs:
        """The job engine. Nobody else runs jobs of a SQLite file whose data directory we hold the lock of."""
        return LocalJobs(self.db, alone=self.db.dialect == "sqlite")

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
        return Meter(self.db, self.settings.data_dir / "journal")

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
                erasers=(self.usage, DatagenEraser(self.jobs, self.sample_files.upkeep, self._tasks)),
            ),
            public_url=self.settings.server.public_url,
        )

    @cached_property
    def usage(self) -> UsageService:
        """Questions about usage."""
        return UsageService(self.db)

    @cached_property
    def local_models(self) -> LocalModels:
        """The llama-server processes of this server."""
        return LocalModels(self.settings, db=self.db)

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
        )

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

    # --- life

    @cached_property
    def checks(self) -> Checks:
        """What readiness looks at."""
        return Checks({"database": self.db.check, "objects": self.blobs.check})

    @cached_property
    def api(self) -> Litestar:
        """The application API."""
        return build_api(surfaces.handlers(), surfaces.services(self), self.settings)

    @cached_property
    def application(self) -> App:
        """What the server serves."""
        return Edge(
            surfaces.mounts(self),
            Console(),
            identify=self._identify,
            cors=Cors(self.settings.cors),
            addresses=AddressReader(self.settings.server.trusted_proxies),
        )

    async def _identify(
        self, headers: Sequence[tuple[bytes, bytes]], query: bytes, client_ip: str | None, *, path: str, write: bool
    ) -> Actor | TidemillError | None:
        agent = next((value.decode("latin-1") for name, value in headers if name == b"user-agent"), None)
        current_origin.set(Origin(client_ip, agent, request_id.get()))
        found = await self.identity.identify(
            headers, query, client_ip, query_token=surfaces.is_event_stream(path), cookie=True, write=write
        )
        if isinstance(found, AuthFailure):
            return None if found.reason is Refused.MISSING else found.error()
        return found

    @cached_property
    def relay_app(self) -> App:
        """The surface of ``/v1``."""
        return cast("App", self.relay_context.asgi(_caller_of, self._limits_of))

    def _limits_of(self, actor: Actor) -> CallerLimits:
        """Hold a key to its own limits, and everybody to the settings' where that is tighter."""
        known = self.identity.authenticator.key_limits(actor.key_id) if actor.key_id else None
        gateway = self.settings.gateway
        own = known.limits if known else KeyLimits()
        return CallerLimits(
            _tighter(own.rpm, gateway.caller_rpm), _tighter(own.concurrency, gateway.caller_max_concurrent)
        )

    async def start(self) -> None:
        """Start every part, in the order in which they need one another."""
        self._tasks.spawn("db.watch", self.db.watch())
        await self.identity.start(self._tasks)
        await self.identity.ensure_first_administrator(self.settings.admin, _say)
        self.meter.start()
        await self.local_models.start_up()
        await self.relay_context.start()
        await self.relay_context.adopt_environment(os.environ)
        if "worker" in self.settings.server.roles:
            register_generation(self.jobs, self.mill)
            await self.jobs.start()
            await recover_generation(self.tasks)
            self._tasks.spawn("samples.sweep", self._sweep_daily())

    async def _sweep_daily(self) -> None:
        while True:
            await self.sample_files.upkeep.sweep()
            await asyncio.sleep(_DAY_S)

    def begin_drain(self) -> None:
        """Say that the end has begun: unready, and long answers end."""
        self.checks.draining = True
        self.tasks.close_streams()

    async def stop(self) -> None:
        """Stop every part, in the opposite order."""
        self.begin_drain()
        await self.jobs.drain(self.settings.server.drain_s)
        await self.mill.close()
        await self.relay_context.close()
        await self.local_models.shut_down()
        await self.meter.close()
        await self.identity.flush()
        await self._tasks.cancel()
        await self.db.close()


def _tighter(own: int | None, everybodys: int) -> int | None:
    """Return the smaller limit; None and 0 are no limit."""
    limits = [limit for limit in (own, everybodys) if limit]
    return min(limits) if limits else None


def _caller_of(scope: MutableMapping[str, Any]) -> Actor | TidemillError:
    """Return whom the edge has found for this request."""
    state = scope["state"]
    return state.get(ACTOR) or state.get(REFUSAL) or Unauthenticated()


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


@asynccontextmanager
async def open_runtime(settings: Settings) -> AsyncGenerator[Runtime]:
    """Open what a command needs: the database at its newest revision and whoever is known; no server, no loops."""
    await asyncio.to_thread(migrate.upgrade, settings.database_url)
    runtime = Runtime(settings)
    try:
        await runtime.identity.load()
        await runtime.relay_context.load()
        yield runtime
    finally:
        await runtime.identity.flush()
        await runtime.db.close()


def openapi_document() -> dict[str, Any]:
    """Return the OpenAPI document of this version; opens nothing and leaves nothing behind."""
    # The services want keys; made in a folder of the moment, they do not turn up wherever the command was called.
    with TemporaryDirectory(prefix="tidemill-openapi-") as folder:
        runtime = Runtime(Settings(server=ServerSettings(data_dir=Path(folder))))
        return runtime.api.openapi_schema.to_schema()
