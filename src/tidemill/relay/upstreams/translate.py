"""Prepare what goes out when the two sides speak different protocols: read once, written for this channel."""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from tidemill.relay.errors import RequestUnreadable
from tidemill.relay.pipeline.ask import Ask
from tidemill.relay.snapshot import Channel
from tidemill.relay.upstreams.laid_over import with_fields
from tidemill.relay.upstreams.port import Errand
from tidemill.relay.upstreams.request import API_VERSION, address, headers_for
from tidemill.relay.upstreams.schemas import closed
from tidemill.wire.canonical import Request
from tidemill.wire.canonical_fault import WireError
from tidemill.wire.canonical_parts import Dialect
from tidemill.wire.codecs import codec_of
from tidemill.wire.openai_chat import Body, read_body

_SAMPLING: Mapping[str, type[float]] = {
    "temperature": float,
    "top_p": float,
    "top_k": int,
    "seed": int,
    "frequency_penalty": float,
    "presence_penalty": float,
}
_BOUNDS = ("max_tokens", "max_completion_tokens", "max_output_tokens")


class Translated(Struct, frozen=True):
    """A request in the channel's protocol, and the names of what the client set and it has no word for."""

    errand: Errand
    dropped: tuple[str, ...] = ()


def translate(ask: Ask, request: Request, channel: Channel, root: str, key: str | None) -> Translated:
    """Return the request for ``channel``; raises RequestUnreadable when its protocol cannot express it."""
    preset = channel.preset
    codec = codec_of(preset.dialect)
    model = channel.models.get(ask.model, ask.model)
    filled, others = _with_defaults(request, channel.defaults)
    if preset.dialect is Dialect.ANTHROPIC and filled.output is not UNSET and filled.output.schema is not UNSET:
        output = msgspec.structs.replace(filled.output, schema=closed(filled.output.schema))
        filled = msgspec.structs.replace(filled, output=output)
    try:
        written = codec.encode_request(filled, preset.target_for(model))
    except WireError as error:
        raise RequestUnreadable.because(error.fault.message, error.fault.param or None) from None
    body = _with_fields(written.body, others) if others else written.body
    if channel.param_overrides:
        body = with_fields(body, preset.dialect, channel.param_overrides)
    if preset.deployments:
        to = address(msgspec.structs.replace(ask, endpoint=codec.path(model, stream=ask.stream)), channel, root, model)
    else:
        to = root + codec.path(model, stream=ask.stream)
    return Translated(Errand(channel.id, to, headers_for(ask, channel, key), body), written.dropped)


def _with_defaults(request: Request, defaults: Mapping[str, Raw]) -> tuple[Request, dict[str, Raw]]:
    """Fill in what the client left out; returns also the defaults that are the provider's own fields."""
    if not defaults:
        return request, {}
    sampling: dict[str, Any] = {}
    changes: dict[str, Any] = {}
    others: dict[str, Raw] = {}
    for name, value in defaults.items():
        if name in _SAMPLING:
            if getattr(request.sampling, name) is UNSET:
                sampling[name] = _number(value, _SAMPLING[name])
        elif name in _BOUNDS:
            if request.max_tokens is UNSET:
                changes["max_tokens"] = _number(value, int)
        elif name != API_VERSION:
            others[name] = value
    if sampling:
        changes["sampling"] = msgspec.structs.replace(request.sampling, **sampling)
    return (msgspec.structs.replace(request, **changes) if changes else request), others


def _number(value: Raw, kind: type[float]) -> float | UnsetType:
    try:
        return msgspec.json.decode(value, type=kind)
    except msgspec.MsgspecError:
        return UNSET  # null, or what no protocol takes


def _with_fields(body: bytes, others: Mapping[str, Raw]) -> bytes:
    fields: Body = {**others, **read_body(body)}
    return msgspec.json.encode(fields)
