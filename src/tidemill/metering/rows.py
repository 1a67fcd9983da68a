"""From journal entries to rows: pure, so that a batch is the same whoever makes it."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from tidemill.metering.contracts import CallStatus, UsageEvent

_MODEL_LENGTH = 500
_NAME_LENGTH = 200
_ID_LENGTH = 128
_HOUR_MS = 3_600_000

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(UsageEvent)

Row = dict[str, Any]
# A call that failed on nobody's account but the upstream's or ours; the rest of what is not OK is the caller's doing.
_ERRORS = frozenset({CallStatus.UPSTREAM_ERROR, CallStatus.TIMEOUT, CallStatus.CLIENT_ERROR, CallStatus.REFUSED})


def encode_event(event: UsageEvent) -> bytes:
    """Return an event as a journal entry."""
    return _encoder.encode(event)


def decode_events(payloads: Iterable[bytes]) -> tuple[list[UsageEvent], int]:
    """Read journal entries; returns them and how many could not be read."""
    events: list[UsageEvent] = []
    unreadable = 0
    for payload in payloads:
        try:
            events.append(_decoder.decode(payload))
        except msgspec.MsgspecError:
            unreadable += 1
    return events, unreadable


def event_row(event: UsageEvent) -> Row:
    """Return the row of ``usage_events``."""
    tokens = event.tokens
    into, out = tokens.request, tokens.response
    return {
        "id": event.id,
        "created_at": _moment(event.began_ms),
        "request_id": event.request_id[:_ID_LENGTH],
        "user_id": event.user_id,
        "key_id": event.key_id,
        "surface": event.surface,
        "kind": event.kind,
        "channel_id": event.channel_id,
        "channel": event.channel[:_NAME_LENGTH] if event.channel else None,
        "provider": event.provider,
        "model": event.model[:_MODEL_LENGTH],
        "upstream_model": event.upstream_model[:_MODEL_LENGTH] if event.upstream_model else None,
        "stream": event.stream,
        "request_tokens": into,
        "response_tokens": out,
        "total_tokens": into + out,
        "fresh_tokens": tokens.fresh,
        "cache_read_tokens": tokens.cache_read,
        "cache_write_tokens": tokens.cache_write,
        "audio_in_tokens": tokens.audio_in,
        "output_tokens": tokens.output,
        "reasoning_tokens": tokens.reasoning,
        "audio_out_tokens": tokens.audio_out,
        "estimated": tokens.estimated,
        "usage_raw": event.usage_raw,
        "cost_nano": 0,
        "latency_ms": event.latency_ms,
        "first_token_ms": event.first_token_ms,
        "status": str(event.status),
        "http_status": event.http_status,
        "error_code": event.error_code,
        "retries": event.retries,
        "metadata": event.metadata or None,
        "cached": event.cached,
    }


class Hours:
    """Rows of ``usage_hourly`` in the making."""

    def __init__(self) -> None:
        # By the table's key: requests, errors, tokens in, tokens out, latencies' sum and maximum.
        self._sums: dict[tuple[int, int, str, str, int, str], list[Any]] = {}

    def add(self, events: Iterable[UsageEvent]) -> None:
        """Take events in."""
        for event in events:
            tokens, latency_ms = event.tokens, event.latency_ms
            hour, model = event.began_ms // _HOUR_MS, event.model[:_MODEL_LENGTH]
            key = (hour, event.user_id, event.key_id or "", model, event.channel_id or 0, event.surface)
            sums = self._sums.get(key)
            if sums is None:
                sums = self._sums[key] = [0, 0, 0, 0, 0.0, 0.0]
            sums[0] += 1
            sums[1] += event.status in _ERRORS
            sums[2] += tokens.request
            sums[3] += tokens.response
            sums[4] += latency_ms
            sums[5] = max(sums[5], latency_ms)

    def rows(self) -> list[Row]:
        """Return the rows, in the order of their key (so that two writers never deadlock)."""
        return [_hour_row(key, self._sums[key]) for key in sorted(self._sums)]


def _hour_row(key: tuple[int, int, str, str, int, str], sums: Sequence[Any]) -> Row:
    hour, user_id, key_id, model, channel_id, surface = key
    requests, errors, into, out, latency_ms_sum, latency_ms_max = sums
    return {
        "hour": _moment(hour * _HOUR_MS),
        "user_id": user_id,
        "key_id": key_id,
        "model": model,
        "channel_id": channel_id,
        "surface": surface,
        "requests": requests,
        "errors": errors,
        "request_tokens": into,
        "response_tokens": out,
        "total_tokens": into + out,
        "cost_nano": 0,
        "latency_ms_sum": latency_ms_sum,
        "latency_ms_max": latency_ms_max,
    }


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
