"""Hold keys, users, models and channels to calls a minute, tokens a minute and calls at once, in one check."""

from tidemill.relay.limits.contracts import Bound, Claim, Refusal, Standing
from tidemill.relay.limits.engines import Limits, open_limits
from tidemill.relay.limits.memory import MemoryLimits

__all__ = ["Bound", "Claim", "Limits", "MemoryLimits", "Refusal", "Standing", "open_limits"]
