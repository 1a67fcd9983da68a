"""Carry one call through: limits, channel, other channels where one fails, and its record at the end of every path."""

import asyncio

import msgspec
from msgspec import Struct

from tidemill.kernel import clock
from tidemill.kernel.errors import TidemillError
from tidemill.kernel.retry import full_jitter
from tidemill.relay.caching.cached import Caching
from tidemill.relay.channel_state import UNTOLD, ChannelState, Ending, Verdict
from tidemill.relay.errors import (
    ClientGone,
    ModelNotFound,
    NoChannelAvailable,
    RateLimited,
    RelayError,
    UpstreamFailed,
)
from tidemill.relay.faults import ending, heartbeat, stream_headers
from tidemill.relay.grants import Grant
from tidemill.relay.pipeline.ask import Ask, Sink
from tidemill.relay.pipeline.exchange import Exchange, Patience
from tidemill.relay.pipeline.exchanges import exchange_for
from tidemill.relay.pipeline.record import Record
from tidemill.relay.pipeline.watch import Watch, Watched
from tidemill.relay.plan import Wish
from tidemill.relay.ports import LocalLeases, Meter
from tidemill.relay.rules import counts_against_channel, is_of_the_key, is_safe_to_retry, is_worth_repeating
from tidemill.relay.snapshot import root_of
from tidemill.relay.switchboard import Switchboard
from tidemill.relay.upstreams.media import Media
from tidemill.relay.upstreams.port import Upstreams

# Pauses before the same channel is asked again, seconds; the first repetition, over a fresh connection, has none.
_BACKOFF_S, _LONGEST_BACKOFF_S = 0.25, 4.0


class Ground(Struct, frozen=True):
    """What every call of the process shares."""

    board: Switchboard
    upstreams: Upstreams
    meter: Meter
    watch: Watch
    patience: Patience
    locals: LocalLeases | None = None
    media: Media | None = None
    caching: Caching | None = None


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
        try:
            await self._answer(ask, sink, record, watched)
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
            record.settle()
        return record

    async def _answer(self, ask: Ask, sink: Sink, record: Record, watched: Watched) -> None:
        """Answer from what is kept, where there is such a thing, else by a channel."""
        caching = self._ground.caching
        if caching is None:
            await self._try_channels(ask, sink, record, watched)
        else:
            await caching.through(ask, sink, record, watched, lambda a, s: self._try_channels(a, s, record, watched))

    async def _tell(self, ask: Ask, sink: Sink, error: TidemillError) -> None:
        await sink.end(ending(ask, error))

    async def _try_channels(self, ask: Ask, sink: Sink, record: Record, watched: Watched) -> None:
        board, wish = self._ground.board, self._wish(ask)
        tried: set[int] = set()
        grant = await board.acquire(wish)
        while True:
            failure = await self._through(grant, ask, sink, record, watched)
            if failure is None:
                return
            if not _goes_on(failure, ask, record):
                raise failure
            if not (is_of_the_key(failure) and grant.state.usable_key(ask.model, clock.monotonic())):
                tried.add(grant.channel.id)
            grant = await self._enter_another(wish, tried, failure, record.tries)

    def _wish(self, ask: Ask) -> Wish:
        caller, rules = ask.caller, self._ground.board.snapshot.rules
        bounds, region, affinity = caller.bounds, ask.region, ""
        if not rules.is_empty:
            of_model = rules.model_bound(ask.model)
            bounds = bounds if of_model is None else (*bounds, of_model)
            region = rules.region(ask.model, caller.user_id, caller.group) or region
            if rules.strategy(ask.model, caller.user_id, caller.group) == "consistent_hash":
                affinity = ask.affinity()
        counted = self._ground.board.snapshot.counts_tokens or any(bound.tpm is not None for bound in bounds)
        return Wish(
            model=ask.model,
            caller=caller.turn,
            wait_s=ask.wait_s,
            scene=ask.scene,
            pinned=ask.channel_id,
            user_id=caller.user_id,
            group=caller.group,
            region=region,
            bounds=bounds,
            tokens=ask.reserved_tokens() if counted else 0,
            affinity=affinity,
        )

    async def _enter_another(self, wish: Wish, tried: set[int], failure: UpstreamFailed, tries: int) -> Grant:
        """Enter a channel not tried yet; for want of one, the same again after a pause. Else raises ``failure``."""
        board = self._ground.board
        try:
            return await board.acquire(msgspec.structs.replace(wish, excluded=frozenset(tried)))
        except (ModelNotFound, NoChannelAvailable, RateLimited):
            if not is_worth_repeating(failure):
                raise failure from None
        tried.clear()
        if failure.kind != "transport" or tries > 1:
            await asyncio.sleep(full_jitter(tries - 1, _BACKOFF_S, _LONGEST_BACKOFF_S))
        try:
            return await board.acquire(wish)
        except RelayError:
            raise failure from None

    async def _through(
        self, grant: Grant, ask: Ask, sink: Sink, record: Record, watched: Watched
    ) -> UpstreamFailed | None:
        """Use a channel that was entered; returns the failure when another may be tried."""
        ground, channel = self._ground, grant.channel
        record.try_with(channel)
        began_ms = record.elapsed_ms()
        bound_s = channel.timeout_s if ask.timeout_s is None else min(ask.timeout_s, channel.timeout_s)
        way = exchange_for(ask, channel)
        exchange = way(ask, channel, sink, record, watched, watched.began + bound_s, ground.patience, ground.media)
        self._set_heartbeat(ask, sink, watched)
        outcome = UNTOLD
        try:
            if channel.is_local and ground.locals is not None:
                await self._through_local(grant.state, exchange, ground.locals)
            else:
                await exchange.run(ground.upstreams, channel.root, grant.key.text or None)
            outcome = _outcome(exchange.told, record, began_ms)
        except UpstreamFailed as error:
            if error.kind == "timeout" and bound_s < channel.timeout_s:
                error.counts = False  # the caller's own impatience says nothing about the channel
            outcome = Ending(_verdict(error), error)
            return error
        finally:
            watched.on_silence = None
            failed = outcome.failure if exchange.told is None else None
            tokens = record.tokens().total if grant.wish.tokens else None
            ground.board.release(
                grant, outcome, tokens, is_taken_back=failed is not None and _goes_on(failed, ask, record)
            )
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


def _goes_on(failure: UpstreamFailed, ask: Ask, record: Record) -> bool:
    return record.tries <= ask.retries and is_safe_to_retry(failure)


def _outcome(told: UpstreamFailed | None, record: Record, began_ms: float) -> Ending:
    if told is not None:
        return Ending(_verdict(told), told)
    first_ms = None if record.first_token_ms is None else record.first_token_ms - began_ms
    return Ending(Verdict.GOOD, latency_ms=record.elapsed_ms() - began_ms, first_ms=first_ms)


def _verdict(failure: UpstreamFailed) -> Verdict:
    if failure.kind in {"client", "rate"}:
        return Verdict.GOOD
    return Verdict.BAD if counts_against_channel(failure) else Verdict.UNKNOWN
