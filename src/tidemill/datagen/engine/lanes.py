"""The model services that carry a task's calls, and who may call which one next.

Each lane is one service (a channel and its upstream model) with an adaptive limit. Whoever needs a call waits in one
line per task; a lane that has room takes the next from it, so fast services take more and a dead one takes nothing:
work stealing without a plan of who does what. Tasks take turns when they meet on a lane.

A lane that fails rests: a little after a first failure, 5 s doubling to 60 s from the fifth in a row, and then lets
one call through to see. Lanes belong to the process, not to a task: two tasks on one service share what was learnt.
"""

import asyncio
import random
from collections import OrderedDict, deque
from collections.abc import Sequence

from msgspec import Struct

from tidemill.datagen.engine.limits import AdaptiveLimit, Admission
from tidemill.datagen.ports import ModelCalls
from tidemill.kernel import clock
from tidemill.kernel.retry import full_jitter
from tidemill.relay.contracts import ServiceView

REFRESH_S = 1.0
# For a service that sets no limit of its own; the task's max_concurrent is the bound then.
UNBOUNDED = 1024
OPEN_AFTER = 5
REFUSING_AFTER = 8
PLAINEST = 2
OPEN_S = 5.0
OPEN_MAX_S = 60.0
SHORT_REST_S = 0.25
SHORT_REST_MAX_S = 2.0
REFUSED_REST_S = 0.5
REFUSED_REST_MAX_S = 20.0
LATENCIES_KEPT = 256
LATENCY_WEIGHT = 0.1


class Lane:
    """One service. Invariant: in_flight counts the tickets that are out."""

    def __init__(self, view: ServiceView, now_s: float) -> None:
        self.channel_id = view.channel_id
        self.channel = view.channel
        self.upstream_model = view.upstream_model
        self.limit = AdaptiveLimit(view.limit or UNBOUNDED, now_s)
        self.in_flight = 0
        self.failures = 0
        self.refusals = 0
        self.last_failure = ""
        self.rests_until_s = 0.0
        self.local = view.is_local
        # How much structure this service takes in a request: 0 a JSON schema, 1 JSON mode, 2 neither.
        self.plainness = 0
        self._format_proven = False
        self.latency_s = 0.0
        self.latencies_s: deque[float] = deque(maxlen=LATENCIES_KEPT)

    @property
    def open(self) -> bool:
        """Tell whether the lane counts as down: five failures in a row and no success since."""
        return self.failures >= OPEN_AFTER

    @property
    def breaker(self) -> str:
        """The state in a breaker's words."""
        if not self.open:
            return "closed"
        return "open" if clock.monotonic() < self.rests_until_s else "half_open"

    @property
    def room(self) -> int:
        """Calls that the lane would take if it is not resting; one while it is being tried again."""
        return (1 if self.open else self.limit.limit) - self.in_flight

    def takes(self, now_s: float) -> bool:
        """Tell whether the lane takes a call now."""
        return now_s >= self.rests_until_s and self.room > 0

    def format_works(self, plainness: int) -> None:
        """Note that a request of this plainness was answered: a refusal of it is about something else."""
        if plainness == self.plainness:
            self._format_proven = True

    def try_plainer(self, plainness: int) -> bool:
        """After a client error: tell whether a plainer request is worth a try (perhaps only the format is unknown)."""
        if plainness < self.plainness:
            return True
        if self._format_proven:
            return False
        if self.plainness == PLAINEST:
            self.plainness = 0
            return False
        self.plainness += 1
        return True

    @property
    def refusing(self) -> bool:
        """Tell whether the lane has refused everything for a while."""
        return self.refusals >= REFUSING_AFTER

    def p95_ms(self) -> float | None:
        """Return the 95th percentile of the latest calls, None before the first."""
        if not self.latencies_s:
            return None
        ordered = sorted(self.latencies_s)
        return round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))] * 1000, 1)


class Ticket(Struct, frozen=True):
    """The right to make one call of ``model`` on a lane; given back once, through ``Lanes``."""

    lane: Lane
    model: str
    admission: Admission
    probing: bool


class _Line:
    """Those of one task who wait for one set of models."""

    def __init__(self, models: tuple[str, ...]) -> None:
        self.models = models
        self.waiting: deque[asyncio.Future[Ticket]] = deque()


class Lanes:
    """Every lane of the process and the lines before them."""

    def __init__(self, calls: ModelCalls, *, draw: "random.Random | None" = None) -> None:
        self._calls = calls
        self._random = draw or random.Random()  # noqa: S311 - jitter, not a secret
        self._lanes: dict[tuple[int, str], Lane] = {}
        self._by_models: dict[tuple[str, ...], list[tuple[Lane, str]]] = {}
        self._refreshed_s: dict[tuple[str, ...], float] = {}
        self._lines: OrderedDict[tuple[str, tuple[str, ...]], _Line] = OrderedDict()
        self._alarm: asyncio.TimerHandle | None = None

    def serving(self, models: tuple[str, ...]) -> Sequence[tuple[Lane, str]]:
        """Return the lanes that carry any of these models, with the name to call each by; at most 1 s old."""
        now_s = clock.monotonic()
        if now_s - self._refreshed_s.get(models, -REFRESH_S) >= REFRESH_S:
            self._refresh(models, now_s)
        return self._by_models[models]

    def _refresh(self, models: tuple[str, ...], now_s: float) -> None:
        found: dict[tuple[int, str], tuple[Lane, str]] = {}
        for model in models:
            for view in self._calls.services(model):
                key = (view.channel_id, view.upstream_model)
                lane = self._lanes.get(key)
                if lane is None:
                    lane = self._lanes[key] = Lane(view, now_s)
                lane.channel = view.channel
                lane.limit.raise_ceiling_to(view.limit or UNBOUNDED)
                found.setdefault(key, (lane, model))
        self._by_models[models] = list(found.values())
        self._refreshed_s[models] = now_s

    async def acquire(self, owner: str, models: tuple[str, ...], *, urgent: bool = False) -> Ticket:
        """Wait for room on any lane of ``models``; ``urgent`` goes to the head of the line (a repeated call)."""
        key = (owner, models)
        line = self._lines.get(key)
        if line is None:
            ticket = self._admit(models)
            if ticket is not None:
                return ticket
            line = self._lines[key] = _Line(models)
        future: asyncio.Future[Ticket] = asyncio.get_running_loop().create_future()
        if urgent:
            line.waiting.appendleft(future)
        else:
            line.waiting.append(future)
        self.pump()
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self.give_back(future.result())
            self._drop_if_empty(key)
            raise

    def _drop_if_empty(self, key: tuple[str, tuple[str, ...]]) -> None:
        line = self._lines.get(key)
        if line is not None and all(future.done() for future in line.waiting):
            del self._lines[key]

    def _admit(self, models: tuple[str, ...]) -> Ticket | None:
        now_s = clock.monotonic()
        best: tuple[tuple[float, float], Lane, str] | None = None
        for lane, model in self.serving(models):
            if not lane.takes(now_s):
                continue
            rank = (lane.in_flight / lane.limit.limit, lane.latency_s)
            if best is None or rank < best[0]:
                best = (rank, lane, model)
        if best is None:
            return None
        _, lane, model = best
        lane.in_flight += 1
        return Ticket(lane, model, lane.limit.admit(now_s), lane.open)

    def pump(self) -> None:
        """Hand out what room there is, one to each line in turn; set the alarm for lanes that rest."""
        stuck = 0
        while self._lines and stuck < len(self._lines):
            key, line = next(iter(self._lines.items()))
            while line.waiting and line.waiting[0].done():
                line.waiting.popleft()
            if not line.waiting:
                del self._lines[key]
                continue
            self._lines.move_to_end(key)
            ticket = self._admit(line.models)
            if ticket is None:
                stuck += 1
                continue
            stuck = 0
            line.waiting.popleft().set_result(ticket)
        if self._lines:
            self._set_alarm()

    def _set_alarm(self) -> None:
        now_s = clock.monotonic()
        ends = [lane.rests_until_s - now_s for lane in self._lanes.values() if lane.rests_until_s > now_s]
        delay_s = max(0.001, min([REFRESH_S, *ends]))
        loop = asyncio.get_running_loop()
        if self._alarm is not None:
            if self._alarm.when() <= loop.time() + delay_s:
                return
            self._alarm.cancel()
        self._alarm = loop.call_later(delay_s, self._rang)

    def _rang(self) -> None:
        self._alarm = None
        self.pump()

    def close(self) -> None:
        """Stop the alarm; nobody may be waiting any more."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    # What became of a call. Each frees the ticket's place and lets the next one in.

    def give_back(self, ticket: Ticket) -> None:
        """Free the place of a call that was not made or was cancelled."""
        ticket.lane.in_flight -= 1
        self.pump()

    def succeeded(self, ticket: Ticket, latency_s: float, output_tokens: int, kind: str) -> None:
        """Count a good answer to one ``kind`` of call; a lane on trial is well again."""
        lane = ticket.lane
        saturated = lane.room <= 0
        lane.in_flight -= 1
        lane.failures = 0
        lane.refusals = 0
        lane.last_failure = ""
        lane.rests_until_s = 0.0
        lane.latencies_s.append(latency_s)
        lane.latency_s += (latency_s - lane.latency_s) * (LATENCY_WEIGHT if lane.latency_s else 1.0)
        lane.limit.succeeded(ticket.admission, clock.monotonic(), output_tokens, saturated=saturated, kind=kind)
        self.pump()

    def answered_badly(self, ticket: Ticket) -> None:
        """Free the place of a call that the service refused for the call's own sake (a client error)."""
        self.give_back(ticket)

    def refused(self, ticket: Ticket, retry_after_s: float | None) -> None:
        """Slow down after a 429 or 503; rests as long as the service asks, with up to a quarter of jitter."""
        lane = ticket.lane
        now_s = clock.monotonic()
        lane.in_flight -= 1
        if lane.limit.refused(ticket.admission, now_s) or retry_after_s is not None:
            if retry_after_s is None:
                rest_s = full_jitter(lane.refusals, REFUSED_REST_S, REFUSED_REST_MAX_S, self._random.random)
            else:
                rest_s = retry_after_s * (1 + self._random.random() / 4)
            lane.refusals += 1
            lane.rests_until_s = max(lane.rests_until_s, now_s + rest_s)
        self.pump()

    def failed(
        self,
        ticket: Ticket,
        reason: str,
        *,
        timed_out: bool = False,
        at_once: bool = False,
        rest_s: float | None = None,
    ) -> None:
        """Count a failure of the service; ``at_once`` opens the lane without waiting for five (a refused key).

        ``rest_s``: how long to leave it alone, where that is known.
        """
        lane = ticket.lane
        now_s = clock.monotonic()
        lane.in_flight -= 1
        if timed_out:
            lane.limit.timed_out(ticket.admission, now_s)
        was_resting = now_s < lane.rests_until_s and lane.open
        if not was_resting:
            # Calls that were already out when the lane opened say nothing new.
            lane.failures = max(lane.failures + 1, OPEN_AFTER if at_once else 0)
            lane.rests_until_s = now_s + (self._rest_s(lane.failures) if rest_s is None else rest_s)
        lane.last_failure = reason
        self.pump()

    def _rest_s(self, failures: int) -> float:
        if failures < OPEN_AFTER:
            return full_jitter(failures - 1, SHORT_REST_S, SHORT_REST_MAX_S, self._random.random)
        return min(OPEN_MAX_S, OPEN_S * 2.0 ** min(failures - OPEN_AFTER, 10))

    def down(self, models: tuple[str, ...]) -> str | None:
        """Return why none of these models can be called now, None while one can (or may again at any moment)."""
        lanes = [lane for lane, _ in self.serving(models)]
        if not lanes:
            return "no_channel"
        if all(lane.open or lane.refusing for lane in lanes):
            return next((lane.last_failure for lane in lanes if lane.open), "rate")
        return None
