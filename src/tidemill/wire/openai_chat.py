"""OpenAI chat completions: what a relay must read, and nothing more.

A request is a mapping of undecoded fields, so whatever a client sends that we do not know goes on untouched. An
answer is read for usage, errors and the first sign of content; its bytes are what the client gets.
Absent is not zero: a missing count stays None until somebody estimates it.
"""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar, cast

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from tidemill.wire.tokens import TokenCounts, estimate_messages

Body = dict[str, Raw]

_ABSENT = Raw()
# JSON values that say no more than absence does.
_NOTHING = frozenset({b"null", b"[]", b"{}", b'""'})
_LONGEST_NOTHING = 4


class _PromptDetails(Struct, frozen=True):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    audio_tokens: int | None = None


class _CompletionDetails(Struct, frozen=True):
    reasoning_tokens: int | None = None
    audio_tokens: int | None = None


class Usage(Struct, frozen=True):
    """An upstream's ``usage`` object as it came."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None
    prompt_cache_hit_tokens: int | None = None  # DeepSeek

    @property
    def is_plain(self) -> bool:
        """Whether nothing is said of the parts: then the wholes are all there is."""
        return (
            self.prompt_tokens_details is None
            and self.completion_tokens_details is None
            and self.prompt_cache_hit_tokens is None
        )

    def counts(self) -> TokenCounts:
        """Return the disjoint columns; parts larger than their whole are cut to it."""
        prompt = max(self.prompt_tokens or 0, 0)
        completion = max(self.completion_tokens or 0, 0)
        if self.is_plain:
            return TokenCounts(fresh=prompt, output=completion)
        details = self.prompt_tokens_details or _PromptDetails()
        cached = details.cached_tokens if details.cached_tokens is not None else self.prompt_cache_hit_tokens
        cache_read, left = _take(cached, prompt)
        cache_write, left = _take(details.cache_write_tokens, left)
        audio_in, fresh = _take(details.audio_tokens, left)
        out = self.completion_tokens_details or _CompletionDetails()
        reasoning, left = self._reasoning(out.reasoning_tokens or 0, prompt, completion)
        audio_out, output = _take(out.audio_tokens, left)
        return TokenCounts(fresh, cache_read, cache_write, audio_in, output, reasoning, audio_out)

    def _reasoning(self, reasoning: int, prompt: int, completion: int) -> tuple[int, int]:
        # xAI counts reasoning outside completion_tokens; the total gives it away.
        if reasoning and self.total_tokens == prompt + completion + reasoning:
            return reasoning, completion
        return _take(reasoning, completion)


def _take(part: int | None, whole: int) -> tuple[int, int]:
    taken = min(max(part or 0, 0), whole)
    return taken, whole - taken


class Delta(Struct, frozen=True):
    """The fields of a streamed delta that carry something a person or program waits for."""

    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: Raw = _ABSENT
    function_call: Raw = _ABSENT
    audio: Raw = _ABSENT

    def carries(self) -> bool:
        """Tell whether this is more than a role or an empty piece."""
        return bool(
            self.content
            or self.reasoning_content
            or self.reasoning
            or self.refusal
            or _present(self.tool_calls)
            or _present(self.function_call)
            or _present(self.audio)
        )

    def text_bytes(self) -> int:
        """Return how much generated text this piece holds, in UTF-8 bytes; arguments of calls count."""
        return (
            _size(self.content)
            + _size(self.reasoning_content or self.reasoning)
            + _size(self.refusal)
            + _length(self.tool_calls)
            + _length(self.function_call)
        )


class ChunkChoice(Struct, frozen=True):
    """One choice of a streamed chunk."""

    delta: Delta | None = None
    finish_reason: str | None = None


class Chunk(Struct, frozen=True):
    """One streamed chunk, read only as far as a relay needs."""

    choices: list[ChunkChoice] | None = None
    usage: Raw = _ABSENT
    error: Raw = _ABSENT
    object: str | None = None

    @property
    def has_usage(self) -> bool:
        """Tell whether a usage object is in it."""
        return _present(self.usage)

    @property
    def has_error(self) -> bool:
        """Tell whether this is an error in a stream's clothes."""
        return _present(self.error) or self.object == "error"

    @property
    def is_usage_alone(self) -> bool:
        """Tell whether this is the closing chunk that ``stream_options.include_usage`` asks for."""
        return not self.choices and self.has_usage


_chunks = msgspec.json.Decoder(Chunk)
_usages = msgspec.json.Decoder(Usage)
_bodies = msgspec.json.Decoder(Body)


class Message(Struct, frozen=True):
    """The message of a plain answer."""

    content: str | list[Any] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: Raw = _ABSENT
    function_call: Raw = _ABSENT

    def text(self) -> str:
        """Return the text, parts joined."""
        if isinstance(self.content, list):
            return "".join(text_parts(self.content))
        return self.content or ""

    def text_bytes(self) -> int:
        """Return how much was generated, in UTF-8 bytes."""
        return (
            _size(self.text())
            + _size(self.reasoning_content or self.reasoning)
            + _size(self.refusal)
            + _length(self.tool_calls)
            + _length(self.function_call)
        )


class AnswerChoice(Struct, frozen=True):
    """One choice of a plain answer."""

    message: Message | None = None
    finish_reason: str | None = None


class Answer(Struct, frozen=True):
    """A plain answer (chat or embeddings), read only as far as a relay needs."""

    id: str | None = None
    choices: list[AnswerChoice] | None = None
    usage: Raw = _ABSENT
    error: Raw = _ABSENT
    object: str | None = None

    @property
    def has_error(self) -> bool:
        """Tell whether this is an error behind a good status."""
        return _present(self.error) or self.object == "error"


_answers = msgspec.json.Decoder(Answer)


T = TypeVar("T")


def _decoded(decode: Callable[[bytes], T], data: bytes) -> T:
    try:
        return decode(data)
    except (UnicodeError, RecursionError) as error:
        # Text that is no UTF-8, and nesting without end: no JSON either.
        raise msgspec.DecodeError(str(error)) from None


def read_body(data: bytes) -> Body:
    """Open a request body one level deep; raises msgspec.MsgspecError when it is not a JSON object."""
    return _decoded(_bodies.decode, data)


def read_chunk(data: bytes) -> Chunk | None:
    """Read a streamed chunk; None when it is JSON of a shape we do not know (it goes on as it is).

    Raises msgspec.DecodeError when it is not JSON at all.
    """
    try:
        return _chunks.decode(data)
    except msgspec.ValidationError:
        return None
    except (UnicodeError, RecursionError) as error:
        raise msgspec.DecodeError(str(error)) from None


def read_answer(data: bytes) -> Answer | None:
    """Read a plain answer; None when it is JSON of a shape we do not know.

    Raises msgspec.DecodeError when it is not JSON at all.
    """
    try:
        return _decoded(_answers.decode, data)
    except msgspec.ValidationError:
        return None


def read_usage(raw: Raw) -> TokenCounts | None:
    """Return the counts of a ``usage`` object; None when there is none, or none that can be read."""
    if not _present(raw):
        return None
    try:
        usage = _usages.decode(raw)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    if usage.prompt_tokens is None and usage.completion_tokens is None and usage.total_tokens is None:
        return None
    return usage.counts()


class _StreamOptions(Struct, frozen=True):
    include_usage: bool | UnsetType | None = UNSET


def wants_usage(body: Body) -> bool:
    """Tell whether the client itself asked for the closing usage chunk."""
    raw = body.get("stream_options")
    if raw is None or not _present(raw):
        return False
    try:
        return msgspec.json.decode(raw, type=_StreamOptions).include_usage is True
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return False


def with_usage(body: Body) -> Raw:
    """Return ``stream_options`` with the closing usage chunk asked for; what else the client set stays."""
    raw = body.get("stream_options")
    options: Body = {}
    if raw is not None and _present(raw):
        try:
            options = _bodies.decode(raw)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            return raw  # not an object: the upstream says what is wrong with it
    options["include_usage"] = Raw(b"true")
    return Raw(msgspec.json.encode(options))


def estimate_request(messages: Raw) -> int:
    """Estimate the tokens of a request's ``messages`` (or of an embedding's ``input``)."""
    try:
        value = msgspec.json.decode(messages)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return 0
    if not isinstance(value, list):
        return estimate_messages(0, _size(value if isinstance(value, str) else ""))
    items = cast("list[Any]", value)
    return estimate_messages(
        sum(isinstance(item, dict) for item in items), sum(_size(text) for text in text_parts(items))
    )


def text_parts(items: Iterable[Any]) -> Iterable[str]:
    """Yield every text of messages or content parts, however nested; images and audio have none."""
    for item in items:
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            parts = cast("dict[str, Any]", item)
            yield from text_parts([parts.get("content"), parts.get("text"), parts.get("arguments")])
            yield from text_parts([parts.get("function"), parts.get("tool_calls")])
        elif isinstance(item, list):
            yield from text_parts(cast("list[Any]", item))


def _present(raw: Raw) -> bool:
    if raw is _ABSENT:
        return False
    view = memoryview(raw)
    size = len(view)
    return size > _LONGEST_NOTHING or (size > 0 and view.tobytes() not in _NOTHING)


def _length(raw: Raw) -> int:
    return 0 if raw is _ABSENT else len(memoryview(raw))


def _size(text: str | None) -> int:
    if not text:
        return 0
    return len(text) if text.isascii() else len(text.encode())
