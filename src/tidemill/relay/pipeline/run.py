"""Carry one call through: limits, channel, at most one other channel, and its record at the end of every path."""

import asyncio

from msgspec import Struct

from tidemill.kernel import clock
from tidemill.kernel.errors import TidemillError
from tidemill.relay.callers import Callers, Ticket
from tidemill.relay.channel_state import ChannelState, Verdict
from tidemill.relay.errors import (
    ClientGone,
    ModelNotFound,
    NoChannelAvailable,
    RateLimited,
    RelayError,
    UpstreamFailed,
)
from tidemill.relay.faults import ending, heartbeat, stream_headers
from tidemill.relay.pipeline.ask import Ask, Sink
from tidemill.relay.pipeline.exchange import Exchange, Patience
from tidemill.relay.pipeline.exchanges import exchange_for
from tidemill.relay.pipeline.record import Record
from tidemill.relay.pipeline.watch import Watch, Watched
from tidemill.relay.ports import LocalLeases, Meter
from tidemill.relay.rules import counts_against_channel, is_safe_to_retry
from tidemill.relay.snapshot import root_of
from tidemill.relay.switchboard import Switchboard, Wish
from tidemill.relay.upstreams.media import Media
from tidemill.relay.upstreams.port import Upstreams


class Ground(Struct, frozen=True):
    """What every call of the process shares."""

    board: Switchboard
    callers: Callers
    upstreams: Upstreams
    meter: Meter
    watch: Watch
    patience: Patience
    locals: LocalLeases | None = None
    media: Media | None = None


class Pipeline:
    """Carries calls; one object serves all of them."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    async def run(self, ask: Ask, sink: Sink, watched: Watched | None = None) -> Record:
        """Answer ``ask`` into ``sink``; returns what was recorded of it. ``watched``: the call is looked after already.

        Raises a TidemillError when nothing has gone out; once the sink has started, it is told there instead.
        """
        ground = self._ground
        record = Record(ask, ground.meter)
        if watched is None:
            watched = ground.watch.add()
        sink.attach(watched)
        ticket: Ticket | None = None
        try:
            ticket = ground.callers.enter(ask.caller.turn, ask.caller.limits)
            await self._try_channels(ask, sink, record, watched)
        except asyncio.CancelledError:
            record.error = ClientGone()
            raise
        except TidemillError as error:
            record.error = error
            if not sink.started or isinstance(error, ClientGone):
                raise
            await self._tell(ask, sink, error)
        except BaseException:
            record.error = RelayError()
            raise
        finally:
            ground.watch.remove(watched)
            if ticket is not None:
                ground.callers.leave(ticket, refused=record.tries == 0)
            record.settle()
        return record

    async def _tell(self, ask: Ask, sink: Sink, error: TidemillError) -> None:
        await sink.end(ending(ask, error))

    async def _try_channels(self, ask: Ask, sink: Sink, record: Record, watched: Watched) -> None:
        tried: set[int] = set()
        failure: UpstreamFailed | None = None
        while True:
            state = await self._enter(ask, tried, failure)
            failure = await self._through(state, ask, sink, record, watched)
            if failure is None:
                return
            if record.tries > ask.retries or not is_safe_to_retry(failure):
                raise failure
            tried.add(state.channel.id)

    async def _enter(self, ask: Ask, tried: set[int], failure: UpstreamFailed | None) -> ChannelState:
        """Enter a channel not tried yet; after a broken connection, for want of another, the same one again."""
        board = self._ground.board
        wish = Wish(ask.model, ask.caller.turn, ask.wait_s, ask.channel_id, tried, ask.scene)
        if failure is None:
            return await board.acquire(wish)
        try:
            return await board.acquire(wish)
        except (ModelNotFound, NoChannelAvailable, RateLimited):
            if failure.kind != "transport":
                raise failure from None
        try:
            return await board.acquire(Wish(ask.model, ask.caller.turn, 0.0, ask.channel_id, (), ask.scene))
        except RelayError:
            raise failure from None

    async def _through(
        self, state: ChannelState, ask: Ask, sink: Sink, record: Record, watched: Watched
    ) -> UpstreamFailed | None:
        """Use a channel that was entered; returns the failure when another may be tried."""
        ground, channel = self._ground, state.channel
        record.try_with(channel)
        began = clock.monotonic()
        bound_s = channel.timeout_s if ask.timeout_s is None else min(ask.timeout_s, channel.timeout_s)
        way = exchange_for(ask, channel)
        exchange = way(ask, channel, sink, record, watched, watched.began + bound_s, ground.patience, ground.media)
        self._set_heartbeat(ask, sink, watched)
        verdict, failure, latency_ms = Verdict.UNKNOWN, None, None
        try:
            if channel.is_local and ground.locals is not None:
                await self._through_local(state, exchange, ground.locals)
            else:
                await exchange.run(ground.upstreams, channel.root, state.key())
            failure = exchange.told
            if failure is None:
                latency_ms = (clock.monotonic() - began) * 1000
            verdict = _verdict(failure)
        except UpstreamFailed as error:
            if error.kind == "timeout" and bound_s < channel.timeout_s:
                error.counts = False  # the caller's own impatience says nothing about the channel
            failure, verdict = error, _verdict(error)
            return error
        finally:
            watched.on_silence = None
            ground.board.release(state, verdict, failure, latency_ms)
        return None

    async def _through_local(self, state: ChannelState, exchange: Exchange, leases: LocalLeases) -> None:
        """Hold a local model, started if it must be, for as long as the call takes."""
        async with leases.lease(next(iter(state.channel.models.values()))) as service:
            state.local_slots = service.slots
            await exchange.run(self._ground.upstreams, root_of(service.base_url), service.api_key)

    def _set_heartbeat(self, ask: Ask, sink: Sink, watched: Watched) -> None:
        if not ask.stream or ask.kind != "chat":
            return
        # Before the first content this sends the status line and a comment; another channel may still take over.
        watched.on_silence = lambda: sink.interject(stream_headers(ask), heartbeat(ask))


def _verdict(failure: UpstreamFailed | None) -> Verdict:
    if failure is None or failure.kind in {"client", "rate"}:
        return Verdict.GOOD
    return Verdict.BAD if counts_against_channel(failure) else Verdict.UNKNOWN
