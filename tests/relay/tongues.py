"""Clients of every protocol in the hand of one test: ask in the canonical form, send bytes, read the answer back."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Protocol

import aiohttp
import msgspec
from msgspec import Raw

from tests.relay.rig import Rig
from tests.relay.upstream import DEADLINE_S
from tidemill.simulator.config import SimulatorConfig
from tidemill.simulator.serving import Served, running
from tidemill.wire.canonical import Answer, OutputFormat, Request, Thinking, Tool
from tidemill.wire.canonical_collect import Collector
from tidemill.wire.canonical_fault import Fault
from tidemill.wire.canonical_parts import Dialect, Image, Inline, Reasoning, Text, ToolCall, Turn
from tidemill.wire.codec import Codec, Target
from tidemill.wire.codecs import codec_of

ALL = (Dialect.OPENAI_CHAT, Dialect.OPENAI_RESPONSES, Dialect.ANTHROPIC, Dialect.GEMINI)
PROVIDER: Mapping[Dialect, str] = {
    Dialect.OPENAI_CHAT: "openai",
    Dialect.OPENAI_RESPONSES: "openai-responses",
    Dialect.ANTHROPIC: "anthropic",
    Dialect.GEMINI: "gemini",
}
PROTOCOL: Mapping[Dialect, str] = {
    Dialect.OPENAI_CHAT: "openai",
    Dialect.OPENAI_RESPONSES: "responses",
    Dialect.ANTHROPIC: "anthropic",
    Dialect.GEMINI: "gemini",
}
WEATHER = Tool(
    "get_weather",
    "The weather of a city",
    Raw(b'{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}'),
)
CITY_SCHEMA = Raw(
    b'{"type":"object","properties":{"city":{"type":"string"},"people":{"type":"integer"}},'
    b'"required":["city","people"],"additionalProperties":false}'
)
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAEklEQVR4nGP4z8CAFWEXHbQSACj/P8Fu7N9hAAAAAElFTkSuQmCC"


def asked(dialect: Dialect, *words: str, **fields: Any) -> Request:
    """Return a client's request; turns alternate from the user's, ``fields`` are those of the canonical form."""
    turns = tuple(Turn("user" if at % 2 == 0 else "assistant", (Text(text),)) for at, text in enumerate(words))
    told: dict[str, Any] = {"max_tokens": 3000, **fields}
    return Request(model="m", turns=turns, dialect=dialect, **told)


def pictured(dialect: Dialect) -> Request:
    """Return a question about a picture."""
    turn = Turn("user", (Text("What do you see?"), Image(Inline("image/png", PNG))))
    return Request(model="m", turns=(turn,), dialect=dialect, max_tokens=3000)


def shaped(dialect: Dialect) -> Request:
    """Return a question whose answer must fit a schema."""
    return asked(dialect, "Name a city.", output=OutputFormat("schema", CITY_SCHEMA, "city", strict=True))


def thoughtful(dialect: Dialect) -> Request:
    """Return a question to think about."""
    return asked(
        dialect, "Why is the sky blue?", thinking=Thinking(mode="on", effort="medium", show=True, summary="auto")
    )


class Told(msgspec.Struct):
    """What a client got: a status, headers, and an answer or a fault."""

    status: int
    headers: Mapping[str, str]
    answer: Answer
    raw: bytes
    fault: Fault | None = None
    finished: bool = False

    @property
    def text(self) -> str:
        return "".join(part.text for choice in self.answer.choices for part in choice.parts if isinstance(part, Text))

    @property
    def reasoning(self) -> str:
        found = (part for choice in self.answer.choices for part in choice.parts if isinstance(part, Reasoning))
        return "".join(part.text for part in found)

    @property
    def calls(self) -> list[ToolCall]:
        return [part for choice in self.answer.choices for part in choice.parts if isinstance(part, ToolCall)]

    @property
    def stop(self) -> object:
        return self.answer.choices[0].stop


NOTHING = Answer(id="", model="", choices=())


class Reachable(Protocol):
    """A relay that a client can call."""

    @property
    def url(self) -> str:
        """Where it is."""
        ...

    @property
    def http(self) -> aiohttp.ClientSession:
        """How it is called."""
        ...


class Client:
    """A client of one protocol, as user 1."""

    def __init__(self, rig: Reachable, dialect: Dialect) -> None:
        self.rig = rig
        self.dialect = dialect
        self.codec: Codec = codec_of(dialect)

    @asynccontextmanager
    async def open(
        self, request: Request, key: str = "user-1", **headers: str
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        """Send a request."""
        target = Target(model=request.model, history="reasoning_content")
        body = self.codec.encode_request(request, target).body
        prefix = "/v1beta" if self.dialect is Dialect.GEMINI else "/v1"
        url = f"{self.rig.url}{prefix}{self.codec.path(request.model, stream=request.stream)}"
        # The rig's own way of knowing callers is the bearer's; the credentials of each protocol are tried with its SDK.
        given = {"authorization": f"Bearer {key}", "content-type": "application/json", **headers}
        async with self.rig.http.post(url, data=body, headers=given) as answer:
            yield answer

    async def ask(self, request: Request, key: str = "user-1", **headers: str) -> Told:
        """Send a request and read its answer to the end."""
        async with asyncio.timeout(DEADLINE_S), self.open(request, key, **headers) as answer:
            raw = await answer.read()
            told = {name.lower(): value for name, value in answer.headers.items()}
            if answer.status != 200:
                fault = self.codec.decode_error(answer.status, told, raw)
                return Told(answer.status, told, NOTHING, raw, fault)
            if not request.stream:
                return Told(200, told, self.codec.decode_answer(raw), raw, finished=True)
            collector = Collector()
            decoder = self.codec.stream_decoder()
            collector.take(decoder.feed(raw))
            collector.take(decoder.close())
            return Told(200, told, collector.answer(), raw, collector.fault, collector.finished)


@asynccontextmanager
async def provider(
    rig: Rig, dialect: Dialect, name: str = "one", *, priority: int = 0, **config: Any
) -> AsyncGenerator[Served]:
    """Put a simulated provider of ``dialect`` behind the relay."""
    async with running(SimulatorConfig(protocols=(PROTOCOL[dialect],), **config)) as served:
        await rig.channel(
            served.origin, name, provider=PROVIDER[dialect], priority=priority, models={"m": "sim"}, keys=["sk-up"]
        )
        yield served


def streamed(request: Request) -> Request:
    """Return the same request, streamed."""
    return msgspec.structs.replace(request, stream=True, keeps_usage=True)
