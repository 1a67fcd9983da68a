"""The life of one process: mount the surfaces, start the parts in order, put them away in the opposite one."""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from functools import cached_property
from typing import Any, cast

from litestar import Litestar

from tidemill.audit.contracts import Origin, current_origin
from tidemill.datagen.facade import register_starts, register_sweep
from tidemill.datagen.jobs import recover as recover_generation
from tidemill.datagen.jobs import register as register_generation
from tidemill.identity.facade import AuthFailure, Refused
from tidemill.kernel.actor import Actor
from tidemill.kernel.errors import TidemillError
from tidemill.operations.facade import register_alerts
from tidemill.platform.db import migrate
from tidemill.platform.jobs.scheduler import Scheduler
from tidemill.platform.settings import Settings
from tidemill.platform.telemetry import request_id
from tidemill.relay.health.app import register_health
from tidemill.server import surfaces
from tidemill.server.addresses import AddressReader
from tidemill.server.api import build_api
from tidemill.server.console import Console
from tidemill.server.cors import Cors
from tidemill.server.edge import Edge
from tidemill.server.entry import App
from tidemill.server.parts import Parts


class Runtime(Parts):
    """A process of the product."""

    @cached_property
    def api(self) -> Litestar:
        """The application API."""
        return build_api(surfaces.handlers(), surfaces.services(self), self.settings)

    @cached_property
    def application(self) -> App:
        """What the process serves: everything, or without the api role what operators ask."""
        if "api" not in self.settings.server.roles:
            services = {"settings": lambda: self.settings, "checks": lambda: self.checks}
            return cast("App", build_api(surfaces.HEALTH, services, self.settings))
        return Edge(
            surfaces.mounts(cast("App", self.api), self.relay_app),
            Console(),
            identify=self._identify,
            cors=Cors(self.settings.cors, self.settings.server.public_url),
            addresses=AddressReader(self.settings.server.trusted_proxies),
            sockets=surfaces.sockets(self),
        )

    async def _identify(
        self, headers: Sequence[tuple[bytes, bytes]], query: bytes, client_ip: str | None, *, path: str, write: bool
    ) -> Actor | TidemillError | None:
        agent = None
        for name, value in headers:
            if name == b"user-agent":
                agent = value.decode("latin-1")
                break
        current_origin.set(Origin(client_ip, agent, request_id.get()))
        found = await self.identity.identify(
            headers, query, client_ip, query_token=surfaces.is_event_stream(path), cookie=True, write=write
        )
        if isinstance(found, AuthFailure):
            return None if found.reason is Refused.MISSING else found.error()
        return found

    async def start(self) -> None:
        """Start every part that this process's roles need, in the order in which they need one another."""
        roles = self.settings.server.roles
        self.background.spawn("db.watch", self.db.watch())
        await self.events.start()
        await self.identity.start(self.background)
        if "api" in roles:
            await self.identity.ensure_first_administrator(self.settings.admin, _say)
        self.meter.start()
        if roles != ("scheduler",):
            await self.local_models.start_up()
            await self.relay_context.start()
        if "api" in roles:
            await self.relay_context.adopt_environment(os.environ)
        # Who enqueues a job must know its type, also where none is run.
        register_generation(self.jobs, self.mill)
        register_starts(self.jobs, lambda: self.tasks, self.owners)
        register_sweep(self.jobs, lambda: self.sample_files.upkeep)
        register_alerts(self.jobs, self.alerts, self.alert_sender)
        register_health(self.jobs, self.channel_health)
        if "api" in roles:
            self.live.start()
        await self.jobs.open()
        if roles != ("scheduler",):
            self.channel_health.start()
        if "worker" in roles:
            await self.jobs.start()
            await recover_generation(self.tasks)
        if "scheduler" in roles:
            await self.schedules.ensure()
            Scheduler(self.db, self.jobs).start(self.background)

    def begin_drain(self) -> None:
        """Say that the end has begun: unready, and long answers end."""
        self.checks.draining = True
        self.tasks.close_streams()
        if "live" in vars(self):
            self.live.hub.drain()

    async def stop(self) -> None:
        """Stop every part, in the opposite order."""
        self.begin_drain()
        await self.jobs.drain(self.settings.server.drain_s)
        await self.mill.close()
        await self.channel_health.close()
        await self.relay_context.close()
        await self.local_models.shut_down()
        if "live" in vars(self):
            await self.live.hub.close()
        await self.meter.close()
        await self.identity.flush()
        await self.background.cancel()
        await self.hang_up()
        await self.db.close()

    async def hang_up(self) -> None:
        """Leave the servers of the parts that were used."""
        used = vars(self)
        if "events" in used:
            await self.events.close()
        if "cache" in used:
            await self.cache.close()


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
        await runtime.hang_up()
        await runtime.db.close()


def openapi_document() -> dict[str, Any]:
    """Return the OpenAPI document of this version; opens nothing and leaves nothing behind."""
    return Runtime(Settings()).api.openapi_schema.to_schema()
