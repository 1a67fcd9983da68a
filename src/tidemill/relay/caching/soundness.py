"""Tell a whole, good answer from one that must not be given twice: read as the client would read it. Pure."""

from collections.abc import Iterable, Iterator

import msgspec
from msgspec import Struct

from tidemill.relay.pipeline.ask import Ask
from tidemill.wire.canonical import Stop
from tidemill.wire.canonical_events import Failed, Finished, Stopped
from tidemill.wire.canonical_fault import WireError
from tidemill.wire.canonical_parts import Dialect
from tidemill.wire.codecs import codec_of
from tidemill.wire.sse import DONE_DATA, Splitter, data_of

_GOOD = frozenset({Stop.END, Stop.STOP_STRING, Stop.LENGTH, Stop.TOOLS})
# The same in the words of OpenAI and of those who speak like it.
_GOOD_REASONS = frozenset({"stop", "length", "tool_calls", "function_call", "eos", "stop_sequence", "max_tokens"})


class _Choice(Struct, frozen=True):
    finish_reason: str | None = None
    index: int = 0


class _Completion(Struct, frozen=True):
    choices: list[_Choice] = []


_completions = msgspec.json.Decoder(_Completion)


def is_sound(ask: Ask, body: bytes) -> bool:
    """Tell whether ``body``, all that a client got for ``ask``, came to a good end that it names."""
    if ask.kind == "completion" or (ask.kind == "chat" and ask.dialect is Dialect.OPENAI_CHAT):
        return _completion_is_sound(_data_in(body) if ask.stream else [body])
    if ask.kind == "chat":
        return _stream_is_sound(ask, body) if ask.stream else _answer_is_sound(ask, body)
    return _is_json(body)


def _answer_is_sound(ask: Ask, body: bytes) -> bool:
    try:
        answer = codec_of(ask.dialect).decode_answer(body)
    except WireError:
        return False
    return bool(answer.choices) and all(choice.stop in _GOOD for choice in answer.choices)


def _stream_is_sound(ask: Ask, body: bytes) -> bool:
    decoder = codec_of(ask.dialect).stream_decoder()
    events = [*decoder.feed(body), *decoder.close()]
    stops = [event.reason for event in events if isinstance(event, Stopped)]
    failed = any(isinstance(event, Failed) for event in events)
    finished = any(isinstance(event, Finished) for event in events)
    return finished and not failed and bool(stops) and _GOOD.issuperset(stops)


def _completion_is_sound(chunks: Iterable[bytes]) -> bool:
    reasons: dict[int, str | None] = {}
    for chunk in chunks:
        try:
            choices = _completions.decode(chunk).choices
        except (msgspec.MsgspecError, UnicodeError):
            return False
        for choice in choices:
            reasons[choice.index] = choice.finish_reason or reasons.get(choice.index)
    return bool(reasons) and _GOOD_REASONS.issuperset(reasons.values())


def _data_in(body: bytes) -> Iterator[bytes]:
    for event in Splitter().feed(body):
        data = data_of(event)
        if data is not None and data != DONE_DATA:
            yield data


def _is_json(body: bytes) -> bool:
    try:
        msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return False
    return True
