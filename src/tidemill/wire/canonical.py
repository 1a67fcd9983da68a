"""The one inner form of a request and of its answer: every dialect is read into it and written from it.

With n dialects this needs 2n translations instead of n squared. Absent is never zero: UNSET says that nobody spoke.
What only one dialect knows travels in ``extras`` and goes on to that dialect alone.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Literal

from msgspec import UNSET, Raw, Struct, UnsetType

from tidemill.wire.canonical_fault import bad_request
from tidemill.wire.canonical_parts import CacheMark, Dialect, Part, Text, Turn
from tidemill.wire.canonical_usage import Usage

NO_EXTRAS: Mapping[str, Raw] = MappingProxyType({})

# ---- request ---------------------------------------------------------------------------------------------------------


class Tool(Struct, frozen=True, tag="tool"):
    """A function the client offers. ``schema``: JSON Schema of its arguments.

    ``custom``: it takes free text instead; ``format`` is then the grammar, as OpenAI writes it.
    """

    name: str
    description: str | UnsetType = UNSET
    schema: Raw | UnsetType = UNSET
    strict: bool | UnsetType = UNSET
    custom: bool = False
    format: Raw | UnsetType = UNSET
    cache: CacheMark | UnsetType = UNSET


class HostedTool(Struct, frozen=True, tag="hosted"):
    """A tool that the provider runs itself (search, code): it means nothing outside its dialect."""

    dialect: Dialect
    raw: Raw
    kind: str = ""


class ToolChoice(Struct, frozen=True):
    """Whether a tool may or must be called. ``names`` narrows it to some; one name and ``required`` forces that one."""

    mode: Literal["auto", "none", "required"]
    names: tuple[str, ...] = ()


class OutputFormat(Struct, frozen=True):
    """What the text must look like: anything, any JSON object, or what ``schema`` (JSON Schema) allows."""

    kind: Literal["text", "json", "schema"]
    schema: Raw | UnsetType = UNSET
    name: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    strict: bool | UnsetType = UNSET


class Thinking(Struct, frozen=True):
    """How much the model may think. ``effort``: none, minimal, low, medium, high, xhigh, max. ``budget`` in tokens.

    ``mode`` adaptive: the model decides. ``show``: whether the answer tells it; ``summary``: auto, concise, detailed.
    """

    mode: Literal["off", "on", "adaptive"] | UnsetType = UNSET
    effort: str | UnsetType = UNSET
    budget: int | UnsetType = UNSET
    show: bool | UnsetType = UNSET
    summary: str | UnsetType = UNSET


class Sampling(Struct, frozen=True, kw_only=True):
    """How the next token is drawn; numbers as the client gave them. ``logit_bias`` is a JSON object."""

    temperature: float | UnsetType = UNSET
    top_p: float | UnsetType = UNSET
    top_k: int | UnsetType = UNSET
    seed: int | UnsetType = UNSET
    frequency_penalty: float | UnsetType = UNSET
    presence_penalty: float | UnsetType = UNSET
    logit_bias: Raw | UnsetType = UNSET
    logprobs: bool | UnsetType = UNSET
    top_logprobs: int | UnsetType = UNSET


class Request(Struct, frozen=True, kw_only=True):
    """What a client asks of a model.

    ``system``: the instructions before the talk, in order. ``max_tokens`` bounds the answer, thinking included.
    ``keeps_usage``: whether a streamed answer shall tell its usage where the dialect leaves that open. ``n``: answers
    wanted. ``user``: the end user, for the provider's abuse control. ``metadata``: a JSON object. ``dialect`` is what
    it was written in, and ``extras`` are that dialect's own top-level fields, undecoded. ``legacy_functions``: it came
    with OpenAI's functions from before tools, and the answer must use them too. ``leans_on``: fields that point at what
    the provider keeps (an earlier answer, a cached prompt); without that the request has another meaning.
    """

    model: str
    turns: tuple[Turn, ...]
    dialect: Dialect
    system: tuple[Text, ...] = ()
    stream: bool = False
    keeps_usage: bool = False
    max_tokens: int | UnsetType = UNSET
    stop: tuple[str, ...] = ()
    n: int | UnsetType = UNSET
    sampling: Sampling = Sampling()
    tools: tuple[Tool | HostedTool, ...] = ()
    tool_choice: ToolChoice | UnsetType = UNSET
    parallel_tools: bool | UnsetType = UNSET
    output: OutputFormat | UnsetType = UNSET
    thinking: Thinking | UnsetType = UNSET
    modalities: tuple[str, ...] | UnsetType = UNSET
    verbosity: str | UnsetType = UNSET
    user: str | UnsetType = UNSET
    metadata: Raw | UnsetType = UNSET
    cache_key: str | UnsetType = UNSET
    service_tier: str | UnsetType = UNSET
    legacy_functions: bool = False
    leans_on: tuple[str, ...] = ()
    extras: Mapping[str, Raw] = NO_EXTRAS

    def refuse_elsewhere(self, dialect: Dialect) -> None:
        """Raise WireError when this is to be written in ``dialect`` and leans on what only its own provider keeps."""
        if self.leans_on and dialect != self.dialect:
            field = self.leans_on[0]
            sentence = f"{field}: nothing of earlier calls is kept here for this model; send the whole conversation"
            raise bad_request(sentence, field)

    def custom_tools(self) -> frozenset[str]:
        """Return the names of tools that take free text."""
        return frozenset(tool.name for tool in self.tools if isinstance(tool, Tool) and tool.custom)


# ---- answer ----------------------------------------------------------------------------------------------------------


class Stop(StrEnum):
    """Why the model stopped."""

    END = "end"
    STOP_STRING = "stop_string"
    LENGTH = "length"
    TOOLS = "tools"
    FILTERED = "filtered"
    PAUSE = "pause"  # a hosted tool's turn is to be sent back to go on
    BAD_TOOL = "bad_tool"  # the model called a tool in a way nobody can read: an upstream failure, worth another try


class Choice(Struct, frozen=True, kw_only=True):
    """One answer of a request's ``n``. ``logprobs`` is a JSON object in OpenAI's shape."""

    parts: tuple[Part, ...]
    stop: Stop | UnsetType = UNSET
    stop_string: str | UnsetType = UNSET
    stop_detail: str | UnsetType = UNSET
    index: int = 0
    logprobs: Raw | UnsetType = UNSET


class Answer(Struct, frozen=True, kw_only=True):
    """What a model answered, whole. ``created`` in Unix seconds, absent where the dialect does not say."""

    id: str
    model: str
    choices: tuple[Choice, ...]
    usage: Usage | UnsetType = UNSET
    created: int | UnsetType = UNSET
    service_tier: str | UnsetType = UNSET
