"""What two requests must share to be one question: their canonical form, without what says nothing to the model.

Pure. Numbers are compared by value (1 and 1.0 are one), fields by name whatever their order, texts letter by letter.
A field that is null is not one that is absent: a channel's default fills in the absent one only.
"""

from collections.abc import Collection, Mapping
from typing import Any, cast

import msgspec
from msgspec import Raw

from tidemill.relay.pipeline.ask import Ask
from tidemill.wire.canonical_parts import Dialect

# A request larger than this is not worth its normalising.
MAX_REQUEST_BYTES = 4 * 1024 * 1024
# The next whole number cannot be told from this one as a double.
_EXACT = 2**53

# What changes neither the answer nor how it is shown; the Responses show ``user`` and ``metadata`` again.
_SILENT: Mapping[Dialect, frozenset[str]] = {
    Dialect.OPENAI_CHAT: frozenset(
        {"user", "metadata", "safety_identifier", "prompt_cache_key", "prompt_cache_retention"}
    ),
    Dialect.OPENAI_RESPONSES: frozenset(),
    Dialect.ANTHROPIC: frozenset({"metadata"}),
    Dialect.GEMINI: frozenset({"labels"}),
}
# Said by the call itself: its model, whether it streams, and whether its usage is wanted.
_TOLD = frozenset({"model", "stream", "stream_options"})
# A call that reads or leaves a state at the service asks something else each time.
_STATEFUL = frozenset({"conversation", "background", "container"})
_BETAS = frozenset({"openai-beta", "anthropic-beta"})
_EMPTY = frozenset({b"null", b"false"})

_encoder = msgspec.json.Encoder(order="sorted")


def question(ask: Ask, owner: int | None) -> str | None:
    """Return what ``ask`` asks, the same text for the same meaning; ``owner`` None: whoever of the group asks it.

    None when it can have no kept answer: a form, a body that is too large or no JSON, or one with a state.
    """
    if ask.content_type is not None or ask.channel_id is not None or _is_stateful(ask.body):
        return None
    if ask.raw is not None and len(ask.raw) > MAX_REQUEST_BYTES:
        return None
    fields = canonical(ask.body, _TOLD | _SILENT[ask.dialect])
    if fields is None:
        return None
    betas = sorted(pair for pair in ask.forwarded if pair[0] in _BETAS)
    said = [ask.dialect, ask.kind, ask.endpoint, ask.model, ask.stream, ask.sse, ask.keeps_usage, betas]
    said += [ask.region, ask.caller.group if owner is None else owner]
    return f"{msgspec.json.encode(said).decode()}\n{fields}"


def canonical(body: Mapping[str, Raw], without: Collection[str] = ()) -> str | None:
    """Return the fields of ``body`` but for ``without`` as JSON, the same for the same meaning; None: no JSON."""
    try:
        fields = {name: _plain(msgspec.json.decode(raw)) for name, raw in body.items() if name not in without}
        return _encoder.encode(fields).decode()
    except (msgspec.MsgspecError, UnicodeError, RecursionError, OverflowError):
        return None


def _is_stateful(body: Mapping[str, Raw]) -> bool:
    return any(name in body and bytes(body[name]).strip() not in _EMPTY for name in _STATEFUL)


def _plain(value: Any) -> Any:
    """Write whole numbers as such, however they came."""
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < _EXACT else value
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in cast("list[Any]", value)]
    return value
