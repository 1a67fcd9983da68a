"""The routes of every protocol as a raw ASGI application: bytes in, bytes out, no framework between.

``doors`` says what is served; each address is taken with or without a final slash. Every answer carries
``x-request-id`` (Anthropic's also ``request-id``); errors come in the envelope of the client's protocol.
"""

import asyncio
from functools import partial
from typing import cast

from tidemill.kernel import clock
from tidemill.kernel.actor import Actor
from tidemill.kernel.errors import Forbidden, MethodNotAllowed, NotFound, TidemillError
from tidemill.kernel.lang import Lang, from_accept_language
from tidemill.platform.tasks import TaskOwner
from tidemill.platform.telemetry import get_logger
from tidemill.relay.callers import bounds_of
from tidemill.relay.cards import list_of, one
from tidemill.relay.doors import KEY, Door, dialect_of, door_of
from tidemill.relay.errors import BodyTooSlow, ClientGone, ModelNotAllowed, ModelNotFound
from tidemill.relay.faults import refusal
from tidemill.relay.key_card import key_card
from tidemill.relay.limits.contracts import Bound
from tidemill.relay.limits.headers import rate_headers
from tidemill.relay.pipeline.asgi_sink import AsgiSink, Receive, Scope, Send
from tidemill.relay.pipeline.ask import Ask, Caller, Headers, Kind
from tidemill.relay.pipeline.continuation import Thread
from tidemill.relay.pipeline.intake import forwarded_of, header, open_body, read_all, request_id_of
from tidemill.relay.pipeline.run import Pipeline
from tidemill.relay.pipeline.watch import Watch, Watched
from tidemill.relay.pipeline.wishes import Wishes, wishes_of
from tidemill.relay.ports import CallerFacts, FactsOf, Identify, LimitsOf
from tidemill.relay.switchboard import Switchboard
from tidemill.wire.canonical_parts import Dialect
from tidemill.wire.openai_chat import wants_usage
from tidemill.wire.openai_models import ModelCard

_log = get_logger("tidemill.relay")

_JSON = (b"content-type", b"application/json")
_SCOPE = "relay"


async def no_facts(actor: Actor) -> CallerFacts:
    """Know nothing of anybody but what the credential says."""
    del actor
    return CallerFacts()


class RelayApp:
    """Answers ``/v1`` and ``/v1beta``.

    ``wait_s``: how long a call waits for a slot; ``retries``: how many more tries it may take. ``max_body_bytes`` and
    ``body_timeout_s`` bound what a client may send, and how slowly. ``started_at``: the ``created`` of every model,
    Unix seconds. ``continues``: whether a stream that breaks goes on elsewhere where the client says nothing of it.
    """

    def __init__(  # noqa: PLR0913 - each is a port or a bound of the surface
        self,
        *,
        identify: Identify,
        pipeline: Pipeline,
        board: Switchboard,
        watch: Watch,
        tasks: TaskOwner,
        limits_of: LimitsOf,
        facts_of: FactsOf = no_facts,
        wait_s: float = 10.0,
        retries: int = 2,
        max_body_bytes: int = 32 * 1024 * 1024,
        body_timeout_s: float = 60.0,
        started_at: int = 0,
        continues: bool = False,
    ) -> None:
        self._identify = identify
        self._pipeline = pipeline
        self._board = board
        self._watch = watch
        self._tasks = tasks
        self._limits_of = limits_of
        self._facts_of = facts_of
        self._wait_s = wait_s
        self._retries = retries
        self._max_body_bytes = max_body_bytes
        self._body_timeout_s = body_timeout_s
        self._started_at = started_at
        self._continues = continues

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers = cast("Headers", scope["headers"])
        request_id = request_id_of(scope, headers)
        path: str = scope["path"].rstrip("/")
        door = door_of(path, scope.get("query_string", b""), headers)
        dialect = dialect_of(path, headers) if door is None else door.dialect
        always = [(b"x-request-id", request_id.encode())]
        if dialect is Dialect.ANTHROPIC:
            always.append((b"request-id", request_id.encode()))
        sink = AsgiSink(receive, send, self._tasks, always, scope.get("extensions") or {})
        watched = self._watch.add()
        try:
            await self._answer(scope, door, request_id, sink, receive, watched)
        except ClientGone:
            return  # nobody is there to be told; the record of the call says so
        except TidemillError as error:
            await self._refuse(dialect, door, headers, request_id, error, sink)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not sink.hung_up or task is None or task.uncancel() > 0:
                raise
        except Exception:
            # The edge of a request: a fault of ours is logged with its trace, and told while nothing has gone out.
            _log.exception("relay.failed", path=path, request_id=request_id)
            if sink.started:
                raise
            await self._refuse(dialect, door, headers, request_id, TidemillError(), sink)
        finally:
            self._watch.remove(watched)
            sink.close()

    async def _answer(
        self, scope: Scope, door: Door | None, request_id: str, sink: AsgiSink, receive: Receive, watched: Watched
    ) -> None:
        if door is None:
            raise NotFound(f"there is no route {scope['path']}")
        headers = cast("Headers", scope["headers"])
        self._check_method(scope["method"], scope["path"], door)
        actor = self._caller(scope)
        if door.kind is None:
            await (self._key(actor, sink) if door.endpoint == KEY else self._models(door, actor, sink))
            return
        data = await self._body(headers, receive, watched)
        ask = self._ask(door, door.kind, headers, request_id, actor, data)
        if ask.caller.bounds:
            sink.late_headers = partial(self._left, door.dialect, ask.caller.bounds)
        await self._pipeline.run(ask, sink, watched)

    def _check_method(self, method: str, path: str, door: Door) -> None:
        if method != door.method and not (method == "HEAD" and door.method == "GET"):
            raise MethodNotAllowed(f"{path} takes {door.method}")

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

    def _ask(self, door: Door, kind: Kind, headers: Headers, request_id: str, actor: Actor, data: bytes) -> Ask:
        content_type = header(headers, b"content-type")
        opened = open_body(data, door, b"" if content_type is None else content_type)
        if actor.models is not None and opened.model not in actor.models:
            raise ModelNotAllowed(model=opened.model)
        wishes = wishes_of(headers)
        thread = Thread() if opened.stream and kind == "chat" and self._goes_on(wishes, opened.model, actor) else None
        return Ask(
            kind=kind,
            dialect=door.dialect,
            endpoint=door.endpoint,
            content_type=opened.form,
            model=opened.model,
            body=opened.body,
            raw=data,
            caller=self._caller_of(actor),
            request_id=request_id,
            stream=opened.stream,
            sse=door.sse,
            keeps_usage=opened.stream and wants_usage(opened.body),
            forwarded=forwarded_of(headers),
            wait_s=self._wait_s,
            retries=max(0, self._retries - wishes.retried),
            region=wishes.region,
            session=wishes.session,
            lang=_lang(headers),
            cache=wishes.cache,
            thread=thread,
        )

    def _goes_on(self, wishes: Wishes, model: str, actor: Actor) -> bool:
        """Tell whether a stream that breaks goes on elsewhere: as the call says, else the rules, else the setting."""
        if wishes.continues is not None:
            return wishes.continues
        ruled = self._board.snapshot.rules.continues(model, actor.user_id, actor.group)
        return self._continues if ruled is None else ruled

    def _left(self, dialect: Dialect, bounds: tuple[Bound, ...]) -> Headers:
        return rate_headers(dialect, self._board.limits.standing(bounds, clock.monotonic()))

    def _caller_of(self, actor: Actor) -> Caller:
        limits, rules = self._limits_of(actor), self._board.snapshot.rules
        bounds = bounds_of(actor.user_id, actor.key_id, actor.group, limits, rules)
        return Caller(actor.user_id, actor.key_id, actor.group, bounds)

    async def _models(self, door: Door, actor: Actor, sink: AsgiSink) -> None:
        names = [name for name in self._board.snapshot.callable_names(actor.group) if _allowed(actor, name)]
        if not door.model:
            body = list_of(door.dialect, [self._card(name) for name in names])
        elif door.model in names:
            body = one(door.dialect, self._card(door.model))
        else:
            raise ModelNotFound(model=door.model)
        await self._show(body, sink)

    async def _key(self, actor: Actor, sink: AsgiSink) -> None:
        standings = await self._board.limits.look(self._caller_of(actor).bounds)
        await self._show(key_card(actor, standings, await self._facts_of(actor)), sink)

    async def _show(self, body: bytes, sink: AsgiSink) -> None:
        await sink.start(200, [_JSON, (b"content-length", b"%d" % len(body))])
        await sink.end(body)

    def _card(self, name: str) -> ModelCard:
        tiers = self._board.snapshot.tiers.get(name, ())
        owner = tiers[0][0].provider if tiers else "tidemill"
        return ModelCard(name, self._started_at, owner)

    async def _refuse(
        self,
        dialect: Dialect,
        door: Door | None,
        headers: Headers,
        request_id: str,
        error: TidemillError,
        sink: AsgiSink,
    ) -> None:
        status, answer, body = refusal(dialect, error, _lang(headers), request_id)
        if isinstance(error, MethodNotAllowed) and door is not None:
            answer.append((b"allow", b"POST" if door.method == "POST" else b"GET, HEAD"))
        await sink.start(status, answer)
        await sink.end(body)


def _allowed(actor: Actor, model: str) -> bool:
    return actor.models is None or model in actor.models


def _lang(headers: Headers) -> Lang:
    accepted = header(headers, b"accept-language")
    return "en" if accepted is None else from_accept_language(accepted.decode("latin-1"), "en")
