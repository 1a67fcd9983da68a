"""The door of local models: what there is, start and stop, and a place on a running one."""

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

from tidemill.kernel.errors import TidemillError
from tidemill.kernel.lang import Lang
from tidemill.localmodels import binary
from tidemill.localmodels.catalogue import Catalogue
from tidemill.localmodels.contracts import (
    InstanceMetrics,
    LocalModelView,
    LocalService,
    LogPage,
    ModelMetrics,
)
from tidemill.localmodels.errors import LocalModelNotFound, again
from tidemill.localmodels.ground import Ground, Phase
from tidemill.localmodels.memory import MemoryFacts, read_memory
from tidemill.localmodels.port_claims import PortClaims
from tidemill.localmodels.probe import Probe
from tidemill.localmodels.records import Record, Records
from tidemill.localmodels.supervisor import Supervisor
from tidemill.localmodels.views import view, with_records
from tidemill.localmodels.wish_service import Wish, WishReader
from tidemill.platform.db import Database
from tidemill.platform.settings import Settings
from tidemill.platform.tasks import TaskOwner
from tidemill.platform.telemetry import get_logger

log = get_logger(__name__)

_FIRST_SCAN_S: Final = 0.3  # a start waits no longer for headers; the rest of a big folder appears moments later
_METRICS_TIMEOUT_S: Final = 2.0
_DRAIN_S: Final = 15.0


class LocalModels:
    """One supervisor and its catalogue.

    A server gives ``db`` and fulfils wishes. Another program on the same data directory gives ``borrow``: it uses the
    running server's instances where one is ready, else its own on free ports, and leaves the server's ports alone.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        db: Database | None = None,
        borrow: bool = False,
        memory: Callable[[], MemoryFacts] = read_memory,
    ) -> None:
        options = settings.local_models
        folder = Path(options.folder) if options.folder else settings.models_dir
        self._settings = options
        self._data_dir = settings.data_dir
        self._db = db
        self._borrow = borrow
        self._tasks = TaskOwner()
        self._catalogue = Catalogue(folder, options)
        self._records = Records(settings.data_dir / "run" / "local-models")
        self._probe = Probe()
        self._ground = Ground(
            settings=options,
            ports=PortClaims(0 if borrow else options.port_min, options.port_max),
            probe=self._probe,
            records=self._records,
            tasks=self._tasks,
            find_binary=lambda: binary.find(options.server_binary),
            read_memory=memory,
            environment=dict(os.environ),
        )
        self._log_folder = settings.data_dir / "logs" / "local-models"
        self._supervisor: Supervisor | None = None
        self._subscribers: list[Callable[[], None]] = []
        self._names: tuple[str, ...] = ()
        self._scanning = asyncio.Lock()

    async def start_up(self) -> None:
        """Begin: end orphans of an earlier run, look into the folder, start what is declared to.

        Must run on the thread that lives as long as the program; children die with it.
        """
        if not self._settings.enabled or self._supervisor is not None:
            return
        supervisor = self._supervisor = Supervisor(self._ground, self._log_folder, self._notify)
        for record in await asyncio.to_thread(self._records.reap):
            log.warning("local_model.orphan_ended", model=record.name, pid=record.pid)
        first = self._tasks.spawn("local models first scan", self._first_scan())
        await asyncio.wait({first}, timeout=_FIRST_SCAN_S)
        self._tasks.spawn("local models clock", supervisor.run())
        self._tasks.spawn("local models folder", self._watch(first))
        if self._db is not None:
            wishes = WishReader(self._db, self._data_dir, self._tasks, self._fulfil)
            self._tasks.spawn("local models wishes", wishes.run())

    async def shut_down(self) -> None:
        """Stop every instance (whoever streams was drained before) and let go of everything."""
        supervisor, self._supervisor = self._supervisor, None
        if supervisor is not None:
            try:
                async with asyncio.timeout(_DRAIN_S):
                    await supervisor.close()
            except TimeoutError:
                log.warning("local_model.stop_timeout", seconds=_DRAIN_S)
        await self._tasks.cancel()
        await self._probe.close()

    def names(self) -> tuple[str, ...]:
        """Return the models that can be run."""
        if self._supervisor is None:
            return ()
        return tuple(state.spec.name for state in self._supervisor.states() if state.spec.problem is None)

    def subscribe(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` on the loop after ``names`` changed."""
        self._subscribers.append(callback)

    def list(self, lang: Lang = "en") -> list[LocalModelView]:
        """Return every model by name, those that cannot run included."""
        return [view(state, lang) for state in self._supervisor.states()] if self._supervisor else []

    def get(self, name: str, lang: Lang = "en") -> LocalModelView:
        """Return one model. Raises LocalModelNotFound."""
        return view(self._running(name).state(name), lang)

    async def start(self, name: str, *, wait: bool = False, lang: Lang = "en") -> LocalModelView:
        """Start a model and keep it until it is stopped; with ``wait`` return when it is ready.

        Raises LocalModelNotFound, NotGguf, ModelFileMissing, PortRangeExhausted, NotEnoughMemory, and with ``wait``
        the failure of the start.
        """
        supervisor = self._running(name)
        if name not in {state.spec.name for state in supervisor.states()}:
            await self.rescan()  # a file that came since the last look
        state = supervisor.start(name)
        if wait:
            state = await supervisor.settled(name)
            if state.status != "running" and state.failure is not None:
                raise again(state.failure)
        return view(state, lang)

    async def stop(self, name: str, *, wait: bool = False, lang: Lang = "en") -> LocalModelView:
        """Stop a model after its requests in flight; with ``wait`` return when it has ended.

        Raises LocalModelNotFound.
        """
        supervisor = self._running(name)
        state = supervisor.stop(name)
        if wait:
            state = await supervisor.settled(name)
        return view(state, lang)

    def logs(self, name: str, count: int = 200, after: int = 0) -> LogPage:
        """Return up to ``count`` last log lines numbered above ``after``. Raises LocalModelNotFound."""
        return self._running(name).state(name).log.tail(count, after)

    async def metrics(self, name: str) -> ModelMetrics:
        """Ask every ready instance for its counters. Raises LocalModelNotFound."""
        state = self._running(name).state(name)
        ready = [one for one in state.instances if one.phase is Phase.READY]
        asked = [self._probe.metrics(one.port, one.api_key, _METRICS_TIMEOUT_S) for one in ready]
        answers = await asyncio.gather(*asked)
        return ModelMetrics(
            name=name,
            status=state.status,
            in_flight=state.in_flight,
            queued=len(state.waiters),
            served=state.served,
            crashes=state.crashes + sum(one.crash_count for one in state.instances),
            instances=tuple(
                InstanceMetrics(port=one.port, pid=one.pid, values=values)
                for one, values in zip(ready, answers, strict=True)
                if values is not None
            ),
        )

    @asynccontextmanager
    async def lease(self, name: str) -> AsyncGenerator[LocalService]:
        """Hold a place on a running instance of ``name``, starting it if need be, until the block ends.

        Raises LocalModelNotFound, the model's failure, LocalModelBusy (with ``retry_after_s``).
        """
        supervisor = self._running(name)
        async with AsyncExitStack() as stack:
            service = self._borrowed(name, stack) if self._borrow else None
            if service is None:
                service = await stack.enter_async_context(supervisor.lease(name))
            yield service

    async def survey(self, lang: Lang = "en") -> Sequence[LocalModelView]:
        """Return every model without running any, with what other processes run on this data directory."""
        supervisor = Supervisor(self._ground, self._log_folder, self._notify)
        supervisor.update(await asyncio.to_thread(self._catalogue.scan))
        records = await asyncio.to_thread(self._records.others)
        return [with_records(view(state, lang), records) for state in supervisor.states()]

    async def rescan(self) -> None:
        """Look into the models folder now."""
        async with self._scanning:
            specs = await asyncio.to_thread(self._catalogue.scan)
            if self._supervisor is not None:
                self._supervisor.update(specs)

    async def _first_scan(self) -> None:
        await self.rescan()
        supervisor = self._supervisor
        for state in supervisor.states() if supervisor else ():
            if state.spec.run.autostart and supervisor is not None:
                try:
                    supervisor.start(state.spec.name)
                except TidemillError as problem:
                    log.warning("local_model.no_autostart", model=state.spec.name, problem=problem.message("en"))

    async def _watch(self, first: asyncio.Task[None]) -> None:
        await asyncio.wait({first})
        while True:
            await asyncio.sleep(self._settings.scan_interval_s)
            await self.rescan()

    async def _fulfil(self, name: str, wish: Wish) -> LocalModelView:
        return await (self.start(name, wait=True) if wish == "start" else self.stop(name, wait=True))

    def _borrowed(self, name: str, stack: AsyncExitStack) -> LocalService | None:
        """Take a place beside the running server's own requests; its idle clock stops while we hold it."""
        for record in self._records.ready(name):
            if stack.enter_context(self._records.using(record.pid)):
                return _service(record)
        return None

    def _running(self, name: str) -> Supervisor:
        if self._supervisor is None:
            raise LocalModelNotFound(name=name)
        return self._supervisor

    def _notify(self) -> None:
        names = self.names()
        if names != self._names:
            self._names = names
            for callback in tuple(self._subscribers):
                callback()


def _service(record: Record) -> LocalService:
    return LocalService(
        name=record.name,
        base_url=f"http://127.0.0.1:{record.port}/v1",
        api_key=record.api_key,
        port=record.port,
        pid=record.pid,
        slots=record.slots,
        context=record.context,
    )
