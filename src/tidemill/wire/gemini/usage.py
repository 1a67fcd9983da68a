"""Gemini's usage, which counts thinking apart and the cache within the prompt, into buckets and back."""

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from tidemill.wire.canonical_json import MALFORMED, told
from tidemill.wire.canonical_usage import Count, Usage, split, total_of


class _ModalityIn(Struct, frozen=True, rename="camel"):
    modality: str = ""
    token_count: int | None = None


class _UsageIn(Struct, frozen=True, rename="camel"):
    prompt_token_count: int | None = None
    cached_content_token_count: int | None = None
    candidates_token_count: int | None = None
    response_token_count: int | None = None
    thoughts_token_count: int | None = None
    tool_use_prompt_token_count: int | None = None
    total_token_count: int | None = None
    prompt_tokens_details: list[_ModalityIn] | None = None
    cache_tokens_details: list[_ModalityIn] | None = None
    candidates_tokens_details: list[_ModalityIn] | None = None


class ModalityOut(Struct, frozen=True, rename="camel"):
    """Tokens of one kind."""

    modality: str
    token_count: int


class UsageOut(Struct, frozen=True, rename="camel"):
    """Usage as Gemini writes it."""

    prompt_token_count: Count = UNSET
    cached_content_token_count: Count = UNSET
    candidates_token_count: Count = UNSET
    thoughts_token_count: Count = UNSET
    tool_use_prompt_token_count: Count = UNSET
    total_token_count: int = 0
    prompt_tokens_details: list[ModalityOut] | UnsetType = UNSET
    candidates_tokens_details: list[ModalityOut] | UnsetType = UNSET


_usages = msgspec.json.Decoder(_UsageIn | None, strict=False)


def read_usage(raw: Raw) -> Usage | UnsetType:
    """Return the buckets of a ``usageMetadata``; UNSET when there is none, or none that can be read."""
    if not memoryview(raw):
        return UNSET
    try:
        came = _usages.decode(raw)
    except MALFORMED:
        return UNSET
    if came is None:
        return UNSET
    if came.prompt_token_count is None and came.candidates_token_count is None and came.total_token_count is None:
        return UNSET
    audio = image = None
    if came.prompt_tokens_details is not None:
        audio = _of("AUDIO", came.prompt_tokens_details, came.cache_tokens_details)
        image = _of("IMAGE", came.prompt_tokens_details, came.cache_tokens_details)
    fresh, (read, audio_in, image_in) = split(
        told(came.prompt_token_count), came.cached_content_token_count, audio, image
    )
    text, (audio_out,) = split(_completion(came), _of("AUDIO", came.candidates_tokens_details, None))
    return Usage(
        fresh=fresh,
        cache_read=read,
        audio_in=audio_in,
        image_in=image_in,
        tool_in=told(came.tool_use_prompt_token_count),
        text_out=text,
        reasoning_out=told(came.thoughts_token_count),
        audio_out=audio_out,
    )


def _completion(came: _UsageIn) -> Count:
    if came.candidates_token_count is not None:
        return came.candidates_token_count
    if came.response_token_count is not None:
        return came.response_token_count
    if came.total_token_count is None:
        return UNSET
    # A zero is left out on the wire (ProtoJSON); the total tells it from silence.
    rest = (came.prompt_token_count or 0) + (came.thoughts_token_count or 0) + (came.tool_use_prompt_token_count or 0)
    return max(came.total_token_count - rest, 0)


def _of(modality: str, details: list[_ModalityIn] | None, cached: list[_ModalityIn] | None) -> int | None:
    """Return the tokens of a kind that did not come from the cache; None when nobody told any."""
    told_counts = [part.token_count or 0 for part in details or () if part.modality == modality]
    if not told_counts:
        return None
    kept = sum(part.token_count or 0 for part in cached or () if part.modality == modality)
    return max(sum(told_counts) - kept, 0)


def write_usage(usage: Usage) -> UsageOut:
    """Return the counts as Gemini nests them; what nobody told is left out."""
    prompt = total_of(
        usage.fresh, usage.cache_read, usage.cache_write_5m, usage.cache_write_1h, usage.audio_in, usage.image_in
    )
    return UsageOut(
        prompt_token_count=prompt,
        cached_content_token_count=usage.cache_read,
        candidates_token_count=total_of(usage.text_out, usage.audio_out),
        thoughts_token_count=usage.reasoning_out,
        tool_use_prompt_token_count=usage.tool_in,
        total_token_count=(usage.prompt or 0) + (usage.completion or 0),
        prompt_tokens_details=_details(AUDIO=usage.audio_in, IMAGE=usage.image_in),
        candidates_tokens_details=_details(AUDIO=usage.audio_out),
    )


def _details(**counts: Count) -> list[ModalityOut] | UnsetType:
    return [ModalityOut(name, count) for name, count in counts.items() if count is not UNSET] or UNSET
