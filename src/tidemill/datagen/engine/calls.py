"""One model call of an item, seen through to an answer.

Refusals and failures of a service do not count against the item while the service is the one in trouble: the call goes
out again, first in line, on whatever lane has room. Only failures that speak against the item itself (a service that
answers others, or a plain 500) are counted, five at most.
"""

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from tidemill.datagen.engine.lanes import Lanes, Ticket
from tidemill.datagen.ports import ModelCalls
from tidemill.kernel import clock
from tidemill.kernel.errors import TidemillError
from tidemill.relay.contracts import Call, Completion
from tidemill.relay.errors import ModelNotFound, NoChannelAvailable, RateLimited, RelayError, UpstreamFailed

MAX_FAILURES = 5
# How long a call may queue inside the relay for a slot that others hold; past it the lane hears a refusal.
SLOT_WAIT_S = 10.0
SERVER_ERROR = 500
UNAVAILABLE = 503
CREDIT_NANO = 1_000_000_000
LOCAL_TOKEN_NANO = CREDIT_NANO // 1000


class GaveUp(Exception):
    """No answer for this item, for a reason that is the item's own."""

    def __init__(self, kind: str, reason: str) -> None:
        self.kind = kind
        self.reason = reason
        super().__init__(f"{kind}: {reason}")


class Question(Struct, frozen=True, kw_only=True):
    """One call to make on any of ``models``."""

    models: tuple[str, ...]
    messages: list[dict[str, Any]]
    temperature: float
    seed: int | None
    response_format: dict[str, Any] | None
    max_tokens: int
    purpose: str


class Answer(Struct, frozen=True, kw_only=True):
    """What came back, from whom, and what it cost (1e-9 credit)."""

    completion: Completion
    model: str
    channel: str
    latency_s: float
    cost_nano: int


class CallLog(Struct, frozen=True):
    """What a run hears of each call, for its services' figures."""

    channel: str
    model: str
    ok: bool
    cost_nano: int = 0


class Asker:
    """Makes the calls of one run."""

    def __init__(
        self,
        *,
        calls: ModelCalls,
        lanes: Lanes,
        owner: str,
        user_id: int,
        key_id: str | None,
        timeout_s: float | None,
        heard: Callable[[CallLog], None],
    ) -> None:
        self._calls = calls
        self._lanes = lanes
        self._owner = owner
        self._user_id = user_id
        self._key_id = key_id
        self._timeout_s = timeout_s
        self._heard = heard

    async def ask(self, question: Question) -> Answer:
        """Return an answer, however often it takes; raises GaveUp when the item itself is to blame."""
        failures = 0
        urgent = False
        while True:
            ticket = await self._lanes.acquire(self._owner, question.models, urgent=urgent)
            urgent = not ticket.probing
            started_s = clock.monotonic()
            plainness = ticket.lane.plainness
            try:
                completion = await self._calls.complete(self._call(question, ticket))
            except TidemillError as error:
                failures += self._charge(ticket, error, plainness)
                if failures >= MAX_FAILURES:
                    raise GaveUp("transport", str(error)) from error
                continue
            except BaseException:
                self._lanes.give_back(ticket)
                raise
            latency_s = clock.monotonic() - started_s
            ticket.lane.format_works(plainness)
            self._lanes.succeeded(ticket, latency_s, completion.usage.completion_tokens, question.purpose)
            cost_nano = completion.usage.total_tokens * (LOCAL_TOKEN_NANO if ticket.lane.local else CREDIT_NANO)
            self._heard(CallLog(ticket.lane.channel, ticket.model, ok=True, cost_nano=cost_nano))
            return Answer(
                completion=completion,
                model=ticket.model,
                channel=ticket.lane.channel,
                latency_s=latency_s,
                cost_nano=cost_nano,
            )

    def _call(self, question: Question, ticket: Ticket) -> Call:
        return Call(
            model=ticket.model,
            messages=question.messages,
            temperature=question.temperature,
            max_tokens=question.max_tokens,
            response_format=_plainer(question.response_format, ticket.lane.plainness),
            seed=question.seed,
            surface="datagen",
            metadata={"task": self._owner, "purpose": question.purpose},
            channel_id=ticket.lane.channel_id,
            timeout_s=self._timeout_s,
            wait_s=SLOT_WAIT_S,
            user_id=self._user_id,
            key_id=self._key_id,
        )

    def _charge(self, ticket: Ticket, error: TidemillError, plainness: int) -> int:
        """Tell the lane what happened; returns 1 when the failure counts against the item."""
        lane = ticket.lane
        self._heard(CallLog(lane.channel, ticket.model, ok=False))
        if isinstance(error, UpstreamFailed):
            return self._charge_upstream(ticket, error, plainness)
        if isinstance(error, RateLimited):
            self._lanes.refused(ticket, error.retry_after_s)
        elif isinstance(error, NoChannelAvailable | ModelNotFound):
            self._lanes.failed(ticket, "no_channel", at_once=True, rest_s=error.retry_after_s)
        elif isinstance(error, RelayError):
            self._lanes.answered_badly(ticket)
            raise GaveUp("client", str(error)) from error
        else:
            # What kept a local model from starting: the service's trouble, not the item's.
            self._lanes.failed(ticket, error.code)
        return 0

    def _charge_upstream(self, ticket: Ticket, error: UpstreamFailed, plainness: int) -> int:
        lane = ticket.lane
        if error.kind == "rate" or error.upstream_status == UNAVAILABLE:
            self._lanes.refused(ticket, error.retry_after_s)
            return 0
        if error.kind == "client":
            self._lanes.answered_badly(ticket)
            if lane.try_plainer(plainness):
                return 0
            raise GaveUp("client", str(error)) from error
        if error.kind == "auth":
            self._lanes.failed(ticket, "auth", at_once=True)
            return 0
        healthy = not lane.open
        self._lanes.failed(ticket, error.kind, timed_out=error.kind == "timeout")
        return 1 if healthy or error.upstream_status == SERVER_ERROR else 0


def _plainer(response_format: dict[str, Any] | None, plainness: int) -> dict[str, Any] | None:
    if response_format is None or plainness == 0:
        return response_format
    return {"type": "json_object"} if plainness == 1 else None
