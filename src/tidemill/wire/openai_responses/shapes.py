"""OpenAI's Responses as they arrive: every field optional, so that what is missing can be told from what is wrong."""

from typing import Any, Literal

from msgspec import Raw, Struct, field

from tidemill.wire.openai.shapes import ABSENT, CacheControl, ImageUrl, InputAudio


class PartIn(Struct, frozen=True):
    """One part of an item's content, summary or output."""

    type: str = ""
    text: str | None = None
    image_url: str | ImageUrl | None = None
    detail: str | None = None
    file_id: str | None = None
    file_data: str | None = None
    file_url: str | None = None
    filename: str | None = None
    input_audio: InputAudio | None = None
    refusal: str | None = None
    annotations: list[Raw] | None = None
    logprobs: Raw = ABSENT
    prompt_cache_breakpoint: CacheControl | None = None


class TypeIn(Struct, frozen=True):
    """What kind of item it is; one without a type is a message, or with an id alone a reference."""

    type: str | None = None
    role: str | None = None
    id: str | None = None


class MessageIn(Struct, frozen=True):
    """A message."""

    role: str = "user"
    content: str | list[PartIn] | None = None


class CallIn(Struct, frozen=True):
    """A call of a function (``arguments``) or of a free-text tool (``input``)."""

    call_id: str | None = None
    id: str | None = None
    name: str | None = None
    arguments: str | dict[str, Any] | None = None
    input: str | None = None


class OutputIn(Struct, frozen=True):
    """What a tool said."""

    call_id: str | None = None
    output: str | list[PartIn] | None = None
    name: str | None = None


class ReasoningIn(Struct, frozen=True):
    """Thinking: summed up, in full, sealed."""

    id: str | None = None
    summary: list[PartIn] | None = None
    content: list[PartIn] | None = None
    encrypted_content: str | None = None


class ToolIn(Struct, frozen=True):
    """A tool on offer; a ``type`` other than function and custom is one that OpenAI runs."""

    type: str = "function"
    name: str | None = None
    description: str | None = None
    parameters: Raw = ABSENT
    strict: bool | None = None
    format: Raw = ABSENT


class GrammarIn(Struct, frozen=True):
    """What the text of a free-text tool must look like."""

    type: str = "text"
    syntax: Raw = ABSENT
    definition: Raw = ABSENT


class NamedIn(Struct, frozen=True):
    """A tool by name."""

    type: str = "function"
    name: str | None = None


class ToolChoiceIn(Struct, frozen=True):
    """A choice that names tools."""

    type: str = ""
    name: str | None = None
    mode: Literal["auto", "required"] = "auto"
    tools: list[NamedIn] = field(default_factory=list[NamedIn])


class FormatIn(Struct, frozen=True):
    """What the answer must look like."""

    type: str
    name: str | None = None
    description: str | None = None
    schema: Raw = ABSENT
    strict: bool | None = None


class TextIn(Struct, frozen=True):
    """How the text shall be."""

    format: FormatIn | None = None
    verbosity: str | None = None


class ThinkingIn(Struct, frozen=True):
    """How much to think, and how much of it to tell."""

    effort: str | None = None
    summary: str | None = None
    generate_summary: str | None = None


class RequestIn(Struct, frozen=True):
    """A request."""

    model: str
    input: str | list[Raw] | None = None
    instructions: str | None = None
    stream: bool | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    top_logprobs: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    tools: list[Raw] | None = None
    tool_choice: str | ToolChoiceIn | None = None
    parallel_tool_calls: bool | None = None
    text: TextIn | None = None
    reasoning: ThinkingIn | None = None
    user: str | None = None
    safety_identifier: str | None = None
    metadata: dict[str, Any] | None = None
    prompt_cache_key: str | None = None
    service_tier: str | None = None


class IncompleteIn(Struct, frozen=True):
    """Why an answer is not complete."""

    reason: str | None = None


class ResponseIn(Struct, frozen=True):
    """An answer, or what a stream's first and last event tell of it."""

    id: str | None = None
    model: str | None = None
    created_at: float | None = None
    status: str | None = None
    output: list[Raw] | None = None
    usage: Any = None
    error: Any = None
    incomplete_details: IncompleteIn | None = None
    service_tier: str | None = None
