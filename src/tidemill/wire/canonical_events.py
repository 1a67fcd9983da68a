"""A streamed answer as a small algebra of events; every dialect's stream is read into it and written from it.

Order: ``Started`` once, then parts, then ``Stopped`` for each choice, ``Metered`` whenever usage is told, ``Finished``
once at a good end, or ``Failed`` as the last one. A part is opened, grows, is closed. Its number ``part`` is unique in
the stream; several parts may be open at once (OpenAI's parallel calls), so who writes a dialect that allows only one
must wait with the others. ``Whole`` is a part that comes at once, neither opened nor closed.
"""

from typing import ClassVar, Literal

from msgspec import UNSET, Raw, Struct, UnsetType

from tidemill.wire.canonical import Stop
from tidemill.wire.canonical_fault import Fault
from tidemill.wire.canonical_parts import Audio, Citation, File, Image, Issuer, Opaque, Redacted
from tidemill.wire.canonical_usage import Usage


class _Event(Struct, frozen=True, gc=False):
    """``carries``: it holds what a reader waits for, so that from here on no other channel may take over."""

    carries: ClassVar[bool] = False


class Started(_Event, frozen=True, tag="started"):
    """The upstream has begun. ``created`` in Unix seconds; ``usage``: what is known of the prompt already."""

    id: str
    model: str
    created: int | UnsetType = UNSET
    usage: Usage | UnsetType = UNSET


class Opened(_Event, frozen=True, tag="opened"):
    """A part that grows by ``TextDelta`` (text, refusal), ``ReasoningDelta`` or ``AudioDelta``."""

    part: int
    kind: Literal["text", "reasoning", "refusal", "audio"]
    choice: int = 0
    summary: bool = False
    item_id: str | UnsetType = UNSET


class ToolOpened(_Event, frozen=True, tag="tool_opened"):
    """A call of a tool begins; its arguments follow."""

    carries: ClassVar[bool] = True
    part: int
    id: str
    name: str
    choice: int = 0
    custom: bool = False
    item_id: str | UnsetType = UNSET


class TextDelta(_Event, frozen=True, tag="text"):
    """More words of a text or a refusal. ``logprobs``: a JSON object in OpenAI's shape."""

    carries: ClassVar[bool] = True
    part: int
    text: str
    logprobs: Raw | UnsetType = UNSET


class ReasoningDelta(_Event, frozen=True, tag="reasoning"):
    """More thinking."""

    carries: ClassVar[bool] = True
    part: int
    text: str


class ArgumentsDelta(_Event, frozen=True, tag="arguments"):
    """More of a call's arguments: JSON text cut anywhere, or free text of a custom tool."""

    carries: ClassVar[bool] = True
    part: int
    text: str


class AudioDelta(_Event, frozen=True, tag="audio"):
    """More sound (base64), of its transcript, or what is known of it only at its end."""

    carries: ClassVar[bool] = True
    part: int
    data: str = ""
    transcript: str = ""
    id: str | UnsetType = UNSET
    expires_at: int | UnsetType = UNSET


class Signed(_Event, frozen=True, tag="signed"):
    """The signature of an open part (reasoning, a call, a text). ``sealed``: the Responses' encrypted_content."""

    part: int
    signature: str
    issuer: Issuer | UnsetType = UNSET
    sealed: bool = False


class Cited(_Event, frozen=True, tag="cited"):
    """A source of an open text."""

    part: int
    citation: Citation


class Closed(_Event, frozen=True, tag="closed"):
    """A part is complete."""

    part: int


class Whole(_Event, frozen=True, tag="whole"):
    """A part that comes at once."""

    carries: ClassVar[bool] = True
    part: int
    value: Redacted | Image | Audio | File | Opaque
    choice: int = 0


class Metered(_Event, frozen=True, tag="metered"):
    """The usage so far, of the whole answer: the last one counts, never the sum."""

    usage: Usage


class Stopped(_Event, frozen=True, tag="stopped"):
    """A choice has come to its end."""

    carries: ClassVar[bool] = True
    reason: Stop
    choice: int = 0
    stop_string: str | UnsetType = UNSET
    detail: str | UnsetType = UNSET


class Failed(_Event, frozen=True, tag="failed"):
    """The stream broke; nothing follows."""

    fault: Fault


class Ping(_Event, frozen=True, tag="ping"):
    """The upstream is still there."""


class Finished(_Event, frozen=True, tag="finished"):
    """The stream ended as it should; nothing follows."""


Event = (
    Started
    | Opened
    | ToolOpened
    | TextDelta
    | ReasoningDelta
    | ArgumentsDelta
    | AudioDelta
    | Signed
    | Cited
    | Closed
    | Whole
    | Metered
    | Stopped
    | Failed
    | Ping
    | Finished
)
