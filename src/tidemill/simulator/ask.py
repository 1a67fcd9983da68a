"""What a request asks for, in no provider's words: each protocol face reads its own shape into this."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct

Role = Literal["system", "user", "assistant", "tool"]
Finish = Literal["end", "stop", "length", "tools", "filtered"]


class Media(Struct, frozen=True):
    """An image, document, sound or film of a turn: its bytes, or only where they are."""

    kind: Literal["image", "document", "audio", "video"]
    media_type: str = ""
    data: bytes = b""
    url: str = ""


class Call(Struct, frozen=True):
    """A tool call; ``key`` is 24 hex digits that a face makes its own kind of id from."""

    name: str
    arguments: Mapping[str, Any]
    key: str = ""


class Result(Struct, frozen=True):
    """What a tool answered."""

    name: str
    text: str
    failed: bool = False


class Turn(Struct, frozen=True):
    """One message of the conversation."""

    role: Role
    text: str = ""
    media: Sequence[Media] = ()
    calls: Sequence[Call] = ()
    results: Sequence[Result] = ()


class Tool(Struct, frozen=True):
    """A function that the model may call; ``schema`` describes its arguments."""

    name: str
    schema: Mapping[str, Any]


class Ask(Struct, frozen=True):
    """One request. ``only`` narrows the tools by name; ``thinks`` asks for reasoning beside the answer."""

    turns: Sequence[Turn]
    tools: Sequence[Tool] = ()
    choice: Literal["auto", "none", "required"] = "auto"
    only: Sequence[str] | None = None
    parallel: bool = True
    schema: Mapping[str, Any] | None = None
    schema_name: str = ""
    json_mode: bool = False
    thinks: bool = False
    max_tokens: int | None = None
    stops: Sequence[str] = ()
    seed: Any = None

    @property
    def prompt(self) -> str:
        """The text of the last user turn, empty when there is none."""
        for turn in reversed(self.turns):
            if turn.role == "user":
                return turn.text
        return ""


class Reply(Struct, frozen=True):
    """What the simulated model says; ``stop`` is the stop string that ended it, if one did."""

    text: str
    finish: Finish
    calls: Sequence[Call] = ()
    reasoning: str = ""
    stop: str = ""
