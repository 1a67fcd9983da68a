"""Limit failed sign-ins: 10 for an account and 100 from an address in 15 minutes.

Kept in memory: a restart forgives, another instance counts on its own. An attempt counts from its beginning and is
taken back when it succeeds, so that many at once cannot slip under the limit. Bounded: past 20,000 names the ones
that have been quiet longest are forgotten.
"""

from collections import OrderedDict, deque

from tidemill.identity.errors import TooManyAttempts
from tidemill.kernel import clock

WINDOW_S = 15 * 60.0
PER_ACCOUNT = 10
PER_ADDRESS = 100
MAX_NAMES = 20_000


class Attempt:
    """One sign-in under way; a failure unless ``succeeded`` is called."""

    def __init__(self, owner: "SignInAttempts", names: tuple[str, ...], at_s: float) -> None:
        self._owner = owner
        self._names = names
        self._at_s = at_s

    def succeeded(self) -> None:
        """Take the attempt back: successes do not count."""
        self._owner.forget(self._names, self._at_s)


class SignInAttempts:
    """Failures of the last 15 minutes by account and by address."""

    def __init__(self, *, limited: bool = True) -> None:
        self._limited = limited
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()

    def __len__(self) -> int:
        """How many accounts and addresses are remembered."""
        return len(self._failures)

    def begin(self, account: str, address: str | None) -> Attempt:
        """Count an attempt; raises TooManyAttempts with the seconds after which it is worth trying again."""
        now = clock.monotonic()
        limits = {f"account {account}": PER_ACCOUNT}
        if address is not None:
            limits[f"address {address}"] = PER_ADDRESS
        if not self._limited:
            return Attempt(self, (), now)
        waits = [self._wait_s(name, limit, now) for name, limit in limits.items()]
        if max(waits) > 0:
            raise TooManyAttempts(retry_after_s=max(waits))
        for name in limits:
            self._failures.setdefault(name, deque()).append(now)
            self._failures.move_to_end(name)
        while len(self._failures) > MAX_NAMES:
            self._failures.popitem(last=False)
        return Attempt(self, tuple(limits), now)

    def forget(self, names: tuple[str, ...], at_s: float) -> None:
        """Take one attempt back."""
        for name in names:
            times = self._failures.get(name)
            if times is None or at_s not in times:
                continue
            times.remove(at_s)
            if not times:
                del self._failures[name]

    def _wait_s(self, name: str, limit: int, now: float) -> float:
        times = self._failures.get(name)
        if times is None:
            return 0.0
        while times and times[0] <= now - WINDOW_S:
            times.popleft()
        return times[-limit] + WINDOW_S - now if len(times) >= limit else 0.0
