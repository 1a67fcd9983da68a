"""The line of models that want to run, and who makes room for them.

The line is served in order. A model further back may start when it fits beside what runs; only the first one that
does not fit may ask others to go. Idle on-demand models go at once; a busy one is asked after the patience.
"""

import os
from collections.abc import Callable, Sequence
from typing import Final

from tidemill.kernel import clock
from tidemill.kernel.errors import TidemillError
from tidemill.localmodels import admission, figures, rules
from tidemill.localmodels.errors import NotEnoughMemory, PortRangeExhausted
from tidemill.localmodels.ground import Ground
from tidemill.localmodels.instance import Instance
from tidemill.localmodels.model_state import ModelState

_MEMORY_SETTLES_S: Final = 5.0  # an ended process's memory is not always counted as free at once


class Room:
    """Starts and evicts; never awaits."""

    def __init__(self, ground: Ground, on_change: Callable[[], None]) -> None:
        self._ground = ground
        self._settings = ground.settings
        self._on_change = on_change
        self._memory_settles_at = 0.0

    def keep_line(self, states: Sequence[ModelState]) -> None:
        """Let models join the line that requests wait for, and leave it when these have gone."""
        now = clock.monotonic()
        for state in states:
            if state.waiters and not state.live and state.wanted_since is None:
                state.wanted_since = now
            elif not state.waiters and not state.pinned:
                state.wanted_since = None
        if all(state.wanted_since is None for state in states):
            for state in states:
                state.yielding = False

    def serve_line(self, states: Sequence[ModelState]) -> None:
        """Start who fits, and make room for the first who does not."""
        line = [(state.wanted_since, state) for state in states if state.wanted_since is not None]
        blocked = False
        for _, state in sorted(line, key=lambda entry: entry[0]):
            if blocked and self.obstacle(state, states) is not None:
                continue
            problem = self.try_start(state, states)
            if problem is not None:
                state.wanted_since = None
                if state.pinned:
                    state.pinned = False
                    state.failure = problem
                state.refuse(problem)
            blocked = blocked or state.wanted_since is not None

    def try_start(self, state: ModelState, states: Sequence[ModelState]) -> TidemillError | None:
        """Start, or begin to make room and stay in line; returns the problem when there is no hope.

        Requests wait for busy on-demand models to end their work; a start by hand does not.
        """
        problem = None if state.leaving else self.obstacle(state, states)
        if problem is None and not state.leaving:
            state.wanted_since = None
            self.launch(state, states)
        if problem is None or any(other.leaving for other in states):
            return None
        if isinstance(problem, NotEnoughMemory) and clock.monotonic() < self._memory_settles_at:
            return None
        if self._hopeless(state, states, problem):
            return problem
        candidates = admission.movable(states, state)
        if any(self.evict(other) for other in candidates if not other.busy):
            return None
        if not candidates or not state.waiters:
            return problem
        self._ask_for_room(state, candidates)
        return None

    def obstacle(self, state: ModelState, states: Sequence[ModelState]) -> TidemillError | None:
        """Return why no instance can be started at this moment."""
        if self._settings.memory_check:
            facts = self._ground.read_memory()
            problem = admission.memory_problem(state, states, facts, self._settings.memory_reserve_mb)
            if problem is not None:
                return problem
        ports = self._ground.ports
        port = ports.claim()
        if port is None:
            return PortRangeExhausted(first=ports.first, last=ports.last)
        ports.free(port)
        return None

    def launch(self, state: ModelState, states: Sequence[ModelState]) -> None:
        """Start the instances that are missing, as far as ports and memory go."""
        there = {instance.replica for instance in state.instances}
        for replica in range(state.spec.replicas):
            if replica in there:
                continue
            port = None if self.obstacle(state, states) is not None else self._ground.ports.claim()
            if port is None:
                state.log.add(f"tidemill: no room for instance {replica + 1} of {state.spec.replicas}")
                return
            running = 1 + sum(len(other.live) for other in states)
            count = rules.threads(_cores(), running, state.spec.run.threads)
            instance = Instance(state.spec, replica, port, count, self._ground, state.log, self._on_change)
            state.instances.append(instance)
            self._ground.tasks.spawn(f"local model {state.spec.name}", instance.run())

    def evict(self, state: ModelState) -> bool:
        """Stop a model's instances, unless another program uses one at this moment."""
        instances = state.live
        for instance in instances:
            if instance.pid is not None and not self._ground.records.claim(instance.pid):
                state.last_used = clock.monotonic()
                return False
        figures.evictions.inc()
        for instance in instances:
            instance.stop(0)
        self._memory_settles_at = clock.monotonic() + _MEMORY_SETTLES_S
        return True

    def _hopeless(self, state: ModelState, states: Sequence[ModelState], problem: TidemillError) -> bool:
        """Tell whether memory would not suffice even with every on-demand model unloaded."""
        return isinstance(problem, NotEnoughMemory) and not admission.enough_after_all(
            state, states, self._ground.read_memory(), self._settings.memory_reserve_mb
        )

    def _ask_for_room(self, state: ModelState, candidates: Sequence[ModelState]) -> None:
        """Ask the least recently used model that had its time to end its work, and let it go once it has.

        Its time is the patience since it got ready: one asked while it loads would never serve anybody.
        """
        moment = clock.monotonic() - self._settings.eviction_patience_s
        if state.wanted_since is not None and state.wanted_since <= moment:
            served = [one for one in candidates if one.ready_since is not None and one.ready_since <= moment]
            if served and not any(one.yielding for one in candidates):
                served[0].yielding = True
        for other in candidates:
            if other.yielding and not other.in_flight:
                self.evict(other)


def _cores() -> int:
    """Cores this process may use; macOS cannot tell and gives all."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
