"""The relay as a process of its own, with what a test of faults wants of it: channels, books, weight, and deadlines."""

import asyncio
import itertools
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import aiohttp
import msgspec
import psutil
from msgspec import Struct

from tests.fixtures.processes import Server, Simulator
from tests.relay.tongues import PROVIDER, Told, asked
from tests.relay.upstream import DEADLINE_S
from tidemill.wire.canonical import Request
from tidemill.wire.canonical_collect import Collector
from tidemill.wire.canonical_parts import Dialect
from tidemill.wire.codecs import codec_of

# What makes a simulator speak all four protocols at one address.
EVERY_PROTOCOL = ("--protocol", "responses", "--protocol", "anthropic", "--protocol", "gemini")

_numbers = itertools.count(1)


class Home(Struct, frozen=True):
    """A running server and who the tests are there: an administrator's session and a key."""

    server: Server
    token: str
    key: str


def settle_in(server: Server) -> Home:
    """Sign in to a running server and make a key."""
    token = server.sign_in()
    return Home(server, token, str(server.post("/api/v1/keys", {"name": "faults"}, token)["key"]))


async def until(condition: Callable[[], object], what: str, deadline_s: float = DEADLINE_S) -> None:
    """Wait for ``condition``; fails with ``what`` when it does not come true in time."""
    loop = asyncio.get_running_loop()
    due = loop.time() + deadline_s
    while not condition():
        assert loop.time() < due, f"in {deadline_s} s: {what}"
        await asyncio.sleep(0.01)


class Relay:
    """One server under test, seen by one test."""

    def __init__(self, home: Home, http: aiohttp.ClientSession) -> None:
        self.home = home
        self.url = home.server.base_url
        self.http = http
        self.key = home.key

    def new_model(self) -> str:
        """Return a model's name that no other test uses."""
        return f"model-{next(_numbers)}"

    def channel(self, service: Simulator | str, model: str, **fields: Any) -> int:
        """Add a channel for ``model`` and return its id."""
        address = service if isinstance(service, str) else service.announced["origin"]
        wish = {
            "name": f"channel-{next(_numbers)}",
            "base_url": address,
            "models": {model: "sim"},
            "keys": ["sk-upstream"],
            "max_concurrent": 1000,
            **fields,
        }
        return int(self.home.server.post("/api/v1/admin/channels", wish, self.home.token)["id"])

    def state(self, channel_id: int) -> dict[str, Any]:
        """Return how a channel stands."""
        found: dict[str, Any] = self.home.server.get(f"/api/v1/admin/channels/{channel_id}", self.home.token)
        return found

    def post(self, model: str, *, stream: bool = False, text: str = "hi", **given: Any) -> Any:
        """Make a chat call in OpenAI's protocol."""
        body = {"model": model, "messages": [{"role": "user", "content": text}], "stream": stream}
        headers = {"authorization": f"Bearer {self.key}", **given.pop("headers", {})}
        return self.http.post(f"{self.url}/v1/chat/completions", json=body, headers=headers, **given)

    async def usage(self, model: str, count: int) -> list[dict[str, Any]]:
        """Return the usage of ``model`` once it is ``count`` calls, oldest first; the API must agree to the number."""
        await until(lambda: len(self._rows(model)) >= count, f"{count} calls of {model} recorded")
        rows = self._rows(model)
        assert len(rows) == count
        groups = self.home.server.get("/api/v1/usage?group_by=model", self.home.token)["groups"]
        assert sum(group["requests"] for group in groups if group["key"] == model) == count
        return rows

    def _rows(self, model: str) -> list[dict[str, Any]]:
        path = self.home.server.data_dir / "tidemill.db"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as books:
            books.row_factory = sqlite3.Row
            found = books.execute("select * from usage_events where model = ? order by id", (model,))
            return [dict(row) for row in found]

    def rss_bytes(self) -> int:
        """Return the resident memory of the server's process."""
        child = self.home.server.child
        assert child is not None
        return int(psutil.Process(child.pid).memory_info().rss)

    async def stats(self, simulator: Simulator) -> dict[str, Any]:
        """Return what a simulator has seen."""
        async with self.http.get(f"{simulator.announced['origin']}/_simulator/stats") as answer:
            found: dict[str, Any] = await answer.json()
            return found

    async def waiting(self) -> int:
        """Return how many calls wait for a slot of any channel."""
        async with self.http.get(f"{self.url}/metrics") as answer:
            lines = (await answer.text()).splitlines()
        return next(int(float(line.split(" ")[1])) for line in lines if line.startswith("tidemill_relay_waiting "))

    async def in_flight(self, simulator: Simulator, count: int) -> None:
        """Wait until a simulator works on ``count`` requests."""
        async with asyncio.timeout(DEADLINE_S):
            while (await self.stats(simulator))["in_flight"] != count:
                await asyncio.sleep(0.02)


def heard(dialect: Dialect, raw: bytes) -> Told:
    """Return what a client of ``dialect`` makes of a stream's bytes, whole or broken off."""
    decoder, collector = codec_of(dialect).stream_decoder(), Collector()
    collector.take([*decoder.feed(raw), *decoder.close()])
    return Told(200, {}, collector.answer(), raw, collector.fault, collector.finished)


def provider_of(dialect: Dialect) -> dict[str, str]:
    """Return the field of a channel that makes it speak ``dialect``."""
    return {"provider": PROVIDER[dialect]}


def asked_of(model: str, dialect: Dialect, *words: str, stream: bool = False, **fields: Any) -> Request:
    """Return a request for ``model``, plain or streamed with its usage."""
    request = asked(dialect, *words, **fields)
    return msgspec.structs.replace(request, model=model, stream=stream, keeps_usage=stream)
