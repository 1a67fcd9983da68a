"""A try of a call that is passed through: completions, pictures, sound, moderations, ranking.

The bytes go on as they come, whatever they are; JSON and events are read for usage and errors alone.
"""

from collections.abc import Mapping

import msgspec
from msgspec import Raw, Struct

from tidemill.relay.errors import UpstreamFailed
from tidemill.relay.faults import ending
from tidemill.relay.pipeline.ask import Ask, Headers
from tidemill.relay.pipeline.flow import last_event
from tidemill.relay.pipeline.record import Record
from tidemill.relay.pipeline.stream_exchange import StreamExchange
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


class RawExchange(StreamExchange):
    """Passes on what comes, of any type."""

    async def _plain(self, answer: UpstreamAnswer) -> None:
        kind = answer.headers.get("content-type", "application/octet-stream")
        if kind.startswith(_EVENTS):
            await super()._stream(answer, self._due)
            return
        body = await self._whole(answer)
        if not body:
            raise UpstreamFailed("the answer is empty", upstream_status=answer.status)
        self._record.upstream_spoke = True
        if kind.startswith("application/json"):
            _look(body, answer.headers, self._record)
        await self._send_whole(body, kind.encode("latin-1"))

    async def _stream(self, answer: UpstreamAnswer, first_due: float) -> None:
        if answer.headers.get("content-type", "").startswith(_EVENTS):
            await super()._stream(answer, first_due)
        else:
            await self._plain(answer)

    def _way(self, answer: UpstreamAnswer) -> "RawFlow":
        return RawFlow(answer.headers, self._ask, self._record)

    def _kind(self, answer: UpstreamAnswer) -> Headers:
        kind = answer.headers.get("content-type", "")
        return [(b"content-type", kind.encode("latin-1")), (b"cache-control", b"no-cache")]


class RawFlow:
    """A stream of any events; only a completion is known to end with ``[DONE]``."""

    def __init__(self, headers: Mapping[str, str], ask: Ask, record: Record) -> None:
        self._headers = headers
        self._ask = ask
        self._record = record
        self._splitter = Splitter()
        self._done = False
        self.carried = False
        self.ended = False

    def feed(self, data: bytes) -> bytes:
        """Return the whole events in ``data``; raises UpstreamFailed when one tells an error."""
        try:
            events = self._splitter.feed(data) if data else last_event(self._splitter.rest())
        except EventTooLargeError as error:
            raise UpstreamFailed(str(error)) from None
        for event in events:
            self._see(event)
        self.carried = self.carried or bool(events)
        self.ended = self._done or not data
        return b"".join(events)

    def _see(self, event: bytes) -> None:
        """Read one event for what concerns us."""
        data = data_of(event)
        if data is None:
            return
        if data == DONE_DATA:
            self._done = True
            return
        record = self._record
        record.upstream_spoke = True
        record.forwarded_bytes += len(data) if self._ask.kind == "completion" else 0
        if b'"usage"' in data or b'"error"' in data:
            _look(data, self._headers, record)

    def note(self, record: Record) -> None:
        """Do nothing: every event is written down as it is read."""

    def failure(self) -> UpstreamFailed | None:
        """Return what was wrong with how it ended."""
        if not self.carried:
            return UpstreamFailed("the stream ended without content")
        if self._ask.kind == "completion" and not self._done:
            return UpstreamFailed("the stream was cut off", kind="transport")
        return None

    def farewell(self, failure: UpstreamFailed | None) -> bytes:
        """Return the error, if there is one; a good end went on as it came."""
        return b"" if failure is None else ending(self._ask, failure)


def _look(body: bytes, headers: Mapping[str, str], record: Record) -> None:
    """Note the usage; raises UpstreamFailed for an error behind a good status."""
    try:
        seen = _seen.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return  # a shape, or a text, that the client may know
    if seen.has_error:
        complaint = read_complaint(body)
        record.upstream_spoke = False
        raise failure_of(complaint.status or _BAD_GATEWAY, complaint, headers)
    try:
        counts = _usages.decode(seen.usage).counts()
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return
    if counts is not None:
        record.usage, record.usage_raw = counts, bytes(seen.usage)
