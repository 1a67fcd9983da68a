"""One instance of a model: the state machine around its process.

starting -> ready -> draining -> stopping -> stopped, with back-off after a crash and failed where a repeat would not
help. One task runs the machine and makes every transition; others only ask it to stop.
"""

import asyncio
import random
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tidemill.kernel import clock
from tidemill.kernel.errors import TidemillError
from tidemill.localmodels import command, figures, rules
from tidemill.localmodels.contracts import LocalService
from tidemill.localmodels.errors import CpuNotSupported, LocalModelFailed, PortRangeExhausted
from tidemill.localmodels.ground import Ground, Phase
from tidemill.localmodels.logs import ModelLog
from tidemill.localmodels.memory import resident_bytes
from tidemill.localmodels.process import ServerProcess, launch
from tidemill.localmodels.records import Record, started_at, this_process
from tidemill.localmodels.rules import Ending
from tidemill.localmodels.spec import ModelSpec
from tidemill.platform.telemetry import get_logger

log = get_logger(__name__)

_FIRST_POLL_S: Final = 0.025
_SLOWEST_POLL_S: Final = 0.25
_PROBE_TIMEOUT_S: Final = 5.0
_MISSES_TO_KILL: Final = 3
_LOG_LINES_IN_ERROR: Final = 20


class Instance:
    """One process and its successors after crashes; ``in_flight`` counts the leases on the present process."""

    def __init__(
        self,
        spec: ModelSpec,
        replica: int,
        port: int,
        thread_count: int,
        ground: Ground,
        output: ModelLog,
        on_change: Callable[[], None],
    ) -> None:
        self.spec = spec
        self.replica = replica
        self.port = port
        self.phase = Phase.STARTING
        self.healthy = False
        self.in_flight = 0
        self.generation = 0
        self.crashes: list[float] = []
        self.crash_count = 0
        self.restart_at = 0.0
        self.ready_at = 0.0
        self.failure: TidemillError | None = None
        self.process: ServerProcess | None = None
        self.peak_bytes = 0
        self._threads = thread_count
        self._ground = ground
        self._output = output
        self._on_change = on_change
        self._api_key = ""
        self._binary = Path()
        self._reason = ""
        self._first_line = 0
        self._without: frozenset[str] = frozenset()
        self._bad_ports: frozenset[int] = frozenset()
        self._grace_s = 0.0
        self._stop: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._drained = asyncio.Event()

    @property
    def pid(self) -> int | None:
        """The process, while there is one."""
        return self.process.pid if self.process is not None else None

    @property
    def alive(self) -> bool:
        """Whether the machine is still running."""
        return self.phase not in {Phase.STOPPED, Phase.FAILED}

    @property
    def free_slots(self) -> int:
        """How many requests it could take at this moment."""
        return self.spec.slots - self.in_flight if self.phase is Phase.READY and self.healthy else 0

    @property
    def api_key(self) -> str:
        """The present process's key."""
        return self._api_key

    def service(self, model_slots: int) -> LocalService:
        """Return the address of the ready process; ``model_slots`` counts those of all instances."""
        return LocalService(
            name=self.spec.name,
            base_url=f"http://127.0.0.1:{self.port}/v1",
            api_key=self._api_key,
            port=self.port,
            pid=self.pid or 0,
            slots=model_slots,
            context=self.spec.context,
        )

    def take(self) -> int:
        """Count one request in; returns the generation to give back."""
        self.in_flight += 1
        return self.generation

    def give_back(self, generation: int) -> None:
        """Count one request out, unless its process is long gone."""
        if generation == self.generation:
            self.in_flight -= 1
            if self.in_flight == 0:
                self._drained.set()

    def stop(self, grace_s: float) -> None:
        """Ask it to stop after at most ``grace_s`` for requests in flight; a second call can only shorten that."""
        if self._stop.done():
            if grace_s < self._grace_s:
                self._drained.set()
            return
        self._grace_s = grace_s
        self._stop.set_result(0)
        if self.alive:
            self._enter(Phase.DRAINING if self.phase is Phase.READY else Phase.STOPPING)

    async def run(self) -> None:
        """Run until stopped or failed."""
        try:
            while not self._stop.done():
                ending = await self._live()
                if ending is Ending.STOPPED or not await self._recover(ending):
                    break
        except OSError as problem:
            self._fail(f"{self._binary}: {problem.strerror or problem}")
        except TidemillError as problem:
            self.failure = problem
        finally:
            self._ground.ports.free(self.port)
            self._enter(Phase.FAILED if self.failure is not None else Phase.STOPPED)

    async def _live(self) -> Ending:
        """Start one process and stay with it to its end."""
        self._enter(Phase.STARTING)
        self._binary = self._ground.find_binary()
        self._api_key = secrets.token_urlsafe(24)
        words = [str(self._binary), *command.arguments(self.spec, self.port, self._threads, self._without)]
        self._output.add(f"tidemill: {' '.join(words)}")
        self._first_line = self._output.tail(0).next
        child = await launch(
            words,
            command.environment(self._ground.environment, self._binary, self._api_key),
            self._output.add,
            self._ground.tasks,
        )
        self.process = child
        figures.starts.inc()
        loading, reason = True, ""
        try:
            self._record(child.pid, ready=False)
            reason = await self._until_ready(child)
            loading = self.phase is not Phase.READY and not self._stop.done()
            if self.phase is Phase.READY:
                reason = await self._while_ready(child)
            if self._stop.done():
                await self._drain(child)
            code = await child.end() if not child.ended.done() else await child.ended
        finally:
            if not child.ended.done():
                child.ended.cancel()
            self._ground.records.remove(child.pid)
            self.process = None
            self.healthy = False
            self.in_flight = 0
            self.generation += 1
        asked = self._stop.done()
        ending = rules.ending(
            code,
            asked=asked,
            loading=loading,
            log=self._last_lines(),
            memory_low=self._memory_is_low(),
        )
        self._output.add(f"tidemill: process {child.pid} ended with {rules.describe_exit(code)}")
        self._reason = reason or rules.describe_exit(code)
        if asked or not loading:
            return ending
        if code > 0 and self._ground.ports.is_listened_on(self.port):
            return Ending.PORT_TAKEN
        return Ending.REFUSED if reason else ending

    async def _until_ready(self, child: ServerProcess) -> str:
        """Poll health until it is ready, ends or is told to stop; returns why it never got ready, if it hung."""
        deadline = clock.monotonic() + rules.load_deadline_s(self.spec.size_bytes, self._ground.settings.load_timeout_s)
        pause = _FIRST_POLL_S
        while not (child.ended.done() or self._stop.done()):
            if await self._answers(child) and not self._stop.done():
                self.ready_at = clock.monotonic()
                self._record(child.pid, ready=True)
                self.healthy = True
                self._drained.clear()
                self._enter(Phase.READY)
                log.info("local_model.ready", model=self.spec.name, port=self.port, pid=child.pid)
                return ""
            if clock.monotonic() > deadline:
                return "it did not get ready in time"
            await asyncio.wait({child.ended, self._stop}, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
            pause = min(_SLOWEST_POLL_S, pause * 1.5)
        return ""

    async def _answers(self, child: ServerProcess) -> bool:
        probe = self._ground.probe
        if not await probe.healthy(self.port, _PROBE_TIMEOUT_S):
            return False
        return await probe.is_ours(self.port, self._api_key, _PROBE_TIMEOUT_S) and not child.ended.done()

    async def _while_ready(self, child: ServerProcess) -> str:
        """Watch health until it ends, is told to stop, or misses three checks in a row; returns the reason then."""
        misses = 0
        while True:
            done, _ = await asyncio.wait(
                {child.ended, self._stop},
                timeout=self._ground.settings.health_interval_s,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if done:
                return ""
            well = await self._ground.probe.healthy(self.port, _PROBE_TIMEOUT_S)
            self.peak_bytes = max(self.peak_bytes, resident_bytes(child.pid) or 0)
            misses = 0 if well else misses + 1
            if well is not self.healthy:
                self.healthy = well
                self._on_change()
            if misses >= _MISSES_TO_KILL:
                return f"it missed {misses} health checks"

    async def _drain(self, child: ServerProcess) -> None:
        """Let requests in flight end, at most for the grace that the stop allowed."""
        if self.in_flight and self._grace_s > 0 and not child.ended.done():
            drained = self._ground.tasks.spawn(f"drain of {self.spec.name}", _happened(self._drained))
            await asyncio.wait({drained, child.ended}, timeout=self._grace_s, return_when=asyncio.FIRST_COMPLETED)
            drained.cancel()
        self._enter(Phase.STOPPING)

    async def _recover(self, ending: Ending) -> bool:
        """Decide what follows an exit nobody asked for; returns whether to try again."""
        if ending is Ending.PORT_TAKEN:
            return self._take_another_port()
        if ending is Ending.FLAG_UNKNOWN:
            flag = command.unknown_flag("\n".join(self._last_lines()))
            if flag is not None and flag not in self._without:
                self._without |= {flag}
                return True
        if ending is Ending.CPU:
            self.failure = CpuNotSupported(binary=str(self._binary))
            return False
        if ending is Ending.MEMORY:
            self._fail("the system ended it for lack of memory")
            return False
        if ending is not Ending.CRASHED:
            self._fail(self._reason)
            return False
        return await self._back_off()

    def _take_another_port(self) -> bool:
        ports = self._ground.ports
        self._bad_ports |= {self.port}
        ports.free(self.port)
        port = ports.claim(self._bad_ports)
        if port is None:
            self.failure = PortRangeExhausted(first=ports.first, last=ports.last)
            return False
        self.port = port
        return True

    async def _back_off(self) -> bool:
        now = clock.monotonic()
        self.crashes = [*rules.recent(self.crashes, now), now]
        self.crash_count += 1
        figures.crashes.inc()
        log.warning("local_model.crashed", model=self.spec.name, reason=self._reason, crashes=len(self.crashes))
        if len(self.crashes) >= rules.CRASHES_TO_FAIL:
            self._fail(f"{len(self.crashes)} crashes in 5 minutes, the last by {self._reason}")
            return False
        pause = rules.backoff_s(len(self.crashes), random.random())  # noqa: S311 - spreads restarts, guards nothing
        self.restart_at = now + pause
        self._enter(Phase.BACKOFF)
        await asyncio.wait({self._stop}, timeout=pause)
        return not self._stop.done()

    def _fail(self, reason: str) -> None:
        lines = [line for line in self._last_lines() if line.strip()]
        self.failure = LocalModelFailed(name=self.spec.name, reason=reason, log="\n".join(lines))
        log.warning("local_model.failed", model=self.spec.name, reason=reason)

    def _last_lines(self) -> list[str]:
        """Return the end of what the present process said."""
        return self._output.tail(_LOG_LINES_IN_ERROR, self._first_line).lines

    def _enter(self, phase: Phase) -> None:
        self.phase = phase
        self._on_change()

    def _memory_is_low(self) -> bool:
        """Tell whether it would not fit at this moment, even with its own memory given back."""
        facts = self._ground.read_memory()
        reserve = rules.reserve_bytes(facts.total, self._ground.settings.memory_reserve_mb)
        return facts.available - reserve < rules.estimate_bytes(self.spec, self.peak_bytes)

    def _record(self, pid: int, *, ready: bool) -> None:
        owner_pid, owner_started = this_process()
        try:
            self._ground.records.write(
                Record(
                    pid=pid,
                    started=started_at(pid),
                    owner_pid=owner_pid,
                    owner_started=owner_started,
                    name=self.spec.name,
                    port=self.port,
                    api_key=self._api_key,
                    slots=self.spec.slots,
                    context=self.spec.context,
                    ready=ready,
                )
            )
        except OSError as problem:  # a full disk: the death pact holds without the record, only sharing is lost
            log.warning("local_model.no_record", model=self.spec.name, problem=problem.strerror)


async def _happened(event: asyncio.Event) -> int:
    await event.wait()
    return 0
