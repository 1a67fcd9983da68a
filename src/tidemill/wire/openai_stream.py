"""Follow a streamed chat completion from outside: has content come, has it ended, what did it use, did it break.

The bytes of its events go on as they are; only the closing usage chunk is dropped when the client did not ask for it.
"""

import msgspec
from msgspec import Raw

from tidemill.wire.openai_chat import Chunk, read_chunk, read_usage
from tidemill.wire.openai_errors import UpstreamComplaint, read_complaint
from tidemill.wire.sse import DONE_DATA, data_of
from tidemill.wire.tokens import TokenCounts


class ChatStream:
    """The state of one stream. ``keeps_usage``: the client asked for the closing usage chunk itself."""

    __slots__ = (
        "complaint",
        "done",
        "events",
        "finished",
        "garbage",
        "has_content",
        "keeps_usage",
        "text_bytes",
        "usage",
        "usage_raw",
    )

    def __init__(self, *, keeps_usage: bool) -> None:
        self.keeps_usage = keeps_usage
        self.has_content = False
        self.finished = False  # a finish reason came
        self.done = False  # [DONE] came
        self.complaint: UpstreamComplaint | None = None
        self.events = 0
        self.garbage = 0  # events that are no JSON
        self.text_bytes = 0
        self.usage: TokenCounts | None = None
        self.usage_raw: bytes | None = None

    def take(self, event: bytes) -> bool:
        """Look at one whole event; returns whether the client should get it.

        ``[DONE]`` and errors are not passed on: whoever relays the stream ends it.
        """
        data = data_of(event)
        if data is None:
            return bool(event.strip())  # a comment of the upstream's own keeps the connection alive downstream too
        if data == DONE_DATA:
            self.done = True
            return False
        self.events += 1
        try:
            chunk = read_chunk(data)
        except msgspec.DecodeError:
            self.garbage += 1
            return False
        if chunk is None:
            self.has_content = True  # a shape we do not know: the client may
            return True
        if chunk.has_error:
            self.complaint = read_complaint(data)
            return False
        return self._take_chunk(chunk)

    def _take_chunk(self, chunk: Chunk) -> bool:
        if chunk.has_usage:
            self._take_usage(chunk.usage)
            if chunk.is_usage_alone:
                return self.keeps_usage
        for choice in chunk.choices or ():
            delta = choice.delta
            if delta is not None and (delta.content or delta.carries()):
                self.has_content = True
                self.text_bytes += delta.text_bytes()
            if choice.finish_reason is not None:
                self.has_content = self.finished = True
        return True

    def _take_usage(self, raw: Raw) -> None:
        # Some upstreams repeat it in every chunk: the last one counts, never the sum.
        counts = read_usage(raw)
        if counts is not None:
            self.usage = counts
            self.usage_raw = bytes(memoryview(raw))

    @property
    def ended_well(self) -> bool:
        """Whether the stream may end here (some upstreams omit ``[DONE]``)."""
        return self.complaint is None and (self.done or self.finished)
