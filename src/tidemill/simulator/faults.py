"""Which request fails, and how: drawn from a seeded source, or in the order a test asked for."""

import random
from collections import deque
from collections.abc import Iterable, Mapping

from tidemill.simulator.config import check_faults


class Faults:
    """Draws one fault kind (or none) for each request.

    ``script`` goes first, one entry a request, where ``ok`` lets a request pass; after it the shares decide.
    """

    def __init__(self, shares: Mapping[str, float], seed: int) -> None:
        self.shares = check_faults(shares)
        self._script: deque[str] = deque()
        self._dice = random.Random(f"faults:{seed}")  # noqa: S311 - repeatable faults, no secret

    def set(self, shares: Mapping[str, float]) -> None:
        """Replace the shares; raises BadInput and changes nothing when they are not valid."""
        self.shares = check_faults(shares)

    def follow(self, script: Iterable[str]) -> None:
        """Give the next requests these faults in order; replaces what is left of an earlier script."""
        kinds = list(script)
        check_faults(dict.fromkeys((kind for kind in kinds if kind != "ok"), 0.0))
        self._script = deque(kinds)

    def draw(self) -> str | None:
        """Return the next request's fault kind, None for a sound answer."""
        if self._script:
            kind = self._script.popleft()
            return None if kind == "ok" else kind
        if not self.shares:
            return None
        at = self._dice.random()
        for kind, share in self.shares.items():
            if at < share:
                return kind
            at -= share
        return None
