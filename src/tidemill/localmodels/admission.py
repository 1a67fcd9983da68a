"""Whether one more instance fits, and who should make room if not. Reads states, changes nothing."""

from collections.abc import Iterable, Sequence

from tidemill.kernel.errors import TidemillError
from tidemill.localmodels import rules
from tidemill.localmodels.errors import NotEnoughMemory
from tidemill.localmodels.ground import Phase
from tidemill.localmodels.memory import MemoryFacts
from tidemill.localmodels.model_state import ModelState
from tidemill.localmodels.sizes import readable


def needed_bytes(state: ModelState) -> int:
    """Memory that one instance of the model takes."""
    return rules.estimate_bytes(state.spec, state.observed_peak)


def free_bytes(facts: MemoryFacts, states: Iterable[ModelState], reserve_mb: int | None) -> int:
    """Memory for one more instance.

    Weights of running instances are mapped files, which the kernel counts as available although they are in use; an
    instance that loads has not yet taken the rest of its estimate.
    """
    promised = 0
    for state in states:
        for instance in state.instances:
            promised += state.spec.size_bytes
            if instance.phase in {Phase.STARTING, Phase.BACKOFF}:
                promised += max(0, needed_bytes(state) - state.spec.size_bytes)
    return facts.available - rules.reserve_bytes(facts.total, reserve_mb) - promised


def memory_problem(
    state: ModelState, states: Sequence[ModelState], facts: MemoryFacts, reserve_mb: int | None
) -> TidemillError | None:
    """Return why memory does not allow a start at this moment, None when it does."""
    needed, free = needed_bytes(state), free_bytes(facts, states, reserve_mb)
    if needed <= free:
        return None
    return NotEnoughMemory(name=state.spec.name, needed=readable(needed), free=readable(max(0, free)))


def enough_after_all(
    state: ModelState, states: Sequence[ModelState], facts: MemoryFacts, reserve_mb: int | None
) -> bool:
    """Tell whether the start would fit if every on-demand model were unloaded."""
    could_go = sum(needed_bytes(other) * len(other.instances) for other in movable(states, state))
    return needed_bytes(state) <= free_bytes(facts, states, reserve_mb) + could_go


def movable(states: Iterable[ModelState], but: ModelState) -> list[ModelState]:
    """On-demand models with live instances, least recently used first."""
    return sorted(
        (state for state in states if state is not but and state.live and not state.pinned),
        key=lambda state: state.last_used,
    )
