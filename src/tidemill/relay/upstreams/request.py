"""Prepare what goes out: the client's bytes, but for what the channel must change."""

import msgspec
from msgspec import Raw

from tidemill import __version__
from tidemill.relay.pipeline.ask import ENDPOINTS, Ask
from tidemill.relay.snapshot import Channel
from tidemill.relay.upstreams.port import Errand
from tidemill.wire.openai_chat import Body, with_usage

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


def prepare(ask: Ask, channel: Channel, root: str, key: str | None) -> Errand:
    """Return the request for ``channel``, which answers at ``root`` and wants ``key``.

    Of the client's headers only those in ``ask.forwarded`` go on: never its credential, cookies or addresses.
    """
    headers = list(_STREAM if ask.stream else _PLAIN)
    if key:
        headers.append(("authorization", f"Bearer {key}"))
    if channel.forward_trace:
        headers.append(("x-request-id", ask.request_id))
        headers.extend(ask.forwarded)
    return Errand(channel.id, root + ENDPOINTS[ask.kind], headers, _body(ask, channel))


def _body(ask: Ask, channel: Channel) -> bytes:
    changes: Body = {}
    upstream_model = channel.models.get(ask.model, ask.model)
    if upstream_model != ask.model:
        changes["model"] = Raw(msgspec.json.encode(upstream_model))
    if ask.stream and not ask.keeps_usage:
        changes["stream_options"] = with_usage(ask.body)
    if ask.kind == "chat":
        for name, value in channel.defaults.items():
            if name not in ask.body and _SUPERSEDED_BY.get(name) not in ask.body:
                changes[name] = value
    if not changes and ask.raw is not None:
        return ask.raw
    return msgspec.json.encode({**ask.body, **changes})
