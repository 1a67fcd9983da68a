"""One connection: a request at a time out, its answer in, with no task and no stream object of its own.

The parser is llhttp, strict as it comes: it refuses two lengths, a length beside ``transfer-encoding``, folded lines
and bare line feeds. What it leaves open is closed here: bytes after an answer, sizes, and codings that are not chunked.
"""

import asyncio
import math
import socket
from collections.abc import Callable
from typing import cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from tidemill.relay.upstreams.http1.head import Fields, MalformedError, shape_of
from tidemill.relay.upstreams.port import Take, UpstreamBrokenError

# Most bytes of a body that nobody has read yet, and of framing without content. A read adds up to 256 KiB.
MOST_HELD_BYTES = 64 * 1024
# A body up to this goes out with its head in one write; a longer one in slices, each once the one before has left.
ONE_WRITE_BYTES = 64 * 1024
SLICE_BYTES = 256 * 1024
# After its last event a stream's end is due at once; waiting this long for it saves a connection.
LINGER_S = 0.25

_CLOSED_EARLY = "the service closed the connection before it answered"
_CUT_OFF = "the service closed the connection before its answer was whole"
_MALFORMED = "the answer is not valid HTTP/1.1"


class Connection(asyncio.Protocol):
    """A connection and the answer that comes over it.

    ``on_open`` is told when it is open, ``on_free`` when it may serve again, ``on_gone`` when it is closed.
    Invariant: between two requests ``complete`` is True, so that whatever comes then is a surplus and closes it.
    """

    __slots__ = (
        "_feed",
        "_fields",
        "_held",
        "_interim",
        "_linger",
        "_loop",
        "_on_free",
        "_on_gone",
        "_on_open",
        "_parser",
        "_paused",
        "_take",
        "_transport",
        "_until_close",
        "_waiter",
        "_write_paused",
        "complete",
        "error",
        "fields",
        "head_done",
        "idle",
        "idle_until",
        "keep",
        "on_body",
        "on_header",
        "packed",
        "patience_s",
        "pieces",
        "status",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        on_open: "Callable[[Connection], None]",
        on_free: "Callable[[Connection], None]",
        on_gone: "Callable[[Connection], None]",
    ) -> None:
        self._loop = loop
        self._on_open = on_open
        self._on_free = on_free
        self._on_gone = on_gone
        self._transport: asyncio.Transport | None = None
        self._take: Take | None = None
        # Done at the next change; True when that is only that who took what came wants no more.
        self._waiter: asyncio.Future[bool] | None = None
        self._linger: asyncio.TimerHandle | None = None
        self._held = 0
        self._interim = self._until_close = self._paused = self._write_paused = False
        self.status = 0
        self.fields: Fields = {}
        self.pieces: list[bytes] = []
        self.head_done = self.packed = False
        self.complete = True
        self.keep = True
        self.error: UpstreamBrokenError | None = None
        self.idle = False
        self.idle_until = 0.0
        self.patience_s = math.inf
        self._fields: Fields = {}
        # The parser calls these two itself: a header and a piece of a body cost no frame of ours.
        self.on_header = self._fields.setdefault
        self.on_body = self.pieces.append
        self._parser = HttpResponseParser(self)
        self._feed = self._parser.feed_data

    # ---- the transport's side ----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way out."""
        self._transport = cast("asyncio.Transport", transport)
        # A service that thinks for minutes sends nothing; without this nobody notices that it is gone.
        line = transport.get_extra_info("socket")
        if line is not None:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._on_open(self)

    def data_received(self, data: bytes) -> None:
        """Parse what came and hand it over or wake the reader; stop reading while too much lies unread."""
        if self.complete:
            self.abort()  # nobody asked for this
            return
        self._held += len(data)
        try:
            self._feed(data)
        except (HttpParserError, HttpParserUpgrade):
            self._refuse()
        if self._take is not None and self.pieces:
            self._hand_over(self._take)
        if self._held > MOST_HELD_BYTES and not self.complete:
            self._hold_back()
        if self._linger is not None:
            self._go_on_lingering()
        if self._take is None or self.complete or self.error is not None:
            self._wake()

    def eof_received(self) -> None:
        """End a body that lasts until the connection does; closes at once, without waiting for TLS to say goodbye."""
        if not self.complete and self.error is None:
            self._end(in_order=True)
        self.abort()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """Say what is missing of the answer."""
        if not self.complete and self.error is None:
            self._end(in_order=exc is None)
        self.keep = False
        self._stop_lingering()
        self._wake()
        self._on_gone(self)
        del self._feed, self._parser  # they know this connection in turn: all are freed now, not by the collector

    def pause_writing(self) -> None:
        """Send no more for now."""
        self._write_paused = True

    def resume_writing(self) -> None:
        """Go on sending."""
        self._write_paused = False
        self._wake()

    # ---- the parser's side -------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Refuse a second answer to one request."""
        if self.complete:
            raise MalformedError(_MALFORMED)

    def on_headers_complete(self) -> None:
        """Take the head, or pass over one that only announces it; raises MalformedError for what cannot be."""
        fields = self._fields
        parser = self._parser
        self.status = parser.get_status_code()
        shape = shape_of(self.status, fields, self._held)
        if shape is None:
            self._interim = True
            fields.clear()
            return
        self._until_close = not shape.has_end
        self.packed = shape.packed
        self.patience_s = shape.patience_s
        self.keep = self.keep and parser.should_keep_alive()
        self.fields = fields.copy()
        fields.clear()
        self.head_done = True

    def on_message_complete(self) -> None:
        """Note the end of an answer."""
        if self._interim:
            self._interim = False
        else:
            self.complete = True

    # ---- the caller's side -------------------------------------------------------------------------------------

    @property
    def usable(self) -> bool:
        """Whether a request may be sent."""
        return self.keep and self._transport is not None and not self._transport.is_closing()

    @property
    def untouched(self) -> bool:
        """Whether nothing of an answer has come, so that the same request may be sent elsewhere."""
        return not self.head_done and not self._held

    def begin(self, data: bytes) -> None:
        """Send a request, or its head."""
        self._held = 0
        self._interim = self._until_close = self.head_done = self.complete = False
        self._fields.clear()
        cast("asyncio.Transport", self._transport).write(data)

    async def send_body(self, body: bytes) -> None:
        """Send a long body no faster than it leaves; stops when the service answers before it has all of it."""
        view = memoryview(body)
        transport = cast("asyncio.Transport", self._transport)
        for at in range(0, len(view), SLICE_BYTES):
            while self._write_paused and not self.head_done and self.error is None:
                await self.news()
            if self.head_done or self.error is not None:
                self.keep = False  # the rest of the body is still owed
                return
            transport.write(view[at : at + SLICE_BYTES])

    def news(self) -> "asyncio.Future[bool]":
        """Return what is done at the next change, whatever it is."""
        waiter = self._waiter = self._loop.create_future()
        return waiter

    def take(self) -> bytes:
        """Return the body's bytes that have come, at least one piece of them, and let more come."""
        pieces = self.pieces
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self._held = 0
        if self._paused:
            self._paused = False
            if self._transport is not None and not self._transport.is_closing():
                self._transport.resume_reading()
        return data

    async def pour(self, take: Take) -> None:
        """Hand over the body's bytes as they come, the end as empty ones, until ``take`` returns True.

        Raises UpstreamBrokenError when the answer breaks, and what ``take`` raises.
        """
        while True:
            if self.pieces and take(self.take()):
                return
            if self.complete:
                take(b"")
                return
            if self.error is not None:
                raise self.error
            self._take = take
            try:
                if await self.news():
                    return
            finally:
                self._take = None

    def release(self) -> None:
        """Have done with the answer: serve again once it is whole, if that is within a moment, else close."""
        if self.pieces:
            self.take()
        if self.complete:
            self._on_free(self)
        elif self.error is not None or self._until_close:
            self.abort()
        else:
            self._linger = self._loop.call_later(LINGER_S, self.abort)

    def abort(self) -> None:
        """Close at once; what was not sent is dropped."""
        self.keep = False
        if not self.complete and self.error is None:
            self.error = UpstreamBrokenError(_CUT_OFF)
        self._stop_lingering()
        if self._transport is not None:
            self._transport.abort()

    def drop(self) -> None:
        """Close one that nobody has been given; a loop that is interrupted while it connects says no more of it."""
        self.abort()
        self._on_gone(self)

    # ---- inside ------------------------------------------------------------------------------------------------

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(False)

    def _hand_over(self, take: Take) -> None:
        """Give what came to who waits for it, unless that one is being cancelled: then it is the next one's."""
        waiter = self._waiter
        if waiter is None or waiter.done():
            return
        try:
            if take(self.take()):
                waiter.set_result(True)
        except Exception as error:  # noqa: BLE001 - whoever awaits the answer raises it, not the loop
            waiter.set_exception(error)

    def _end(self, *, in_order: bool) -> None:
        """Make of an answer what the end of its connection makes of it."""
        if self.head_done and self._until_close and in_order:
            self.complete = True
        else:
            self.error = UpstreamBrokenError(_CUT_OFF if self.head_done else _CLOSED_EARLY)

    def _refuse(self) -> None:
        """Close because of what came; an answer that was whole before stays good."""
        if not self.complete:
            self.error = UpstreamBrokenError(_MALFORMED)
        self.abort()

    def _hold_back(self) -> None:
        if not self.head_done or not self.pieces:
            self._refuse()  # a head without end, or trailers
        elif not self._paused and self._transport is not None and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()

    def _go_on_lingering(self) -> None:
        self.pieces.clear()
        if self.complete and self.error is None:
            self._stop_lingering()
            self._on_free(self)

    def _stop_lingering(self) -> None:
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
