"""How many calls one service gets at once: found out by trying, not configured.

Starts at min(8, ceiling) and doubles after each full round (as many successes as the limit) while throughput rises by
5 %; then one more per 25 successes. A refusal (429, 503) takes 0.7 of it, a time-out half, once per burst: only calls
that were admitted at the present limit count, so that sixty refusals of one overshoot are one piece of news.

When answers take twice as long per token as they once did, over at least 32 of them, and throughput has not risen, the
limit gives back a tenth, never below where it started: a busy service is a reason to send less, a short answer among
long ones is none. Generating and judging are measured apart, since their answers differ in length by design.

A round, not a second, is the window: calls last from 50 ms to minutes, and a second holds many rounds of the one and
none of the other. Pure: time comes in through the arguments.
"""

from msgspec import Struct

START = 8
GROW_EVERY = 25
RISE = 1.05
REFUSED = 0.7
TIMED_OUT = 0.5
SLOWED = 0.9
FLAT_ROUNDS = 2
SLOW_WINDOW = 32
HOLD_AT = 1.5
SHRINK_AT = 2.0
# Once a window: what was best fades, so that a service that changed for good is measured anew.
FADE = 1.02


class Admission(Struct, frozen=True):
    """When and under which limit a call was let in."""

    generation: int
    at_s: float


class _Pace:
    """Seconds per output token of one kind of call: over the present window, and at its best."""

    def __init__(self) -> None:
        self.best = 0.0
        self.seconds = 0.0
        self.tokens = 0

    def close(self) -> float:
        """End the window; returns the seconds that its tokens would have taken at the best pace."""
        if not self.tokens:
            return 0.0
        now = self.seconds / self.tokens
        self.best = min(self.best * FADE, now) if self.best else now
        expected = self.best * self.tokens
        self.seconds, self.tokens = 0.0, 0
        return expected


class AdaptiveLimit:
    """The concurrency limit of one service. Invariant: 1 <= limit <= max(1, ceiling)."""

    def __init__(self, ceiling: int, now_s: float) -> None:
        self.ceiling = max(1, ceiling)
        self._value = float(min(START, self.ceiling))
        self._generation = 0
        self._doubling = True
        self._flat_rounds = 0
        self._best_rate = 0.0
        self._paces: dict[str, _Pace] = {}
        self._hold = False
        self._since_growth = 0
        self._round_started_s = now_s
        self._round_done = 0
        self._round_seconds = 0.0

    @property
    def limit(self) -> int:
        """Calls that may be in flight now."""
        return max(1, min(int(self._value), self.ceiling))

    def raise_ceiling_to(self, ceiling: int) -> None:
        """Take over the service's configured maximum when it changes."""
        self.ceiling = max(1, ceiling)

    def admit(self, now_s: float) -> Admission:
        """Note that a call goes out."""
        return Admission(self._generation, now_s)

    def succeeded(
        self, admission: Admission, now_s: float, output_tokens: int, *, saturated: bool, kind: str = ""
    ) -> None:
        """Count a success of one ``kind`` of call; ``saturated``: the limit, not a lack of work, held calls back."""
        if admission.generation != self._generation:
            return
        pace = self._paces.setdefault(kind, _Pace())
        pace.seconds += now_s - admission.at_s
        pace.tokens += max(1, output_tokens)
        self._round_seconds += now_s - admission.at_s
        self._round_done += 1
        if not self._doubling and saturated and not self._hold:
            self._since_growth += 1
            if self._since_growth >= GROW_EVERY:
                self._since_growth = 0
                self._value = min(self._value + 1, float(self.ceiling))
        if self._round_done >= (self.limit if self._doubling else max(self.limit, SLOW_WINDOW)):
            self._close_round(now_s, saturated=saturated)

    def refused(self, admission: Admission, now_s: float) -> bool:
        """Shrink after a 429 or 503; returns False when this burst has already been heard."""
        return self._shrink(admission, now_s, REFUSED)

    def timed_out(self, admission: Admission, now_s: float) -> bool:
        """Shrink after a time-out; returns False when this burst has already been heard."""
        return self._shrink(admission, now_s, TIMED_OUT)

    def _shrink(self, admission: Admission, now_s: float, factor: float) -> bool:
        if admission.generation != self._generation:
            return False
        self._doubling = False
        self._new_generation(max(1.0, self.limit * factor), now_s)
        return True

    def _close_round(self, now_s: float, *, saturated: bool) -> None:
        rate = self._round_done / max(now_s - self._round_started_s, 1e-6)
        rose = rate >= self._best_rate * RISE
        self._best_rate = max(self._best_rate / FADE, rate)
        expected_s = sum(pace.close() for pace in self._paces.values())
        slowdown = self._round_seconds / expected_s if expected_s > 0 else 1.0
        self._start_round(now_s)
        if self._doubling:
            self._consider_doubling(now_s, rose=rose, saturated=saturated)
            return
        self._hold = slowdown > HOLD_AT and not rose
        if slowdown > SHRINK_AT and not rose and self.limit > START:
            self._new_generation(max(float(START), self.limit * SLOWED), now_s)

    def _consider_doubling(self, now_s: float, *, rose: bool, saturated: bool) -> None:
        if not saturated:
            return
        if rose:
            self._flat_rounds = 0
            self._new_generation(min(float(self.ceiling), self.limit * 2.0), now_s)
            self._doubling = self.limit < self.ceiling
            return
        self._flat_rounds += 1
        if self._flat_rounds >= FLAT_ROUNDS:
            self._doubling = False

    def _new_generation(self, value: float, now_s: float) -> None:
        self._value = value
        self._generation += 1
        self._since_growth = 0
        self._start_round(now_s)

    def _start_round(self, now_s: float) -> None:
        self._round_started_s = now_s
        self._round_done = 0
        self._round_seconds = 0.0
        for pace in self._paces.values():
            pace.seconds, pace.tokens = 0.0, 0
