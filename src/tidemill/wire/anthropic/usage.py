"""Anthropic's usage, which tells the cache apart from the rest already, into buckets and back."""

from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from tidemill.wire.anthropic.shapes import CacheCreation, OutputDetails, ServerToolUse, UsageIn
from tidemill.wire.canonical_json import told
from tidemill.wire.canonical_usage import Count, Usage, split, total_of


class CacheCreationOut(Struct, frozen=True):
    """What was written to the cache, by lifetime."""

    ephemeral_5m_input_tokens: int
    ephemeral_1h_input_tokens: int


class OutputDetailsOut(Struct, frozen=True):
    """What the output's count holds."""

    thinking_tokens: int


class ServerToolUseOut(Struct, frozen=True):
    """Calls of hosted tools."""

    web_search_requests: int
    web_fetch_requests: int = 0


class DeltaUsageOut(Struct, frozen=True):
    """Usage as Anthropic writes it at a stream's end: every field is there always; the cache's counts are numbers."""

    input_tokens: int
    output_tokens: int
    cache_creation_input_tokens: int = 0
    cache_read_input_tokens: int = 0
    output_tokens_details: OutputDetailsOut | None = None
    server_tool_use: ServerToolUseOut | None = None


class UsageOut(DeltaUsageOut, frozen=True):
    """Usage as Anthropic writes it in a message."""

    cache_creation: CacheCreationOut = CacheCreationOut(0, 0)
    inference_geo: str | None = None
    service_tier: str | None = None


def read_usage(value: Any, before: Usage | UnsetType = UNSET) -> Usage | UnsetType:
    """Return the buckets of a decoded ``usage`` object, counted on from ``before``: later reports are cumulative."""
    if not isinstance(value, dict):
        return before
    try:
        came = msgspec.convert(value, UsageIn, strict=False)
    except msgspec.ValidationError:
        return before
    thought = (came.output_tokens_details or OutputDetails()).thinking_tokens
    text, (reasoning,) = split(told(came.output_tokens), thought)
    if before is not UNSET and thought is None and before.reasoning_out is not UNSET and text is not UNSET:
        text, (reasoning,) = split(text, before.reasoning_out)
    five, hour = _written(came, before)
    usage = Usage(
        fresh=told(came.input_tokens),
        cache_read=told(came.cache_read_input_tokens),
        cache_write_5m=five,
        cache_write_1h=hour,
        text_out=text,
        reasoning_out=reasoning,
        searches=told((came.server_tool_use or ServerToolUse()).web_search_requests),
    )
    return usage if before is UNSET else before.updated(usage)


def _written(came: UsageIn, before: Usage | UnsetType) -> tuple[Count, Count]:
    parts = came.cache_creation or CacheCreation()
    five, hour = told(parts.ephemeral_5m_input_tokens), told(parts.ephemeral_1h_input_tokens)
    whole = told(came.cache_creation_input_tokens)
    if whole is UNSET or total_of(five, hour) == whole:
        return five, hour
    if five is UNSET and hour is UNSET and before is not UNSET and before.cache_write == whole:
        return UNSET, UNSET  # the sum of what was told by lifetime before
    # A lifetime nobody told is the default one.
    return max(whole - (hour or 0), 0), hour


def write_usage(usage: Usage | UnsetType, prompt_tokens: Count = UNSET) -> UsageOut:
    """Return what clients read; the two counts they need are there always, the prompt's by estimate if need be."""
    if usage is UNSET:
        return UsageOut(prompt_tokens or 0, 0)
    fresh = total_of(usage.fresh, usage.audio_in, usage.image_in, usage.tool_in)
    thought = usage.reasoning_out
    return UsageOut(
        (prompt_tokens or 0) if fresh is UNSET else fresh,
        usage.completion or 0,
        usage.cache_write or 0,
        usage.cache_read or 0,
        None if thought is UNSET else OutputDetailsOut(thought),
        None if usage.searches is UNSET else ServerToolUseOut(usage.searches),
        CacheCreationOut(usage.cache_write_5m or 0, usage.cache_write_1h or 0),
    )


def write_delta_usage(usage: Usage | UnsetType, prompt_tokens: Count = UNSET) -> DeltaUsageOut:
    """Return what a stream's end tells, which is less than a message does."""
    whole = write_usage(usage, prompt_tokens)
    return DeltaUsageOut(*(getattr(whole, name) for name in DeltaUsageOut.__struct_fields__))
