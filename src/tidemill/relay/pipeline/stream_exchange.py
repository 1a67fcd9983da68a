"""A try whose answer may be a stream: held back until it has content, then handed on piece by piece.

A piece that the client can take at once goes from the upstream's socket to the client's within one callback: no task
is woken for it. Only a client that is behind is waited for.
"""

from abc import abstractmethod

from tidemill.kernel import clock
from tidemill.relay.errors import ClientTooSlow, UpstreamFailed
from tidemill.relay.pipeline.ask import Headers
from tidemill.relay.pipeline.exchange import Exchange
from tidemill.relay.pipeline.flow import Flow
from tidemill.relay.upstreams.port import UpstreamAnswer

# Lifecycle events held back before the first content; past this the stream is handed on as it comes.
MAX_HELD_BYTES = 256 * 1024


class StreamExchange(Exchange):
    """One try, streamed or not."""

    _flow: Flow | None = None
    # Content has gone out, or is about to: no other channel may answer.
    _committed = False

    @abstractmethod
    def _way(self, answer: UpstreamAnswer) -> Flow:
        """Return the way of one stream."""

    @abstractmethod
    def _kind(self, answer: UpstreamAnswer) -> Headers:
        """Return the headers that say what the client gets."""

    async def _stream(self, answer: UpstreamAnswer, first_due: float) -> None:
        flow = self._way(answer)
        last, failure = await self._to_its_end(answer, flow, first_due)
        await self._close(last, flow, failure)

    async def _close(self, last: bytes, flow: Flow, failure: UpstreamFailed | None) -> None:
        """End the client's answer, or raise ``failure`` while it has none."""
        if failure is not None and not self._committed:
            raise failure
        if failure is not None:
            self.told = self._record.error = failure
        self._record.settle()
        await self._sink.end(last + flow.farewell(failure))

    async def _to_its_end(
        self, answer: UpstreamAnswer, flow: Flow, first_due: float
    ) -> tuple[bytes, UpstreamFailed | None]:
        """Follow a stream and note what was seen; returns the last bytes, and what went wrong if anything did."""
        self._flow = flow
        try:
            last = await self._follow(answer, flow, first_due)
        except UpstreamFailed as error:
            return b"", error
        finally:
            flow.note(self._record)
        return last, flow.failure()

    async def _follow(self, answer: UpstreamAnswer, flow: Flow, first_due: float) -> bytes:
        """Hand a stream on until it ends; returns what it ended with, which nobody has been sent yet."""
        out = b""
        if not self._committed:
            held: list[bytes] = []
            while not flow.ended and not flow.carried and sum(map(len, held)) <= MAX_HELD_BYTES:
                held.append(flow.feed(await self._served(first_due, answer.next())))
            if flow.ended and not flow.carried:
                return b""
            out = b"".join(held)
            await self._begin(answer)
        while not flow.ended:
            if out:
                await self._write(out)
            out = await self._pour(answer, flow)
        return out

    async def _begin(self, answer: UpstreamAnswer) -> None:
        """Send the status line, unless a keep-alive did."""
        self._committed = True
        self._record.first_token()
        if not self._sink.started:
            start = self._sink.start(200, self._headers(self._kind(answer)))
            await self._within(clock.monotonic() + self._patience.idle_s, start, ClientTooSlow)

    async def _pour(self, answer: UpstreamAnswer, flow: Flow) -> bytes:
        """Hand on what comes as long as the client keeps up; returns what is to be waited with, or the stream's last.

        Nothing else of ours runs meanwhile, so each piece only sets the bound that the next one is to come within.
        """
        watched, post, idle_s, due = self._watched, self._sink.post, self._patience.idle_s, self._due
        left = b""

        def take(data: bytes) -> bool:
            nonlocal left
            out = flow.feed(data)
            now = clock.monotonic()
            if flow.ended or (out and not post(out)):
                left = out
                return True
            if out:
                watched.quiet_since = now
            watched.until(min(due, now + idle_s))
            return False

        await self._within(min(due, clock.monotonic() + idle_s), answer.pour(take))
        return left

    async def _write(self, data: bytes) -> None:
        """Send to the client; one that does not read for the idle time is let go."""
        watched = self._watched
        now = watched.quiet_since = clock.monotonic()
        await self._within(now + self._patience.idle_s, self._sink.write(data), ClientTooSlow)

    async def _leave(self, answer: UpstreamAnswer) -> None:
        """Give up an answer that nobody waits for: at once, unless its usage is worth reading it on for a while."""
        drains, flow, whole = self._patience.drains, self._flow, False
        try:
            left = self._watched.hung_up and self._record.first_token_ms is not None
            if flow is not None and left and drains.admits(self._channel, self._ask.model):
                self._watched.on_silence = None
                whole = await drains.read_on(answer, flow)
        finally:
            if flow is not None:
                flow.note(self._record)
            if whole:
                await answer.finish()
            else:
                await answer.abort()
