"""How much a model may think, in words and in tokens: each dialect knows one of the two."""

from collections.abc import Mapping
from types import MappingProxyType

from msgspec import UNSET, UnsetType

from tidemill.wire.canonical import Thinking

# What the word means in tokens of thinking; the figures other gateways use, so that a move changes no bill.
BUDGET_OF_EFFORT: Mapping[str, int] = MappingProxyType(
    {"minimal": 128, "low": 1024, "medium": 2048, "high": 4096, "xhigh": 8192, "max": 16384}
)
# Words that only some models know are not derived from a budget; a client that wants them says them.
_LOW, _MEDIUM = BUDGET_OF_EFFORT["low"], BUDGET_OF_EFFORT["medium"]


def is_off(thinking: Thinking) -> bool:
    """Tell whether the client wants none."""
    return thinking.mode == "off" or thinking.effort == "none" or thinking.budget == 0


def effort_of(thinking: Thinking) -> str | UnsetType:
    """Return the word for what is wanted; UNSET where the model shall decide."""
    if thinking.effort is not UNSET:
        return thinking.effort
    if thinking.budget is UNSET or thinking.budget < 0:
        return UNSET
    if thinking.budget <= _LOW:
        return "low"
    return "medium" if thinking.budget <= _MEDIUM else "high"


def budget_of(thinking: Thinking) -> int | UnsetType:
    """Return the tokens for what is wanted; UNSET where the model shall decide."""
    if thinking.budget is not UNSET:
        return thinking.budget if thinking.budget >= 0 else UNSET
    if thinking.effort is UNSET:
        return UNSET
    return BUDGET_OF_EFFORT.get(thinking.effort, UNSET)
