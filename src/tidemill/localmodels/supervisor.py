"""Decide which models run: starts, places for requests, eviction, idle unload.

Everything is decided in ``_pump``, which never awaits and runs after every event: a request came or went, an instance
changed, time passed. So there is one order of events and no lock. A request that waits is a reservation: its model is
not evicted, except when another model has waited longer than the patience; then the least recently used one gives no
new places, ends what it has, and those still waiting for it get in line again.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from tidemill.kernel import clock
from tidemill.localmodels import figures, rules
from tidemill.localmodels.contracts import LocalService
from tidemill.localmodels.errors import (
    CpuNotSupported,
    LocalModelBusy,
    LocalModelFailed,
    LocalModelNotFound,
    LocalModelStopped,
    again,
)
from tidemill.localmodels.ground import Ground, Phase
from tidemill.localmodels.logs import ModelLog
from tidemill.localmodels.model_state import Grant, ModelState, Waiter
from tidemill.localmodels.room import Room
from tidemill.localmodels.spec import ModelSpec

_RETRY_AFTER_S: Final = 5.0
_LOOK_AGAIN_S: Final = 0.5  # ports and memory that other programs give back are not announced
_SHORTEST_NAP_S: Final = 0.01


class Supervisor:
    """Owns every instance. All methods run on the loop's thread."""

    def __init__(self, ground: Ground, log_folder: Path, on_change: Callable[[], None]) -> None:
        self._ground = ground
        self._settings = ground.settings
        self._log_folder = log_folder
        self._on_change = on_change
        self._room = Room(ground, self.pump)
        self._states: dict[str, ModelState] = {}
        self._shown: object = None
        self._woken = asyncio.Event()
        self._changes: set[asyncio.Future[None]] = set()
        self._pumping = False
        self._pump_again = False
        self._closing = False

    def states(self) -> list[ModelState]:
        """Every model by name."""
        return [self._states[name] for name in sorted(self._states)]

    def update(self, specs: Mapping[str, ModelSpec]) -> None:
        """Take over a new catalogue; a model that has gone is forgotten once its instances have ended."""
        for name, spec in specs.items():
            state = self._states.get(name)
            if state is None:
                output = ModelLog(name, self._log_folder, self._settings.log_max_mb * 1_000_000)
                self._states[name] = ModelState(spec, output)
            elif state.spec != spec:
                state.spec = spec
                state.failure = None
        for name in self._states.keys() - specs.keys():
            state = self._states[name]
            if not state.instances:
                state.refuse(LocalModelNotFound(name=name))
                state.log.close()
                del self._states[name]
        self.pump()

    def state(self, name: str) -> ModelState:
        """Return one model. Raises LocalModelNotFound."""
        state = self._states.get(name)
        if state is None:
            raise LocalModelNotFound(name=name)
        return state

    def start(self, name: str) -> ModelState:
        """Start a model and keep it until it is stopped; nothing changes when it already runs.

        Raises LocalModelNotFound, the file's problem, PortRangeExhausted or NotEnoughMemory when nothing idle can go.
        """
        state = self._runnable(name)
        state.failure = None
        was_pinned, state.pinned = state.pinned, True
        if state.live:
            self._room.launch(state, list(self._states.values()))
        elif state.wanted_since is None:
            state.wanted_since = clock.monotonic()
            problem = self._room.try_start(state, list(self._states.values()))
            if problem is not None:
                state.wanted_since = None
                state.pinned = was_pinned
                raise again(problem)
        self.pump()
        return state

    def stop(self, name: str, grace_s: float | None = None) -> ModelState:
        """Stop a model after its requests in flight; those who wait are sent away. Raises LocalModelNotFound."""
        state = self.state(name)
        state.pinned = False
        state.wanted_since = None
        state.failure = None
        state.refuse(LocalModelStopped(name=name))
        for instance in list(state.instances):
            instance.stop(self._settings.stop_grace_s if grace_s is None else grace_s)
        self.pump()
        return state

    async def settled(self, name: str) -> ModelState:
        """Wait until a model is neither starting nor stopping."""
        while True:
            state = self.state(name)
            if state.status not in {"starting", "stopping"}:
                return state
            await self._next_change()

    @asynccontextmanager
    async def lease(self, name: str) -> AsyncGenerator[LocalService]:
        """Hold a place on an instance, starting the model if need be.

        Raises LocalModelNotFound, the model's failure, LocalModelBusy when the queue is full or the wait too long.
        """
        grant = await self._place(name)
        try:
            yield grant.service
        finally:
            self._give_back(name, grant)

    async def run(self) -> None:
        """Look after time: idle unload and patience. Runs until cancelled."""
        while True:
            self._woken.clear()
            try:
                async with asyncio.timeout(self._seconds_to_next()):
                    await self._woken.wait()
            except TimeoutError:
                self.pump()

    async def close(self) -> None:
        """Stop everything now and wait until it has ended."""
        self._closing = True
        for state in self._states.values():
            state.wanted_since = None
            state.refuse(LocalModelStopped(name=state.spec.name))
            for instance in state.instances:
                instance.stop(0)
        while any(state.instances for state in self._states.values()):
            await self._next_change()
        for state in self._states.values():
            state.log.close()

    def pump(self) -> None:
        """Make every decision that can be made now."""
        if self._pumping:
            self._pump_again = True
            return
        self._pumping = True
        try:
            while True:
                self._pump_again = False
                self._decide()
                if not self._pump_again:
                    break
        finally:
            self._pumping = False
        self._changed()

    def _decide(self) -> None:
        states = list(self._states.values())
        for state in states:
            state.settle()
        if not self._closing:
            self._room.keep_line(states)
        for state in states:
            state.grant()
        if self._closing:
            return
        self._room.serve_line(states)
        now = clock.monotonic()
        for state in states:
            since = state.idle_since
            if since is not None and now - since >= state.spec.idle_timeout_s:
                self._room.evict(state)

    def _runnable(self, name: str) -> ModelState:
        state = self.state(name)
        if state.spec.problem is not None:
            raise again(state.spec.problem)
        return state

    async def _place(self, name: str) -> Grant:
        state = self._runnable(name)
        if isinstance(state.failure, LocalModelFailed | CpuNotSupported) and not state.live:
            raise again(state.failure)
        if self._closing:
            raise LocalModelStopped(name=name)
        if len(state.waiters) >= self._settings.queue_limit:
            raise LocalModelBusy(name=name, queued=len(state.waiters), retry_after_s=_RETRY_AFTER_S)
        limit_s = self._settings.queue_timeout_s
        if not any(one.phase is Phase.READY for one in state.live):
            limit_s += rules.load_deadline_s(state.spec.size_bytes, self._settings.load_timeout_s)
        waiter = Waiter(asyncio.get_running_loop().create_future(), clock.monotonic())
        state.waiters.append(waiter)
        self.pump()
        try:
            async with asyncio.timeout(limit_s):
                return await asyncio.shield(waiter.place)
        except TimeoutError:
            self._withdraw(name, waiter)
            raise LocalModelBusy(name=name, queued=len(state.waiters), retry_after_s=_RETRY_AFTER_S) from None
        except asyncio.CancelledError:
            self._withdraw(name, waiter)
            raise

    def _withdraw(self, name: str, waiter: Waiter) -> None:
        """Give up the turn of a caller who left, or the place it was given in the same moment."""
        if not waiter.place.done():
            waiter.place.cancel()
            state = self._states.get(name)
            if state is not None and waiter in state.waiters:
                state.waiters.remove(waiter)
            self.pump()
        elif not waiter.place.cancelled() and waiter.place.exception() is None:
            self._give_back(name, waiter.place.result())

    def _give_back(self, name: str, grant: Grant) -> None:
        grant.instance.give_back(grant.generation)
        state = self._states.get(name)
        if state is not None:
            state.last_used = clock.monotonic()
            state.served += 1
        self.pump()

    def _seconds_to_next(self) -> float | None:
        """How long until time alone may change a decision; None when only an event can."""
        now = clock.monotonic()
        moments: list[float] = []
        for state in self._states.values():
            since = state.idle_since
            if since is not None:
                moments.append(since + state.spec.idle_timeout_s - now)
            if state.wanted_since is not None:
                moments.append(max(_LOOK_AGAIN_S, state.wanted_since + self._settings.eviction_patience_s - now))
        return max(_SHORTEST_NAP_S, min(moments)) if moments else None

    async def _next_change(self) -> None:
        change: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._changes.add(change)
        try:
            await change
        finally:
            self._changes.discard(change)

    def _changed(self) -> None:
        self._woken.set()
        for change in self._changes:
            if not change.done():
                change.set_result(None)
        shown = [(name, state.status, len(state.live)) for name, state in self._states.items()]
        if shown != self._shown:
            self._shown = shown
            for status in figures.STATUSES:
                figures.models.labels(status).set(sum(entry[1] == status for entry in shown))
            self._on_change()
