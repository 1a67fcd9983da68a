"""A try of a call that is passed through: completions, pictures, sound, moderations, ranking.

The bytes go on as they come, whatever they are; JSON and events are read for usage and errors alone.
"""

import msgspec
from msgspec import Raw, Struct

from tidemill.kernel import clock
from tidemill.relay.errors import UpstreamFailed
from tidemill.relay.faults import ending
from tidemill.relay.pipeline.exchange import Exchange
from tidemill.relay.pipeline.follow import Committed, last_event
from tidemill.relay.rules import failure_of
from tidemill.relay.upstreams.port import UpstreamAnswer
from tidemill.wire.openai_errors import read_complaint
from tidemill.wire.sse import DONE_DATA, EventTooLargeError, Splitter, data_of
from tidemill.wire.tokens import TokenCounts

_BAD_GATEWAY = 502
_NULL = Raw(b"null")
_EVENTS = "text/event-stream"


class _Usage(Struct, frozen=True):
    """The names that these calls give their counts; ``search_units`` and seconds are no tokens."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None

    def counts(self) -> TokenCounts | None:
        """Return the columns; None when no tokens are told."""
        into = self.prompt_tokens if self.prompt_tokens is not None else self.input_tokens
        out = self.completion_tokens if self.completion_tokens is not None else self.output_tokens
        if into is None and out is None and self.total_tokens is None:
            return None
        known_out = max(out or 0, 0)
        known_in = max((self.total_tokens or 0) - known_out, 0) if into is None else max(into, 0)
        return TokenCounts(fresh=known_in, output=known_out)


class _Seen(Struct, frozen=True):
    error: Raw = _NULL
    usage: Raw = _NULL
    object: Raw = _NULL

    @property
    def has_error(self) -> bool:
        return bytes(self.error) not in {b"null", b"", b"{}"} or bytes(self.object) == b'"error"'


_seen = msgspec.json.Decoder(_Seen)
_usages = msgspec.json.Decoder(_Usage)


class RawExchange(Exchange):
    """Passes on what comes, of any type."""

    async def _plain(self, answer: UpstreamAnswer) -> None:
        kind = answer.headers.get("content-type", "application/octet-stream")
        if kind.startswith(_EVENTS):
            await self._stream(answer, self._due)
            return
        body = await self._within(self._due, answer.read(self._patience.max_answer_bytes))
        if not body:
            raise UpstreamFailed("the answer is empty", upstream_status=answer.status)
        self._record.upstream_spoke = True
        if kind.startswith("application/json"):
            self._look(body, answer)
        await self._send_whole(body, kind.encode("latin-1"))

    async def _stream(self, answer: UpstreamAnswer, first_due: float) -> None:
        kind = answer.headers.get("content-type", "")
        if not kind.startswith(_EVENTS):
            await self._plain(answer)
            return
        began, failure = Committed(), None
        try:
            await self._follow(answer, kind.encode("latin-1"), first_due, began)
        except UpstreamFailed as error:
            failure = error
        if failure is not None and not began:
            raise failure
        self.told = self._record.error = failure
        self._record.settle()
        await self._sink.end(b"" if failure is None else ending(self._ask, failure))

    async def _follow(self, answer: UpstreamAnswer, kind: bytes, first_due: float, began: Committed) -> None:
        """Hand events on until the stream ends; raises UpstreamFailed when it ends badly."""
        splitter, done = Splitter(), False
        self._rest = lambda data: self._look_on(splitter, answer, data)
        while not done:
            due = min(self._due, clock.monotonic() + self._patience.idle_s) if began else first_due
            data = await self._within(due, answer.next())
            try:
                events = splitter.feed(data) if data else last_event(splitter.rest())
            except EventTooLargeError as error:
                raise UpstreamFailed(str(error)) from None
            done = any(self._is_last(event, answer) for event in events)
            if events:
                if not began:
                    began.now = True
                    self._record.first_token()
                    await self._begin([(b"content-type", kind), (b"cache-control", b"no-cache")])
                await self._write(b"".join(events))
            if not data:
                break
        if not began:
            raise UpstreamFailed("the stream ended without content")
        if self._ask.kind == "completion" and not done:
            raise UpstreamFailed("the stream was cut off", kind="transport")

    def _look_on(self, splitter: Splitter, answer: UpstreamAnswer, data: bytes) -> bool:
        """Take note of what comes after the client has left; returns whether nothing more can."""
        try:
            events = splitter.feed(data) if data else last_event(splitter.rest())
            return any(self._is_last(event, answer) for event in events)
        except (EventTooLargeError, UpstreamFailed):
            return True

    def _is_last(self, event: bytes, answer: UpstreamAnswer) -> bool:
        """Read one event for what concerns us; returns whether it is the last."""
        data = data_of(event)
        if data is None:
            return False
        if data == DONE_DATA:
            return True
        self._record.upstream_spoke = True
        self._record.forwarded_bytes += len(data) if self._ask.kind == "completion" else 0
        if b'"usage"' in data or b'"error"' in data:
            self._look(data, answer)
        return False

    def _look(self, body: bytes, answer: UpstreamAnswer) -> None:
        """Note the usage; raises UpstreamFailed for an error behind a good status."""
        try:
            seen = _seen.decode(body)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            return  # a shape, or a text, that the client may know
        record = self._record
        if seen.has_error:
            complaint = read_complaint(body)
            record.upstream_spoke = False
            raise failure_of(complaint.status or _BAD_GATEWAY, complaint, answer.headers)
        try:
            counts = _usages.decode(seen.usage).counts()
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            return
        if counts is not None:
            record.usage, record.usage_raw = counts, bytes(seen.usage)
