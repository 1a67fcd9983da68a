"""Gemini's exchanges as they arrive: every field optional, so that what is missing can be told from what is wrong."""

from typing import Any

from msgspec import Raw, Struct

from tidemill.wire.openai.shapes import ABSENT


class BlobIn(Struct, frozen=True, rename="camel"):
    """Bytes in base64, of either alphabet."""

    mime_type: str | None = None
    data: str | None = None
    display_name: str | None = None


class FileDataIn(Struct, frozen=True, rename="camel"):
    """A file by its address."""

    file_uri: str | None = None
    mime_type: str | None = None


class PartialArgIn(Struct, frozen=True, rename="camel"):
    """A piece of a call's arguments: what stands at ``json_path``, or more of a text there."""

    json_path: str = "$"
    string_value: str | None = None
    number_value: float | None = None
    bool_value: bool | None = None
    null_value: Any = None


class CallIn(Struct, frozen=True, rename="camel"):
    """A call of a function, whole or (``partial_args``, ``will_continue``) in pieces."""

    id: str | None = None
    name: str | None = None
    args: Raw = ABSENT
    partial_args: list[PartialArgIn] | None = None
    will_continue: bool | None = None


class MediumIn(Struct, frozen=True, rename="camel"):
    """A picture or a file in a function's result."""

    inline_data: BlobIn | None = None
    file_data: FileDataIn | None = None


class ResultIn(Struct, frozen=True, rename="camel"):
    """What a function said: a JSON object."""

    id: str | None = None
    name: str | None = None
    response: Raw = ABSENT
    parts: list[MediumIn] | None = None


class PartIn(Struct, frozen=True, rename="camel"):
    """A part of a content; one with none of these fields is of a kind that only Gemini has."""

    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    inline_data: BlobIn | None = None
    file_data: FileDataIn | None = None
    function_call: CallIn | None = None
    function_response: ResultIn | None = None


class ContentIn(Struct, frozen=True, rename="camel"):
    """What one side says."""

    role: str | None = None
    parts: list[Raw] | None = None


class DeclarationIn(Struct, frozen=True, rename="camel"):
    """A function on offer; its arguments by Gemini's own schema or by JSON Schema."""

    name: str | None = None
    description: str | None = None
    parameters: Raw = ABSENT
    parameters_json_schema: Raw = ABSENT


class CallingConfigIn(Struct, frozen=True, rename="camel"):
    """Whether functions may be called, and which."""

    mode: str | None = None
    allowed_function_names: list[str] | None = None


class ThinkingConfigIn(Struct, frozen=True, rename="camel"):
    """How much to think."""

    include_thoughts: bool | None = None
    thinking_budget: int | None = None
    thinking_level: str | None = None


class GenerationConfigIn(Struct, frozen=True, rename="camel"):
    """How to answer."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: float | None = None
    candidate_count: int | None = None
    max_output_tokens: int | None = None
    stop_sequences: list[str] | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    response_logprobs: bool | None = None
    logprobs: int | None = None
    response_mime_type: str | None = None
    response_schema: Raw = ABSENT
    response_json_schema: Raw = ABSENT
    response_modalities: list[str] | None = None
    thinking_config: ThinkingConfigIn | None = None


class RequestIn(Struct, frozen=True, rename="camel"):
    """A request."""

    contents: list[ContentIn] | None = None
    model: str | None = None
    system_instruction: ContentIn | str | None = None
    tools: list[dict[str, Raw]] | None = None
    tool_config: dict[str, Raw] | None = None
    generation_config: Raw = ABSENT
    service_tier: str | None = None


class WebIn(Struct, frozen=True, rename="camel"):
    """A source."""

    uri: str | None = None
    title: str | None = None


class GroundingChunkIn(Struct, frozen=True, rename="camel"):
    """A source of some kind."""

    web: WebIn | None = None
    retrieved_context: WebIn | None = None
    maps: WebIn | None = None


class SegmentIn(Struct, frozen=True, rename="camel"):
    """A piece of the answer; places count bytes of UTF-8 in a part."""

    start_index: int = 0
    end_index: int | None = None
    text: str | None = None


class SupportIn(Struct, frozen=True, rename="camel"):
    """Which sources a piece of the answer has."""

    segment: SegmentIn | None = None
    grounding_chunk_indices: list[int] | None = None


class GroundingIn(Struct, frozen=True, rename="camel"):
    """Where an answer comes from."""

    grounding_chunks: list[GroundingChunkIn] | None = None
    grounding_supports: list[SupportIn] | None = None
    web_search_queries: list[str] | None = None


class CitationsIn(Struct, frozen=True, rename="camel"):
    """Sources that the answer repeats; the older name and the newer."""

    citation_sources: list[Raw] | None = None
    citations: list[Raw] | None = None


class CandidateIn(Struct, frozen=True, rename="camel"):
    """One answer, or in a stream the news of it."""

    content: ContentIn | None = None
    finish_reason: str | None = None
    finish_message: str | None = None
    index: int | None = None
    citation_metadata: CitationsIn | None = None
    grounding_metadata: GroundingIn | None = None
    logprobs_result: Any = None


class FeedbackIn(Struct, frozen=True, rename="camel"):
    """Why a prompt was refused."""

    block_reason: str | None = None
    block_reason_message: str | None = None


class AnswerIn(Struct, frozen=True, rename="camel"):
    """An answer, or a chunk of one."""

    candidates: list[CandidateIn] | None = None
    prompt_feedback: FeedbackIn | None = None
    usage_metadata: Raw = ABSENT
    model_version: str | None = None
    response_id: str | None = None
    create_time: str | None = None
    error: Any = None
