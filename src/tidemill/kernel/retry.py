"""Back-off between tries."""

import random as _random
from collections.abc import Callable


def full_jitter(attempt: int, base_s: float, cap_s: float, random: Callable[[], float] = _random.random) -> float:
    """Seconds to wait before try ``attempt`` (0 = first repeat): uniform in [0, min(cap, base * 2**attempt)].

    Source: "full jitter" of the AWS Architecture Blog's exponential back-off study (2015).
    """
    return random() * min(cap_s, base_s * 2 ** min(attempt, 62))
