"""Our errors in the words of each client's protocol: one taxonomy, each protocol's envelope and status."""

import math

from msgspec import UNSET

from tidemill.kernel.errors import TidemillError
from tidemill.kernel.lang import Lang
from tidemill.relay.errors import UpstreamFailed, UpstreamRefused
from tidemill.relay.pipeline.ask import Ask, Headers
from tidemill.relay.rules import TOO_LONG
from tidemill.wire.canonical_fault import Fault, Kind, kind_of_status
from tidemill.wire.canonical_parts import Dialect
from tidemill.wire.codecs import codec_of
from tidemill.wire.openai_errors import envelope, stream_event
from tidemill.wire.sse import HEARTBEAT

_JSON = (b"content-type", b"application/json")
_EVENTS: Headers = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]
_LIST: Headers = [_JSON, *_EVENTS[1:]]
_UNAUTHENTICATED = 401
# The SDKs look for these codes; everything else keeps its own.
_CODES = {_UNAUTHENTICATED: "invalid_api_key"}
# The protocols that share OpenAI's envelope.
OPENAI = frozenset({Dialect.OPENAI_CHAT, Dialect.OPENAI_RESPONSES})


def stream_headers(ask: Ask) -> Headers:
    """Return what a stream of this call begins with."""
    return _EVENTS if ask.sse else _LIST


def heartbeat(ask: Ask) -> bytes:
    """Return what keeps a stream of this call alive."""
    return HEARTBEAT if ask.dialect is Dialect.OPENAI_CHAT else codec_of(ask.dialect).heartbeat


def message_of(error: TidemillError, lang: Lang) -> str:
    """Return the sentence for a caller."""
    if isinstance(error, UpstreamRefused):
        return error.detail  # the service's own words say best what is wrong with the request
    return f"{error.message(lang)} ({error.detail})" if error.detail else error.message(lang)


def status_of(error: TidemillError) -> int:
    """Return the HTTP status for a caller of the model's own protocol."""
    return error.answer_status if isinstance(error, UpstreamFailed) else error.status


def fault_of(error: TidemillError, lang: Lang) -> Fault:
    """Return an error in the taxonomy that every protocol has words for."""
    status = status_of(error)
    return Fault(
        kind=_kind(error, status),
        message=message_of(error, lang),
        status=status,
        code=_code(error, status),
        param=_param(error) or UNSET,
        retry_after_s=UNSET if error.retry_after_s is None else error.retry_after_s,
    )


def _kind(error: TidemillError, status: int) -> Kind:
    if isinstance(error, UpstreamFailed):
        if error.upstream_code == TOO_LONG:
            return Kind.CONTEXT_LENGTH
        if error.overloaded:
            return Kind.OVERLOADED
    return kind_of_status(status)


def _code(error: TidemillError, status: int) -> str:
    if isinstance(error, UpstreamFailed) and error.upstream_code:
        return error.upstream_code
    return _CODES.get(status, error.code)


def _param(error: TidemillError) -> str | None:
    if isinstance(error, UpstreamFailed):
        return error.param
    return error.fields[0].field if error.fields else None


def refusal(dialect: Dialect, error: TidemillError, lang: Lang, request_id: str) -> tuple[int, Headers, bytes]:
    """Return status, headers and body of an error before anything has gone out."""
    if dialect in OPENAI:
        status = status_of(error)
        body = envelope(status, message_of(error, lang), code=_code(error, status), param=_param(error))
    else:
        status, body = codec_of(dialect).encode_error(fault_of(error, lang), request_id=request_id)
    headers: Headers = [_JSON, (b"content-length", b"%d" % len(body))]
    if error.retry_after_s is not None:
        headers.append((b"retry-after", b"%d" % max(1, math.ceil(error.retry_after_s))))
        headers.append((b"retry-after-ms", b"%d" % max(1, math.ceil(error.retry_after_s * 1000))))
    if status == _UNAUTHENTICATED:
        headers.append((b"www-authenticate", b"Bearer"))
    return status, headers, body


def ending(ask: Ask, error: TidemillError) -> bytes:
    """Return what ends a stream of which nothing but keep-alives has gone out, or one that was to go on elsewhere."""
    if ask.thread is not None and ask.thread.breaks:
        return ask.thread.failed(fault_of(error, ask.lang))
    if ask.dialect is Dialect.OPENAI_CHAT:
        return stream_event(status_of(error), error.message(ask.lang), code=error.code)
    fault = fault_of(error, ask.lang)
    codec = codec_of(ask.dialect)
    if ask.sse:
        return codec.error_frame(fault)
    return b"[" + codec.encode_error(fault)[1] + b"]"
