"""OpenAI's routes as a raw ASGI application: bytes in, bytes out, no framework between.

``/v1/chat/completions``, ``/v1/embeddings``, ``/v1/models`` and ``/v1/models/{id}``, each with or without a final
slash. Every answer carries ``x-request-id``; errors come in OpenAI's envelope.
"""

import asyncio
import math
from functools import partial
from typing import cast
from urllib.parse import unquote

from tidemill.kernel.actor import Actor
from tidemill.kernel.errors import Forbidden, MethodNotAllowed, NotFound, TidemillError
from tidemill.kernel.lang import Lang, from_accept_language
from tidemill.platform.tasks import TaskOwner
from tidemill.platform.telemetry import get_logger
from tidemill.relay.callers import Callers
from tidemill.relay.errors import (
    BodyTooSlow,
    ClientGone,
    ModelNotAllowed,
    ModelNotFound,
    UpstreamFailed,
    UpstreamRefused,
)
from tidemill.relay.pipeline.asgi_sink import AsgiSink, Receive, Scope, Send
from tidemill.relay.pipeline.ask import Ask, Caller, Headers, Kind
from tidemill.relay.pipeline.intake import forwarded_of, header, open_body, read_all, request_id_of
from tidemill.relay.pipeline.run import Pipeline
from tidemill.relay.pipeline.watch import Watch, Watched
from tidemill.relay.ports import NO_LIMITS, CallerLimits, Identify, LimitsOf
from tidemill.relay.switchboard import Switchboard
from tidemill.wire.openai_chat import wants_usage
from tidemill.wire.openai_errors import envelope
from tidemill.wire.openai_models import ModelCard, encode_card, encode_list

_log = get_logger("tidemill.relay")

_CALLS: dict[str, Kind] = {"/v1/chat/completions": "chat", "/v1/embeddings": "embeddings"}
_MODELS = "/v1/models"
_JSON = (b"content-type", b"application/json")
_SCOPE = "relay"
# The SDKs look for these codes; everything else keeps its own.
_CODES = {401: "invalid_api_key"}


def no_limits(actor: Actor) -> CallerLimits:
    """Hold nobody to anything."""
    del actor
    return NO_LIMITS


class RelayApp:
    """Answers ``/v1``.

    ``wait_s``: how long a call waits for a slot. ``max_body_bytes`` and ``body_timeout_s`` bound what a client may
    send, and how slowly. ``started_at``: the ``created`` of every model, Unix seconds.
    """

    def __init__(  # noqa: PLR0913 - each is a port or a bound of the surface
        self,
        *,
        identify: Identify,
        pipeline: Pipeline,
        board: Switchboard,
        callers: Callers,
        watch: Watch,
        tasks: TaskOwner,
        limits_of: LimitsOf = no_limits,
        wait_s: float = 10.0,
        max_body_bytes: int = 32 * 1024 * 1024,
        body_timeout_s: float = 60.0,
        started_at: int = 0,
    ) -> None:
        self._identify = identify
        self._pipeline = pipeline
        self._board = board
        self._callers = callers
        self._watch = watch
        self._tasks = tasks
        self._limits_of = limits_of
        self._wait_s = wait_s
        self._max_body_bytes = max_body_bytes
        self._body_timeout_s = body_timeout_s
        self._started_at = started_at

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers = cast("Headers", scope["headers"])
        request_id = request_id_of(scope, headers)
        sink = AsgiSink(receive, send, self._tasks, [(b"x-request-id", request_id.encode())])
        watched = self._watch.add()
        try:
            await self._answer(scope, request_id, sink, receive, watched)
        except ClientGone:
            return  # nobody is there to be told; the record of the call says so
        except TidemillError as error:
            await self._refuse(scope, headers, error, sink)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not sink.hung_up or task is None or task.uncancel() > 0:
                raise
        except Exception:
            _log.exception("relay.failed", path=scope["path"], request_id=request_id)
            if sink.started:
                raise
            await self._refuse(scope, headers, TidemillError(), sink)
        finally:
            self._watch.remove(watched)
            sink.close()

    async def _answer(self, scope: Scope, request_id: str, sink: AsgiSink, receive: Receive, watched: Watched) -> None:
        headers = cast("Headers", scope["headers"])
        path: str = scope["path"].rstrip("/")
        kind = _CALLS.get(path)
        self._check_method(scope["method"], path, kind)
        actor = self._caller(scope)
        if kind is None:
            await self._models(path, actor, sink)
            return
        data = await self._body(headers, receive, watched)
        ask = self._ask(kind, headers, request_id, actor, data)
        if ask.caller.limits.rpm:
            sink.late_headers = partial(self._callers.headers, ask.caller.turn, ask.caller.limits)
        await self._pipeline.run(ask, sink, watched)

    def _check_method(self, method: str, path: str, kind: Kind | None) -> None:
        if kind is not None:
            wanted = "POST"
        elif path == _MODELS or path.startswith(f"{_MODELS}/"):
            wanted = "GET"
        else:
            raise NotFound(f"there is no route {path}")
        if method != wanted and not (method == "HEAD" and wanted == "GET"):
            raise MethodNotAllowed(f"{path} takes {wanted}")

    def _caller(self, scope: Scope) -> Actor:
        found = self._identify(scope)
        if isinstance(found, TidemillError):
            raise found
        if not found.may(_SCOPE):
            raise Forbidden(f"this key lacks the scope {_SCOPE}")
        return found

    async def _body(self, headers: Headers, receive: Receive, watched: Watched) -> bytes:
        watched.until(watched.began + self._body_timeout_s, BodyTooSlow)
        try:
            return await read_all(receive, headers, self._max_body_bytes)
        except asyncio.CancelledError:
            expired = watched.expired()
            if expired is None:
                raise
            raise expired from None
        finally:
            watched.at_ease()

    def _ask(self, kind: Kind, headers: Headers, request_id: str, actor: Actor, data: bytes) -> Ask:
        body, model, stream = open_body(data, kind)
        if actor.models is not None and model not in actor.models:
            raise ModelNotAllowed(model=model)
        return Ask(
            kind=kind,
            model=model,
            body=body,
            raw=data,
            caller=Caller(actor.user_id, actor.key_id, self._limits_of(actor)),
            request_id=request_id,
            stream=stream,
            keeps_usage=stream and wants_usage(body),
            forwarded=forwarded_of(headers),
            wait_s=self._wait_s,
            lang=_lang(headers),
        )

    async def _models(self, path: str, actor: Actor, sink: AsgiSink) -> None:
        names = [name for name in self._board.snapshot.callable_names() if _allowed(actor, name)]
        wanted = unquote(path.removeprefix(_MODELS).removeprefix("/"))
        if not wanted:
            body = encode_list([self._card(name) for name in names])
        elif wanted in names:
            body = encode_card(self._card(wanted))
        else:
            raise ModelNotFound(model=wanted)
        await sink.start(200, [_JSON, (b"content-length", b"%d" % len(body))])
        await sink.end(body)

    def _card(self, name: str) -> ModelCard:
        tiers = self._board.snapshot.tiers.get(name, ())
        owner = tiers[0][0].provider if tiers else "tidemill"
        return ModelCard(name, self._started_at, owner)

    async def _refuse(self, scope: Scope, headers: Headers, error: TidemillError, sink: AsgiSink) -> None:
        status = error.answer_status if isinstance(error, UpstreamFailed) else error.status
        message = _message(error, _lang(headers))
        body = envelope(status, message, code=_code(error, status), param=_param(error))
        answer: Headers = [_JSON, (b"content-length", b"%d" % len(body))]
        if error.retry_after_s is not None:
            answer.append((b"retry-after", b"%d" % max(1, math.ceil(error.retry_after_s))))
            answer.append((b"retry-after-ms", b"%d" % max(1, math.ceil(error.retry_after_s * 1000))))
        if status == 401:  # noqa: PLR2004 - the one status with a challenge
            answer.append((b"www-authenticate", b"Bearer"))
        if isinstance(error, MethodNotAllowed):
            answer.append((b"allow", b"POST" if scope["path"].rstrip("/") in _CALLS else b"GET, HEAD"))
        await sink.start(status, answer)
        await sink.end(body)


def _message(error: TidemillError, lang: Lang) -> str:
    if isinstance(error, UpstreamRefused):
        return error.detail  # the service's own words say best what is wrong with the request
    return f"{error.message(lang)} ({error.detail})" if error.detail else error.message(lang)


def _allowed(actor: Actor, model: str) -> bool:
    return actor.models is None or model in actor.models


def _lang(headers: Headers) -> Lang:
    accepted = header(headers, b"accept-language")
    return from_accept_language(None if accepted is None else accepted.decode("latin-1"), "en")


def _code(error: TidemillError, status: int) -> str:
    if isinstance(error, UpstreamFailed) and error.upstream_code:
        return error.upstream_code
    return _CODES.get(status, error.code)


def _param(error: TidemillError) -> str | None:
    if isinstance(error, UpstreamFailed):
        return error.param
    return error.fields[0].field if error.fields else None
