"""Prepare what goes out where both sides speak one protocol: the client's bytes, but for what the channel changes."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from urllib.parse import quote

import msgspec
from msgspec import Raw

from tidemill import __version__
from tidemill.relay.pipeline.ask import Ask, Kind
from tidemill.relay.providers import Provider
from tidemill.relay.snapshot import Channel
from tidemill.relay.upstreams.form import with_model
from tidemill.relay.upstreams.laid_over import GEMINI_NAMES, with_fields, with_headers
from tidemill.relay.upstreams.port import Errand
from tidemill.wire.canonical_parts import Dialect
from tidemill.wire.codecs import codec_of
from tidemill.wire.openai_chat import Body, read_body, with_usage

_AGENT = ("user-agent", f"tidemill/{__version__}")
_PLAIN = [
    ("content-type", "application/json"),
    ("accept", "application/json"),
    ("accept-encoding", "identity"),
    _AGENT,
]
_STREAM = [
    ("content-type", "application/json"),
    ("accept", "text/event-stream"),
    ("accept-encoding", "identity"),
    _AGENT,
]
# A default yields to these: the newer name of the same field.
_SUPERSEDED_BY = {"max_tokens": "max_completion_tokens"}
# Names of defaults that a protocol has other words for.
_RESPONSES_NAMES: Mapping[str, str] = {"max_tokens": "max_output_tokens", "max_completion_tokens": "max_output_tokens"}
_SAME_NAMES: Mapping[str, str] = MappingProxyType({})
_OPENAI = frozenset({Dialect.OPENAI_CHAT, Dialect.OPENAI_RESPONSES})
_VERSION = "anthropic-version"
# From this version on Anthropic refuses them.
_NO_SAMPLING_FROM = "2026-10-21"
_SAMPLING = frozenset({"temperature", "top_p", "top_k"})
# Headers that mean something between a client and a provider of the same protocol alone.
_OWN: Mapping[str, frozenset[Dialect]] = {
    "openai-beta": _OPENAI,
    "anthropic-beta": frozenset({Dialect.ANTHROPIC}),
    _VERSION: frozenset({Dialect.ANTHROPIC}),
}
# What a channel's defaults say to us rather than to the service.
API_VERSION = "api_version"
# The calls that a channel's overrides of fields are for.
GENERATING: frozenset[Kind] = frozenset({"chat", "completion"})


def prepare(ask: Ask, channel: Channel, root: str, key: str | None) -> Errand:
    """Return the request for ``channel``, which answers at ``root`` and wants ``key``, in the client's own words.

    Of the client's headers only those in ``ask.forwarded`` go on: never its credential, cookies or addresses.
    """
    model = channel.models.get(ask.model, ask.model)
    headers = headers_for(ask, channel, key)
    match ask.dialect:
        case Dialect.OPENAI_CHAT:
            body = _openai_body(ask, channel, model) if ask.content_type is None else _form_body(ask, model, headers)
        case Dialect.GEMINI:
            body = _gemini_body(ask, channel, model)
        case _:
            body = _own_body(ask, channel, model)
    if channel.param_overrides and ask.content_type is None and ask.kind in GENERATING:
        body = with_fields(body, ask.dialect, channel.param_overrides)
    return Errand(channel.id, address(ask, channel, root, model), headers, body)


def headers_for(ask: Ask, channel: Channel, key: str | None) -> list[tuple[str, str]]:
    """Return the headers of a request: the key as the provider wants it, and what the client may pass on."""
    preset = channel.preset
    headers = list(_STREAM if ask.stream else _PLAIN)
    if preset.dialect is Dialect.OPENAI_CHAT and preset.key_header is None:
        if key:
            headers.append(("authorization", f"Bearer {key}"))
    else:
        headers.extend(_key_headers(preset, key))
    if channel.forward_trace:
        headers.append(("x-request-id", ask.request_id))
        headers.extend(pair for pair in ask.forwarded if pair[0] not in _OWN)
    own = [pair for pair in ask.forwarded if preset.dialect in _OWN.get(pair[0], ()) and ask.dialect in _OWN[pair[0]]]
    if own:
        told = {name for name, _ in own}  # the client's version, not ours beside it
        headers = [pair for pair in headers if pair[0] not in told] + own
    if channel.header_overrides:
        return with_headers(headers, channel.header_overrides, preset.key_header)
    return headers


def _key_headers(preset: Provider, key: str | None) -> Sequence[tuple[str, str]]:
    if preset.key_header is not None:
        return [(preset.key_header, key)] if key else []
    # Without a key the protocol's version must still be told.
    return [pair for pair in codec_of(preset.dialect).headers(key or "") if pair[1].removeprefix("Bearer ")]


def address(ask: Ask, channel: Channel, root: str, model: str) -> str:
    """Return where a call in the provider's own protocol goes."""
    preset = channel.preset
    if preset.deployments:
        version = quote(api_version(channel))
        return f"{root}/deployments/{quote(model, safe='')}{ask.endpoint}?api-version={version}"
    if preset.dialect is Dialect.GEMINI and ask.dialect is Dialect.GEMINI:
        path = codec_of(Dialect.GEMINI).path(model, stream=ask.stream)
        return root + path if ask.kind == "chat" else f"{root}{path.rpartition(':')[0]}:{ask.endpoint}"
    return root + ask.endpoint


def api_version(channel: Channel) -> str:
    """Return the version that a service with deployments wants in its query."""
    told = channel.defaults.get(API_VERSION)
    return channel.preset.api_version if told is None else msgspec.json.decode(told, type=str, strict=False)


def _openai_body(ask: Ask, channel: Channel, model: str) -> bytes:
    changes: Body = {}
    if model != ask.model:
        changes["model"] = Raw(msgspec.json.encode(model))
    if ask.stream and ask.kind == "chat" and not ask.keeps_usage and channel.preset.target.asks_usage:
        changes["stream_options"] = with_usage(ask.body)
    if ask.kind == "chat":
        for name, value in channel.defaults.items():
            if name not in ask.body and name != API_VERSION and _SUPERSEDED_BY.get(name) not in ask.body:
                changes[name] = value
    if not changes and ask.raw is not None:
        return ask.raw
    return msgspec.json.encode({**ask.body, **changes})


def _form_body(ask: Ask, model: str, headers: list[tuple[str, str]]) -> bytes:
    headers[0] = ("content-type", ask.content_type or "")
    return ask.data if model == ask.model else with_model(ask.data, ask.content_type or "", model)


def _own_body(ask: Ask, channel: Channel, model: str) -> bytes:
    changes: Body = {}
    if model != ask.model:
        changes["model"] = Raw(msgspec.json.encode(model))
    names = _RESPONSES_NAMES if ask.dialect is Dialect.OPENAI_RESPONSES else _SAME_NAMES
    refused = _SAMPLING if dict(ask.forwarded).get(_VERSION, "") >= _NO_SAMPLING_FROM else ()
    for name, value in channel.defaults.items() if ask.kind == "chat" else ():
        if name not in refused:
            changes.setdefault(names.get(name, name), value)
    changes = {name: value for name, value in changes.items() if name == "model" or name not in ask.body}
    return msgspec.json.encode({**ask.body, **changes}) if changes else ask.data


def _gemini_body(ask: Ask, channel: Channel, model: str) -> bytes:
    if ask.kind != "chat":
        return _gemini_models(ask, model)
    known = {GEMINI_NAMES[name]: value for name, value in channel.defaults.items() if name in GEMINI_NAMES}
    if not known:
        return ask.data
    try:
        config = read_body(bytes(ask.body.get("generationConfig", Raw(b"{}"))))
    except msgspec.MsgspecError:
        return ask.data  # the service says what is wrong with it
    return msgspec.json.encode({**ask.body, "generationConfig": {**known, **config}})


def _gemini_models(ask: Ask, model: str) -> bytes:
    """Rename the model inside embeddings and counts, where Gemini wants it a second time."""
    if model == ask.model:
        return ask.data
    named = Raw(msgspec.json.encode(f"models/{model.removeprefix('models/')}"))
    try:
        body = dict(ask.body)
        if "model" in body:
            body["model"] = named
        if "generateContentRequest" in body:
            inner = msgspec.json.decode(body["generateContentRequest"], type=Body)
            body["generateContentRequest"] = Raw(msgspec.json.encode({**inner, "model": named}))
        if "requests" in body:
            inners = msgspec.json.decode(body["requests"], type=list[Body])
            body["requests"] = Raw(msgspec.json.encode([{**inner, "model": named} for inner in inners]))
    except msgspec.MsgspecError:
        return ask.data  # as above
    return msgspec.json.encode(body)
