"""The outermost ASGI application: what every request meets first.

It gives the request its id and its caller, decides which surface answers, adds the headers that a browser needs to be
safe, and counts. (Liveness is answered before it, in ``entry``.)
"""

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, Protocol

from prometheus_client import Counter, Histogram

from tidemill.identity.facade import SESSION_COOKIE
from tidemill.kernel import clock
from tidemill.kernel.actor import Actor
from tidemill.kernel.errors import TidemillError
from tidemill.kernel.ids import uuid7
from tidemill.platform.telemetry import get_logger, request_id, user_id
from tidemill.platform.telemetry.metrics import http_requests, http_seconds
from tidemill.platform.web.guards import ACTOR, REFUSAL
from tidemill.server.addresses import AddressReader
from tidemill.server.cors import Cors
from tidemill.server.entry import App, Receive, Scope, Send
from tidemill.server.live.errors import OriginRefused

log = get_logger("tidemill.http")

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_QUIET = frozenset({"/readyz", "/metrics", "/startupz"})
_SECURITY_HEADERS: Sequence[tuple[bytes, bytes]] = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
_MAX_REQUEST_ID = 128
_RELAY = frozenset({"/v1", "/v1beta"})
_SOCKET = "ws"
_FIRST_ERROR = 400


class Identify(Protocol):
    """Finds the caller of a request: in memory, and once in the database for what another process has just made."""

    async def __call__(
        self, headers: Sequence[tuple[bytes, bytes]], query: bytes, client_ip: str | None, *, path: str, write: bool
    ) -> Actor | TidemillError | None:
        """Return the actor, why the credential failed, or None when there is none."""
        ...


class _Tallies:
    """The figures of what was answered. Looking a labelled one up costs more than counting on it."""

    def __init__(self) -> None:
        self._counters: dict[tuple[str, str, int], Counter] = {}
        self._timers: dict[str, Histogram] = {}

    def count(self, surface: str, method: str, status: int, seconds: float) -> None:
        """Note one answer."""
        key = (surface, method if method in _METHODS else "other", status)
        counter = self._counters.get(key)
        if counter is None:
            counter = self._counters[key] = http_requests.labels(surface, key[1], str(status))
        counter.inc()
        timer = self._timers.get(surface)
        if timer is None:
            timer = self._timers[surface] = http_seconds.labels(surface)
        timer.observe(seconds)


class Edge:
    """Routes by the first part of the path; ``otherwise`` answers what no surface is named for."""

    def __init__(
        self,
        surfaces: Mapping[str, App],
        otherwise: App,
        *,
        identify: Identify,
        cors: Cors,
        addresses: AddressReader,
        sockets: Mapping[str, App] | None = None,
    ) -> None:
        if any(not prefix.startswith("/") or "/" in prefix[1:] for prefix in surfaces):
            raise ValueError("a surface is named by one part of a path")
        self._surfaces = {prefix: (prefix, app) for prefix, app in surfaces.items()}
        self._console = ("console", otherwise)
        self._tallies = _Tallies()
        self._sockets = sockets or {}
        self._identify = identify
        self._cors = cors
        self._addresses = addresses

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection."""
        if scope["type"] == "http":
            headers: list[tuple[bytes, bytes]] = scope["headers"]
            identifier = await self._recognise(scope, headers, write=scope["method"] not in _SAFE_METHODS)
            await self._dispatch(scope, receive, send, headers, identifier)
        elif scope["type"] == "websocket":
            await self._connect(scope, receive, send)

    async def _recognise(self, scope: Scope, headers: Sequence[tuple[bytes, bytes]], *, write: bool) -> str:
        """Give the request its id, its address and its caller; returns the id."""
        client = self._addresses.client(scope, headers)
        identifier = _given_request_id(headers) or uuid7()
        state: dict[str, Any] = scope.setdefault("state", {})
        state["request_id"] = identifier
        request_id.set(identifier)
        scope["client"] = (client, scope["client"][1]) if client and scope.get("client") else scope.get("client")
        found = await self._identify(headers, scope["query_string"], client, path=scope["path"], write=write)
        if isinstance(found, Actor):
            state[ACTOR] = found
            user_id.set(found.user_id)
        elif found is not None:
            state[REFUSAL] = found
        return identifier

    async def _connect(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a WebSocket to who serves it; a cookie counts when the page that opened it is one of ours."""
        path: str = scope["path"]
        app = self._sockets.get(path.rstrip("/"))
        if app is None:
            await receive()
            await send({"type": "websocket.close", "code": 4404, "reason": "no such WebSocket here"})
            http_requests.labels(_SOCKET, "GET", "403").inc()
            return
        headers: Sequence[tuple[bytes, bytes]] = scope["headers"]
        vouched = self._cors.vouches(headers)
        kept = headers if vouched else [pair for pair in headers if pair[0] != b"cookie"]
        identifier = await self._recognise(scope, kept, write=False)
        state: dict[str, Any] = scope["state"]
        if not vouched and state.keys().isdisjoint((ACTOR, REFUSAL)) and _brings_session(headers):
            state[REFUSAL] = OriginRefused()
        state["headers"] = [(b"x-request-id", identifier.encode()), *_SECURITY_HEADERS]
        http_requests.labels(_SOCKET, "GET", "101").inc()
        started = clock.monotonic()
        try:
            await app(scope, receive, send)
        finally:
            log.info(
                "ws.closed",
                path=path,
                code=state.get("close_code"),
                duration_ms=round((clock.monotonic() - started) * 1000, 2),
                ip=scope["client"][0] if scope.get("client") else None,
                service="tidemill",
            )

    async def _dispatch(
        self, scope: Scope, receive: Receive, send: Send, headers: Sequence[tuple[bytes, bytes]], identifier: str
    ) -> None:
        path, method = scope["path"], scope["method"]
        end = path.find("/", 1)
        name, app = self._surfaces.get(path if end < 0 else path[:end], self._console)
        started, status = clock.monotonic(), 500
        allowed = self._cors.headers(headers)

        def sending(message: dict[str, Any]) -> Awaitable[None]:
            # Not a coroutine of its own: every chunk of every stream passes here.
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                given: Sequence[tuple[bytes, bytes]] = message["headers"]
                present = {key.lower() for key, _ in given}
                extra = (*_SECURITY_HEADERS, *allowed, (b"x-request-id", identifier.encode()))
                message["headers"] = [*given, *[pair for pair in extra if pair[0] not in present]]
            return send(message)

        try:
            if method == "OPTIONS" and (preflight := self._cors.preflight(method, headers)) is not None:
                await _answer(sending, 204, b"", preflight)
            else:
                await app(scope, receive, sending)
        finally:
            duration = clock.monotonic() - started
            self._tallies.count(name, method, status, duration)
            # A relayed call that went well is told by its usage event; a line more costs as much as relaying it.
            if path not in _QUIET and not (name in _RELAY and status < _FIRST_ERROR):
                log.info(
                    "http.request",
                    method=method,
                    path=path,
                    status=status,
                    duration_ms=round(duration * 1000, 2),
                    ip=scope["client"][0] if scope.get("client") else None,
                    service="tidemill",
                )


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def _brings_session(headers: Sequence[tuple[bytes, bytes]]) -> bool:
    return any(name == b"cookie" and SESSION_COOKIE.encode() in value for name, value in headers)


def _given_request_id(headers: Sequence[tuple[bytes, bytes]]) -> str | None:
    for name, value in headers:
        if name == b"x-request-id" and 0 < len(value) <= _MAX_REQUEST_ID and value.isascii():
            text = value.decode("ascii")
            return text if text.isprintable() else None
    return None


async def _answer(send: Send, status: int, body: bytes, headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
    described = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))] if body else []
    await send({"type": "http.response.start", "status": status, "headers": [*described, *headers]})
    await send({"type": "http.response.body", "body": body})
