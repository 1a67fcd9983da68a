"""Anthropic's messages as they arrive, every field optional; blocks that we do not know stay undecoded."""

from typing import Any

from msgspec import Raw, Struct

ABSENT = Raw()


class CacheControl(Struct, frozen=True):
    """A cache mark; ``ttl`` is 5m or 1h."""

    ttl: str | None = None


class SourceIn(Struct, frozen=True):
    """Where an image or a document comes from."""

    type: str
    media_type: str | None = None
    data: str | None = None
    url: str | None = None
    file_id: str | None = None
    content: str | list[Raw] | None = None


class BlockIn(Struct, frozen=True):
    """A block of content, of any kind.

    ``content`` is text or blocks in a tool's result, and anything in a hosted tool's; ``citations`` is a list on text
    and a setting on documents.
    """

    type: str
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: Raw = ABSENT
    source: SourceIn | None = None
    title: str | None = None
    context: str | None = None
    tool_use_id: str | None = None
    content: Raw = ABSENT
    is_error: bool | None = None
    citations: Raw = ABSENT
    cache_control: CacheControl | None = None


class CitesIn(Struct, frozen=True):
    """Whether a document's use is to be told."""

    enabled: bool | None = None


class MessageIn(Struct, frozen=True):
    """A turn."""

    role: str
    content: str | list[Raw]


class ToolIn(Struct, frozen=True):
    """A tool on offer; a ``type`` other than custom is one that the provider runs."""

    name: str = ""
    type: str | None = None
    description: str | None = None
    input_schema: Raw = ABSENT
    strict: bool | None = None
    cache_control: CacheControl | None = None


class ToolChoiceIn(Struct, frozen=True):
    """Whether a tool may or must be used."""

    type: str
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class ThinkingIn(Struct, frozen=True):
    """How much the model may think."""

    type: str
    budget_tokens: int | None = None
    display: str | None = None


class FormatIn(Struct, frozen=True):
    """What the answer must look like."""

    type: str
    schema: Raw = ABSENT


class OutputConfigIn(Struct, frozen=True):
    """Effort and form of the answer."""

    effort: str | None = None
    format: FormatIn | None = None


class MetadataIn(Struct, frozen=True):
    """Who the end user is."""

    user_id: str | None = None


class RequestIn(Struct, frozen=True):
    """A request for a message, or for the count of its tokens."""

    model: str
    messages: list[MessageIn]
    max_tokens: int | None = None
    system: str | list[BlockIn] | None = None
    stream: bool | None = None
    stop_sequences: list[str] | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    tools: list[Raw] | None = None
    tool_choice: ToolChoiceIn | None = None
    thinking: ThinkingIn | None = None
    output_config: OutputConfigIn | None = None
    output_format: FormatIn | None = None
    metadata: MetadataIn | None = None
    service_tier: str | None = None


class CacheCreation(Struct, frozen=True):
    """What was written to the cache, by lifetime."""

    ephemeral_5m_input_tokens: int | None = None
    ephemeral_1h_input_tokens: int | None = None


class OutputDetails(Struct, frozen=True):
    """What the output's count holds."""

    thinking_tokens: int | None = None


class ServerToolUse(Struct, frozen=True):
    """Calls of hosted tools."""

    web_search_requests: int | None = None
    web_fetch_requests: int | None = None


class UsageIn(Struct, frozen=True):
    """Tokens: ``input_tokens`` excludes what the cache read and took."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_creation: CacheCreation | None = None
    output_tokens_details: OutputDetails | None = None
    server_tool_use: ServerToolUse | None = None


class StopDetails(Struct, frozen=True):
    """Why a model refused."""

    category: str | None = None
    explanation: str | None = None


class ErrorIn(Struct, frozen=True):
    """An error."""

    type: str | None = None
    message: str | None = None


class AnswerIn(Struct, frozen=True):
    """A whole message, or an error in its place."""

    type: str | None = None
    id: str | None = None
    model: str | None = None
    content: list[Raw] | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: StopDetails | None = None
    usage: Any = None
    error: Any = None
