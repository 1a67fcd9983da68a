"""What a conversation is made of, in no provider's dialect: text, media, calls of tools and their results, reasoning.

Absent is not zero and not empty: what nobody said is UNSET. JSON that passes through (arguments, schemas) stays text.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Literal

from msgspec import UNSET, Raw, Struct, UnsetType


class Dialect(StrEnum):
    """A wire format; every provider speaks one of these."""

    OPENAI_CHAT = "openai_chat"
    OPENAI_RESPONSES = "openai_responses"
    ANTHROPIC = "anthropic"
    GEMINI = "gemini"


# Who can verify a signature or open sealed reasoning. Only these get it back; another provider answers 400.
Issuer = str
ANTHROPIC: Issuer = "anthropic"
GOOGLE: Issuer = "google"
OPENAI: Issuer = "openai"
ISSUER_OF: Mapping[Dialect, Issuer] = MappingProxyType(
    {
        Dialect.OPENAI_CHAT: OPENAI,
        Dialect.OPENAI_RESPONSES: OPENAI,
        Dialect.ANTHROPIC: ANTHROPIC,
        Dialect.GEMINI: GOOGLE,
    }
)


class CacheMark(Struct, frozen=True):
    """The prompt up to here is worth keeping. ``ttl`` in the words of whoever set it: 5m, 1h, 30m, 12h."""

    ttl: str | UnsetType = UNSET


# ---- where media comes from ------------------------------------------------------------------------------------------


class Inline(Struct, frozen=True, tag="inline"):
    """Bytes in the message itself: ``data`` is standard base64, as it came."""

    media_type: str
    data: str


class Remote(Struct, frozen=True, tag="remote"):
    """An address that the provider fetches (for Gemini, somebody must fetch it first unless it is Google's own)."""

    url: str
    media_type: str | UnsetType = UNSET


class Stored(Struct, frozen=True, tag="stored"):
    """A file that was uploaded to a provider; it means nothing to another one."""

    id: str
    media_type: str | UnsetType = UNSET


class Plain(Struct, frozen=True, tag="plain"):
    """A document given as text."""

    text: str


Source = Inline | Remote | Stored | Plain


# ---- parts -----------------------------------------------------------------------------------------------------------


class Citation(Struct, frozen=True):
    """Where a piece of an answer comes from. ``raw`` is the object as it came, for its own ``dialect``.

    ``start`` and ``end`` count characters of the text that cites.
    """

    dialect: Dialect
    raw: Raw
    url: str | UnsetType = UNSET
    title: str | UnsetType = UNSET
    quoted: str | UnsetType = UNSET
    start: int | UnsetType = UNSET
    end: int | UnsetType = UNSET


class Text(Struct, frozen=True, tag="text"):
    """Words. ``signature``: Gemini signs text too."""

    text: str
    cache: CacheMark | UnsetType = UNSET
    citations: tuple[Citation, ...] = ()
    signature: str | UnsetType = UNSET
    issuer: Issuer | UnsetType = UNSET


class Image(Struct, frozen=True, tag="image"):
    """A picture. ``detail``: auto, low, high, original."""

    source: Source
    detail: str | UnsetType = UNSET
    cache: CacheMark | UnsetType = UNSET
    signature: str | UnsetType = UNSET
    issuer: Issuer | UnsetType = UNSET


class Audio(Struct, frozen=True, tag="audio"):
    """Sound. In an answer, ``transcript`` says it in words and ``id`` names it for a later turn."""

    source: Source
    id: str | UnsetType = UNSET
    transcript: str | UnsetType = UNSET
    expires_at: int | UnsetType = UNSET
    cache: CacheMark | UnsetType = UNSET


class File(Struct, frozen=True, tag="file"):
    """A document (or a video), told apart by its media type."""

    source: Source
    name: str | UnsetType = UNSET
    context: str | UnsetType = UNSET
    cites: bool | UnsetType = UNSET
    cache: CacheMark | UnsetType = UNSET


class ToolCall(Struct, frozen=True, tag="tool_call"):
    """The model wants a tool. ``arguments`` is JSON text; for a ``custom`` tool it is free text.

    ``signature``: Gemini signs calls and refuses the next turn without it. ``item_id``: the Responses' own id.
    """

    id: str
    name: str
    arguments: str
    custom: bool = False
    signature: str | UnsetType = UNSET
    issuer: Issuer | UnsetType = UNSET
    item_id: str | UnsetType = UNSET
    cache: CacheMark | UnsetType = UNSET


class Reasoning(Struct, frozen=True, tag="reasoning"):
    """Thinking, readable. ``signature`` proves it to its ``issuer``; an empty one came as such.

    ``summary``: the text sums up what stays hidden. ``sealed``: the Responses' encrypted_content beside the text.
    """

    text: str
    signature: str | UnsetType = UNSET
    issuer: Issuer | UnsetType = UNSET
    summary: bool = False
    sealed: str | UnsetType = UNSET
    item_id: str | UnsetType = UNSET


class Redacted(Struct, frozen=True, tag="redacted"):
    """Thinking that only its ``issuer`` can open; it passes through untouched."""

    data: str
    issuer: Issuer | UnsetType = UNSET
    item_id: str | UnsetType = UNSET


class Refusal(Struct, frozen=True, tag="refusal"):
    """The model says no, in words."""

    text: str


class Opaque(Struct, frozen=True, tag="opaque"):
    """A part of one dialect that no other has (a hosted tool's call and result): only that dialect gets it back."""

    dialect: Dialect
    raw: Raw
    kind: str = ""


class ToolResult(Struct, frozen=True, tag="tool_result"):
    """What a tool said to the call ``call_id``. ``name`` is the tool's, where the dialect says it.

    ``is_error``: absent where the dialect has no word for it.
    """

    call_id: str
    parts: tuple["Text | Image | Audio | File | Opaque", ...] = ()
    name: str | UnsetType = UNSET
    is_error: bool | UnsetType = UNSET
    custom: bool = False
    cache: CacheMark | UnsetType = UNSET


ResultPart = Text | Image | Audio | File | Opaque
Part = Text | Image | Audio | File | ToolCall | ToolResult | Reasoning | Redacted | Refusal | Opaque

Role = Literal["user", "assistant", "system"]


class Turn(Struct, frozen=True):
    """One speaker's parts. Results of tools are parts of a user's turn; ``system`` here is an aside amid the talk."""

    role: Role
    parts: tuple[Part, ...]
    name: str | UnsetType = UNSET
