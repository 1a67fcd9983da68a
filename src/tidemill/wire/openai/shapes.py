"""OpenAI's chat requests as they arrive: every field optional, so that what is missing can be told from what is wrong.

Fields of OpenAI's look-alikes stand beside OpenAI's own (reasoning_content, reasoning_details, cache_control).
"""

from typing import Any, Literal

from msgspec import Raw, Struct, field

ABSENT = Raw()


class ImageUrl(Struct, frozen=True):
    """An address or a data URL."""

    url: str
    detail: str | None = None


class InputAudio(Struct, frozen=True):
    """Sound in base64; ``format`` is wav or mp3."""

    data: str
    format: str = "wav"


class FileIn(Struct, frozen=True):
    """A document: bytes as a data URL, or the id of an upload."""

    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


class CacheControl(Struct, frozen=True):
    """A cache mark, in Anthropic's words (``ttl``) or OpenAI's own."""

    ttl: str | None = None


class ContentIn(Struct, frozen=True):
    """One part of a message's content."""

    type: str
    text: str | None = None
    image_url: ImageUrl | str | None = None
    input_audio: InputAudio | None = None
    file: FileIn | None = None
    refusal: str | None = None
    cache_control: CacheControl | None = None
    prompt_cache_breakpoint: CacheControl | None = None


class CalledIn(Struct, frozen=True):
    """The function of a call; some send the arguments as an object."""

    name: str | None = None
    arguments: str | dict[str, Any] | None = None


class CustomIn(Struct, frozen=True):
    """The free-text tool of a call."""

    name: str | None = None
    input: str | None = None


class CallIn(Struct, frozen=True):
    """A call of a tool, whole or (with ``index``) a piece of one."""

    index: int | None = None
    id: str | None = None
    type: str | None = None
    function: CalledIn | None = None
    custom: CustomIn | None = None
    extra_content: Any = None


class AudioRef(Struct, frozen=True):
    """Sound of an answer, or the id of an earlier one."""

    id: str | None = None
    data: str | None = None
    transcript: str | None = None
    expires_at: int | None = None


class ReasoningDetail(Struct, frozen=True):
    """One entry of ``reasoning_details``: text with its signature, or sealed data; ``format`` names who can read it."""

    type: str = ""
    text: str | None = None
    summary: str | None = None
    signature: str | None = None
    data: str | None = None
    format: str | None = None
    id: str | None = None


class ThinkingBlock(Struct, frozen=True):
    """One entry of ``thinking_blocks``, Anthropic's blocks in an OpenAI message."""

    type: str = ""
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None


class MessageIn(Struct, frozen=True):
    """A message of a request, or the message of an answer."""

    role: str = "assistant"
    content: str | list[str | ContentIn] | None = None
    name: str | None = None
    tool_calls: list[CallIn] | None = None
    function_call: CalledIn | None = None
    tool_call_id: str | None = None
    refusal: str | None = None
    audio: AudioRef | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    reasoning_details: list[ReasoningDetail] | None = None
    thinking_blocks: list[ThinkingBlock] | None = None
    images: list[ContentIn] | None = None
    annotations: list[Raw] | None = None
    extra_content: Any = None


class FunctionIn(Struct, frozen=True):
    """A function on offer."""

    name: str
    description: str | None = None
    parameters: Raw = ABSENT
    strict: bool | None = None


class CustomToolIn(Struct, frozen=True):
    """A free-text tool on offer."""

    name: str
    description: str | None = None
    format: Raw = ABSENT


class ToolIn(Struct, frozen=True):
    """A tool on offer; another ``type`` is one that the provider runs."""

    type: str = "function"
    function: FunctionIn | None = None
    custom: CustomToolIn | None = None
    cache_control: CacheControl | None = None


class NamedIn(Struct, frozen=True):
    """A tool by name."""

    name: str


class AllowedToolIn(Struct, frozen=True):
    """One of the allowed tools."""

    type: str = "function"
    function: NamedIn | None = None
    custom: NamedIn | None = None


class AllowedIn(Struct, frozen=True):
    """The tools that may be called."""

    mode: Literal["auto", "required"] = "auto"
    tools: list[AllowedToolIn] = field(default_factory=list[AllowedToolIn])


class ToolChoiceIn(Struct, frozen=True):
    """A choice that names tools."""

    type: str = "function"
    function: NamedIn | None = None
    custom: NamedIn | None = None
    allowed_tools: AllowedIn | None = None


class JsonSchemaIn(Struct, frozen=True):
    """The schema an answer must follow."""

    name: str | None = None
    description: str | None = None
    schema: Raw = ABSENT
    strict: bool | None = None


class ResponseFormatIn(Struct, frozen=True):
    """What the answer must look like."""

    type: str
    json_schema: JsonSchemaIn | None = None


class StreamOptionsIn(Struct, frozen=True):
    """What a stream shall tell."""

    include_usage: bool | None = None


class ReasoningIn(Struct, frozen=True):
    """``reasoning`` (OpenRouter, or as in the Responses) or ``thinking`` (Anthropic's, in an OpenAI body).

    Effort or tokens; ``summary`` asks to be told it, ``exclude`` not to be.
    """

    effort: str | None = None
    summary: str | None = None
    max_tokens: int | None = None
    budget_tokens: int | None = None
    enabled: bool | None = None
    exclude: bool | None = None
    type: str | None = None


class RequestIn(Struct, frozen=True):
    """A chat request."""

    model: str
    messages: list[MessageIn]
    stream: bool | None = None
    stream_options: StreamOptionsIn | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    stop: str | list[str] | None = None
    n: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    tools: list[Raw] | None = None
    tool_choice: str | ToolChoiceIn | None = None
    functions: list[FunctionIn] | None = None
    function_call: str | NamedIn | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormatIn | None = None
    reasoning_effort: str | None = None
    reasoning: ReasoningIn | None = None
    thinking: ReasoningIn | None = None
    modalities: list[str] | None = None
    verbosity: str | None = None
    user: str | None = None
    safety_identifier: str | None = None
    metadata: dict[str, Any] | None = None
    prompt_cache_key: str | None = None
    service_tier: str | None = None
