"""The relay on a real socket, with what a test wants of it in one hand."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, MutableMapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import aiohttp
import uvicorn

from tests.relay.upstream import DEADLINE_S, Upstream
from tidemill.kernel.actor import Actor, AdminScope
from tidemill.kernel.errors import TidemillError, Unauthenticated
from tidemill.metering.contracts import UsageEvent
from tidemill.platform.cache import open_cache
from tidemill.platform.db import Database
from tidemill.platform.secrets import Keyring, SecretBox
from tidemill.platform.settings.groups.gateway import GatewaySettings
from tidemill.relay.app import RelayContext
from tidemill.relay.contracts import ChannelView, ChannelWish
from tidemill.relay.ports import CallerLimits, LocalLeases

ADMIN = AdminScope(1)
ASK = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
TICK_S = 0.02


class Ledger:
    """Keeps usage in a list."""

    def __init__(self) -> None:
        self.events: list[UsageEvent] = []
        self._came = asyncio.Event()

    def record(self, event: UsageEvent) -> None:
        self.events.append(event)
        self._came.set()

    async def wait_for(self, count: int) -> list[UsageEvent]:
        """Return the events once there are ``count``."""
        async with asyncio.timeout(DEADLINE_S):
            while len(self.events) < count:
                self._came.clear()
                await self._came.wait()
        return self.events


def box() -> SecretBox:
    """Return a box with keys of its own."""
    return SecretBox(Keyring(data=(b"d" * 32,), pepper=(b"p" * 32,), signing=(b"s" * 32,)))


def identify(scope: MutableMapping[str, Any]) -> Actor | TidemillError:
    """Take ``Bearer user-<n>`` for user n's key, ``Bearer poor`` for one without scopes, ``narrow`` for one model."""
    headers = dict(scope["headers"])
    found = (headers[name] for name in (b"authorization", b"x-api-key", b"x-goog-api-key") if name in headers)
    given = next(found, b"").decode().removeprefix("Bearer ")
    if given.startswith("user-"):
        number = int(given.removeprefix("user-"))
        return _actor(number, frozenset({"relay"}), None)
    if given == "poor":
        return _actor(1, frozenset({"datagen"}), None)
    if given == "narrow":
        return _actor(1, frozenset({"relay"}), frozenset({"other"}))
    return Unauthenticated()


def _actor(number: int, scopes: frozenset[str], models: frozenset[str] | None) -> Actor:
    return Actor(
        user_id=number,
        username=f"u{number}",
        is_admin=False,
        via="key",
        scopes=scopes,
        key_id=f"key-{number}",
        models=models,
    )


class Rig:
    """A relay that serves, and a client that calls it."""

    def __init__(self, context: RelayContext, ledger: Ledger, url: str, http: aiohttp.ClientSession) -> None:
        self.context = context
        self.ledger = ledger
        self.url = url
        self.http = http

    async def channel(self, service: Upstream | str, name: str = "one", **fields: Any) -> ChannelView:
        """Add a channel that carries ``m`` as ``upstream-model``, unless told otherwise."""
        url = service if isinstance(service, str) else service.url
        wish: dict[str, Any] = {"models": {"m": "upstream-model"}, "keys": ["sk-upstream-secret"], **fields}
        return await self.context.channels.create(ADMIN, ChannelWish(name=name, base_url=url, **wish), None)

    def post(
        self,
        body: Any = None,
        path: str = "/v1/chat/completions",
        headers: Mapping[str, str] | None = None,
        **given: Any,
    ) -> Any:
        """Call the relay as user 1."""
        sent = {"authorization": "Bearer user-1", **(headers or {})}
        return self.http.post(self.url + path, json=ASK if body is None else body, headers=sent, **given)

    async def events(self, body: Any = None) -> tuple[int, list[str]]:
        """Make a streamed call; return the status and the data of every event."""
        async with self.post({**ASK, "stream": True} if body is None else body) as answer:
            text = (await answer.read()).decode()
            return answer.status, [line.removeprefix("data: ") for line in text.split("\n") if line.startswith("data:")]


class _Embedded(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


@asynccontextmanager
async def served(app: Any) -> AsyncGenerator[str]:
    """Serve an ASGI application on a free loopback port."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    server = _Embedded(uvicorn.Config(app, lifespan="off", log_config=None, access_log=False, log_level="critical"))
    task = asyncio.get_running_loop().create_task(server.serve(sockets=[listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = server.force_exit = True
        await task
        listener.close()


@asynccontextmanager
async def relay_rig(
    db: Database,
    *,
    limits_of: Callable[[Actor], CallerLimits] | None = None,
    leases: LocalLeases | None = None,
    cache_url: str = "memory://",
    **settings: Any,
) -> AsyncGenerator[Rig]:
    """Run a relay over ``db``; ``settings`` are those of the gateway."""
    ledger = Ledger()
    cache = None if cache_url.startswith("memory://") else open_cache(cache_url)
    context = RelayContext(
        db=db,
        secrets=box(),
        meter=ledger,
        settings=GatewaySettings(**settings),
        leases=leases,
        cache_url=cache_url,
        tick_s=TICK_S,
        cache=cache,
        limits_of=limits_of,
    )
    await context.start()
    async with contextlib.AsyncExitStack() as stack:
        if cache is not None:
            stack.push_async_callback(cache.close)
        stack.push_async_callback(context.close)
        url = await stack.enter_async_context(served(context.asgi(identify)))
        http = await stack.enter_async_context(
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), cookie_jar=aiohttp.DummyCookieJar())
        )
        yield Rig(context, ledger, url, http)
