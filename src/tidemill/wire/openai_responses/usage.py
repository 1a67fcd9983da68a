"""The Responses' usage, whose counts include one another, into buckets that do not, and back."""

from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from tidemill.wire.canonical_json import told
from tidemill.wire.canonical_usage import Usage, split


class _InputDetailsIn(Struct, frozen=True):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    audio_tokens: int | None = None
    image_tokens: int | None = None


class _OutputDetailsIn(Struct, frozen=True):
    reasoning_tokens: int | None = None
    audio_tokens: int | None = None


class _UsageIn(Struct, frozen=True):
    input_tokens: int | None = None
    input_tokens_details: _InputDetailsIn | None = None
    output_tokens: int | None = None
    output_tokens_details: _OutputDetailsIn | None = None


class InputDetails(Struct, frozen=True):
    """What the input's count holds; OpenAI tells both always."""

    cached_tokens: int
    cache_write_tokens: int


class OutputDetails(Struct, frozen=True):
    """What the output's count holds."""

    reasoning_tokens: int


class UsageOut(Struct, frozen=True):
    """Usage as OpenAI writes it."""

    input_tokens: int
    input_tokens_details: InputDetails
    output_tokens: int
    output_tokens_details: OutputDetails
    total_tokens: int


def read_usage(value: Any) -> Usage | UnsetType:
    """Return the buckets of a decoded ``usage`` object; UNSET when there is none, or none that can be read."""
    if not isinstance(value, dict):
        return UNSET
    try:
        came = msgspec.convert(value, _UsageIn, strict=False)
    except msgspec.ValidationError:
        return UNSET
    if came.input_tokens is None and came.output_tokens is None:
        return UNSET
    before = came.input_tokens_details or _InputDetailsIn()
    after = came.output_tokens_details or _OutputDetailsIn()
    fresh, (read, written, audio, image) = split(
        told(came.input_tokens),
        before.cached_tokens,
        before.cache_write_tokens,
        before.audio_tokens,
        before.image_tokens,
    )
    text, (reasoning, audio_out) = split(told(came.output_tokens), after.reasoning_tokens, after.audio_tokens)
    return Usage(
        fresh=fresh,
        cache_read=read,
        cache_write_5m=written,
        audio_in=audio,
        image_in=image,
        text_out=text,
        reasoning_out=reasoning,
        audio_out=audio_out,
    )


def write_usage(usage: Usage) -> UsageOut:
    """Return the inclusive counts; the details that clients need are there always."""
    before, after = usage.prompt or 0, usage.completion or 0
    return UsageOut(
        before,
        InputDetails(usage.cache_read or 0, usage.cache_write or 0),
        after,
        OutputDetails(usage.reasoning_out or 0),
        before + after,
    )
