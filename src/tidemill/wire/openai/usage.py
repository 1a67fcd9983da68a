"""OpenAI's usage, whose counts include one another, into buckets that do not, and back."""

from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from tidemill.wire.canonical_json import told
from tidemill.wire.canonical_usage import Count, Usage, split


class PromptDetails(Struct, frozen=True, omit_defaults=True):
    """What the prompt's count holds."""

    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    audio_tokens: int | None = None
    image_tokens: int | None = None


class CompletionDetails(Struct, frozen=True, omit_defaults=True):
    """What the completion's count holds."""

    reasoning_tokens: int | None = None
    audio_tokens: int | None = None


class UsageIn(Struct, frozen=True):
    """``usage`` as it came."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None
    prompt_cache_hit_tokens: int | None = None  # DeepSeek


class UsageOut(Struct, frozen=True):
    """``usage`` as OpenAI writes it."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails | UnsetType = UNSET
    completion_tokens_details: CompletionDetails | UnsetType = UNSET


def read_usage(value: Any) -> Usage | UnsetType:
    """Return the buckets of a decoded ``usage`` object; UNSET when there is none, or none that can be read."""
    if not isinstance(value, dict):
        return UNSET
    try:
        came = msgspec.convert(value, UsageIn, strict=False)
    except msgspec.ValidationError:
        return UNSET
    if came.prompt_tokens is None and came.completion_tokens is None and came.total_tokens is None:
        return UNSET
    details = came.prompt_tokens_details or PromptDetails()
    cached = details.cached_tokens if details.cached_tokens is not None else came.prompt_cache_hit_tokens
    fresh, (read, written, audio, image) = split(
        told(came.prompt_tokens), cached, details.cache_write_tokens, details.audio_tokens, details.image_tokens
    )
    text, reasoning, audio_out = _completion(came)
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


def _completion(came: UsageIn) -> tuple[Count, Count, Count]:
    details = came.completion_tokens_details or CompletionDetails()
    thought = details.reasoning_tokens or 0
    # xAI counts reasoning outside completion_tokens; the total gives it away.
    if thought > 0 and came.total_tokens == (came.prompt_tokens or 0) + (came.completion_tokens or 0) + thought:
        text, (audio,) = split(told(came.completion_tokens), details.audio_tokens)
        return text, thought, audio
    text, (reasoning, audio) = split(told(came.completion_tokens), details.reasoning_tokens, details.audio_tokens)
    return text, reasoning, audio


def write_usage(usage: Usage) -> UsageOut:
    """Return the inclusive counts; a detail nobody told is left out."""
    prompt, completion = usage.prompt or 0, usage.completion or 0
    before = PromptDetails(
        _told(usage.cache_read),
        _told(usage.cache_write),
        _told(usage.audio_in),
        _told(usage.image_in),
    )
    after = CompletionDetails(_told(usage.reasoning_out), _told(usage.audio_out))
    return UsageOut(
        prompt,
        completion,
        prompt + completion,
        UNSET if before == PromptDetails() else before,
        UNSET if after == CompletionDetails() else after,
    )


def _told(count: Count) -> int | None:
    return None if count is UNSET else count
