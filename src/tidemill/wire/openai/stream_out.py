"""Write a streamed chat completion: every chunk is a prefix made once, the news, and a suffix made once."""

from collections.abc import Iterable
from typing import Any

from msgspec import UNSET, UnsetType

from tidemill.wire.canonical import Stop
from tidemill.wire.canonical_events import (
    ArgumentsDelta,
    AudioDelta,
    Cited,
    Closed,
    Event,
    Failed,
    Finished,
    Metered,
    Opened,
    Ping,
    ReasoningDelta,
    Signed,
    Started,
    Stopped,
    TextDelta,
    ToolOpened,
    Whole,
)
from tidemill.wire.canonical_fault import BAD_TOOL
from tidemill.wire.canonical_json import encode
from tidemill.wire.canonical_parts import Image, Reasoning, Redacted
from tidemill.wire.canonical_tools import unwrap_custom
from tidemill.wire.canonical_usage import Usage
from tidemill.wire.codec import Reply
from tidemill.wire.openai.answer import annotation_of, image_fields, reason_of, shown_id
from tidemill.wire.openai.errors import error_frame
from tidemill.wire.openai.messages_out import detail_fields, signature_fields
from tidemill.wire.openai.usage import write_usage
from tidemill.wire.sse import DONE, HEARTBEAT


class _Part:
    """What was told of a part."""

    __slots__ = ("call", "choice", "custom", "kind", "pieces", "said", "wrapped")

    def __init__(self, kind: str, choice: int) -> None:
        self.kind = kind
        self.choice = choice
        self.call = 0
        self.custom = False
        self.said = False  # arguments have come
        self.wrapped = False  # a free-text tool that the upstream called as a function: told when it is whole
        self.pieces: list[str] = []


class ChatStreamEncoder:
    """Writes one stream for one client. A part that was never opened, or is closed, adds nothing."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._usage: Usage | UnsetType = UNSET
        self._parts: dict[int, _Part] = {}
        self._calls: dict[int, int] = {}  # by choice, how many calls it has
        self._details: dict[int, int] = {}  # by choice, how many entries reasoning_details has
        self._refused: set[int] = set()
        self._ended = False
        self._before = b""
        self._heads: dict[int, bytes] = {}
        self._tail = b',"logprobs":null,"finish_reason":null}]' + self._end()

    def _end(self) -> bytes:
        # Whoever asks for usage gets it in a chunk of its own at the end, and null in every chunk before.
        return b',"usage":null}\n\n' if self._reply.keeps_usage else b"}\n\n"

    def encode(self, events: Iterable[Event]) -> bytes:
        """Return the frames for ``events``."""
        out: list[bytes] = []
        for event in events:
            if self._ended:
                break
            kind = type(event)
            if kind is TextDelta or kind is ReasoningDelta or kind is ArgumentsDelta:
                self._grow(event, out)  # pyright: ignore[reportArgumentType] - told by its type
            else:
                self._rare(event, out)
        return out[0] if len(out) == 1 else b"".join(out)

    # ---- the many ------------------------------------------------------------------------------------------------

    def _grow(self, event: TextDelta | ReasoningDelta | ArgumentsDelta, out: list[bytes]) -> None:
        part = self._parts.get(event.part)
        if part is None or not event.text:
            return
        kind = part.kind
        if kind == "call":
            self._arguments(part, event.text, out)
            return
        if kind == "reasoning":
            part.pieces.append(event.text)
            delta = b'{"reasoning_content":' + encode(event.text) + b"}"
        elif kind == "refusal":
            self._refused.add(part.choice)
            delta = b'{"refusal":' + encode(event.text) + b"}"
        else:
            delta = b'{"content":' + encode(event.text) + b"}"
        if isinstance(event, TextDelta) and event.logprobs is not UNSET:
            logprobs = b',"logprobs":' + bytes(memoryview(event.logprobs)) + b',"finish_reason":null}]'
            out.append(self._head(part.choice) + delta + logprobs + self._end())
        else:
            out.append(self._head(part.choice) + delta + self._tail)

    def _head(self, choice: int) -> bytes:
        head = self._heads.get(choice)
        return self._begin(choice) if head is None else head

    def _begin(self, choice: int) -> bytes:
        """Return the beginning of a choice's chunks."""
        if not self._before:
            self._start(Started("", ""))
        head = self._heads[choice] = self._before + b'[{"index":%d,"delta":' % choice
        return head

    def _start(self, event: Started) -> None:
        created = self._reply.created if event.created is UNSET else event.created
        self._before = b'data: {"id":%b,"object":"chat.completion.chunk","created":%d,"model":%b,"choices":' % (
            encode(shown_id(event.id, self._reply)),
            created,
            encode(self._reply.model),
        )

    def _add(self, choice: int, delta: dict[str, Any], out: list[bytes]) -> None:
        out.append(self._head(choice) + encode(delta) + self._tail)

    # ---- calls ---------------------------------------------------------------------------------------------------

    def _open_call(self, event: ToolOpened, out: list[bytes]) -> None:
        part = self._parts[event.part] = _Part("call", event.choice)
        part.call = self._calls.get(event.choice, 0)
        self._calls[event.choice] = part.call + 1
        part.wrapped = not event.custom and event.name in self._reply.custom_tools
        part.custom = event.custom or part.wrapped
        if self._reply.legacy_functions:
            if part.call == 0:  # that protocol knows one call
                self._add(event.choice, {"function_call": {"name": event.name, "arguments": ""}}, out)
            return
        call: dict[str, Any] = {"index": part.call, "id": event.id}
        if part.custom:
            call |= {"type": "custom", "custom": {"name": event.name, "input": ""}}
        else:
            call |= {"type": "function", "function": {"name": event.name, "arguments": ""}}
        self._add(event.choice, {"tool_calls": [call]}, out)

    def _arguments(self, part: _Part, text: str, out: list[bytes]) -> None:
        if part.wrapped:
            part.pieces.append(text)
            return
        part.said = True
        if self._reply.legacy_functions:
            if part.call == 0:
                self._add(part.choice, {"function_call": {"arguments": text}}, out)
            return
        form = b'{"tool_calls":[{"index":%d,"custom":{"input":%b}}]}' if part.custom else _ARGUMENTS
        out.append(self._head(part.choice) + form % (part.call, encode(text)) + self._tail)

    # ---- the few -------------------------------------------------------------------------------------------------

    def _rare(self, event: Event, out: list[bytes]) -> None:
        match event:
            case Opened():
                self._parts[event.part] = _Part(event.kind, event.choice)
            case ToolOpened():
                self._open_call(event, out)
            case Closed():
                self._close(event.part, out)
            case Started():
                if not self._before:
                    self._start(event)
                    self._add(0, {"role": "assistant", "content": ""}, out)
            case Metered():
                self._usage = event.usage
            case Stopped():
                self._stop(event, out)
            case Finished():
                self._finish(out)
            case Failed():
                self._ended = True
                out.append(error_frame(event.fault))
            case _:
                self._rarest(event, out)

    def _rarest(self, event: Event, out: list[bytes]) -> None:
        match event:
            case Ping():
                out.append(HEARTBEAT)
            case Signed() if event.part in self._parts:
                self._sign(self._parts[event.part], event, out)
            case AudioDelta() if event.part in self._parts:
                told = (("id", event.id), ("data", event.data), ("transcript", event.transcript))
                audio: dict[str, Any] = {name: value for name, value in told if value}
                if event.expires_at is not UNSET:
                    audio["expires_at"] = event.expires_at
                self._add(self._parts[event.part].choice, {"audio": audio}, out)
            case Cited() if event.part in self._parts:
                annotation = annotation_of(event.citation)
                if annotation is not None:
                    self._add(self._parts[event.part].choice, {"annotations": [annotation]}, out)
            case Whole(value=Image() as image):
                self._add(event.choice, {"images": [image_fields(image)]}, out)
            case Whole(value=Redacted() as sealed):
                self._detail(event.choice, sealed, out)
            case _:
                pass  # a part that no other dialect has

    def _sign(self, part: _Part, event: Signed, out: list[bytes]) -> None:
        if part.kind == "reasoning":
            # Whole, in one entry: a client that sends it back need not put pieces together.
            text, issuer = "".join(part.pieces), event.issuer
            value = Redacted(event.signature, issuer) if event.sealed else Reasoning(text, event.signature, issuer)
            self._detail(part.choice, value, out)
            return
        extra = {"extra_content": signature_fields(event.signature, event.issuer)}
        if part.kind == "call" and not self._reply.legacy_functions:
            self._add(part.choice, {"tool_calls": [{"index": part.call, **extra}]}, out)
        elif part.kind == "text":
            self._add(part.choice, extra, out)

    def _detail(self, choice: int, value: Reasoning | Redacted, out: list[bytes]) -> None:
        details = detail_fields([value])
        for detail in details:
            detail["index"] = self._details.get(choice, 0)
            self._details[choice] = detail["index"] + 1
        self._add(choice, {"reasoning_details": details}, out)

    def _close(self, number: int, out: list[bytes]) -> None:
        part = self._parts.pop(number, None)
        if part is None or part.kind != "call":
            return
        if part.wrapped:
            part.wrapped = False
            self._arguments(part, unwrap_custom("".join(part.pieces)), out)
        elif not part.said and not part.custom:
            self._arguments(part, "{}", out)  # clients parse them: no text is no JSON

    def _stop(self, event: Stopped, out: list[bytes]) -> None:
        if event.reason is Stop.BAD_TOOL:
            self._ended = True
            out.append(error_frame(BAD_TOOL))
            return
        for number in [number for number, part in self._parts.items() if part.choice == event.choice]:
            self._close(number, out)
        reason = reason_of(
            event.reason, refusal=event.choice in self._refused, legacy=self._reply.legacy_functions
        ).encode()
        out.append(self._head(event.choice) + b'{},"logprobs":null,"finish_reason":"%b"}]' % reason + self._end())

    def _finish(self, out: list[bytes]) -> None:
        self._ended = True
        if self._reply.keeps_usage and self._usage is not UNSET:
            if not self._before:
                self._start(Started("", ""))
            out.append(self._before + b'[],"usage":' + encode(write_usage(self._usage)) + b"}\n\n")
        out.append(DONE)


_ARGUMENTS = b'{"tool_calls":[{"index":%d,"function":{"arguments":%b}}]}'
