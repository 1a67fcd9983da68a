"""The simulated provider as an ASGI application: OpenAI chat, embeddings and models, plus controls for tests.

Controls: ``GET /_simulator/health``, ``GET /_simulator/stats``, ``POST /_simulator/reset``, ``POST
/_simulator/faults`` with ``{"faults": {"429": 0.1} or "429:0.1", "script": ["429", "ok"], "latency_s", "slots",
"low_share", "chunk_interval_s", "retry_after_s"}`` (each optional).
"""

import math
from collections.abc import Mapping
from typing import Any, cast

import msgspec

from tidemill.kernel.errors import BadInput
from tidemill.simulator.config import STATUS_FAULTS, SimulatorConfig, parse_faults
from tidemill.simulator.exchange import ClientGone, Exchange, Receive, Scope, Send
from tidemill.simulator.faults import Faults
from tidemill.simulator.openai_routes import OpenAIRoutes
from tidemill.simulator.openai_shapes import FAULT_ERRORS, error
from tidemill.simulator.slots import Slots
from tidemill.simulator.stats import Stats

_HANG_S = 600.0  # longer than any client waits, short enough that a forgotten connection ends


class Controls(msgspec.Struct, frozen=True):
    """Body of ``POST /_simulator/faults``; what is absent stays as it is."""

    faults: dict[str, float] | str | None = None
    script: list[str] | None = None
    latency_s: float | None = None
    chunk_interval_s: float | None = None
    retry_after_s: float | None = None
    low_share: float | None = None
    slots: int | None = None


class Simulator:
    """An ASGI application that behaves like a provider; see the module for its control routes."""

    def __init__(self, config: SimulatorConfig | None = None) -> None:
        self.config = config or SimulatorConfig()
        self.faults = Faults(self.config.faults, self.config.seed)
        self.slots = Slots(self.config.slots)
        self.stats = Stats(self.config.keep_requests)
        self._openai = OpenAIRoutes()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope; only HTTP and lifespan are spoken."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        if scope["type"] != "http":
            return
        exchange = Exchange(scope, receive, send)
        try:
            body = await exchange.body()
            if exchange.path.startswith("/_simulator/"):
                await self._control(exchange, body)
            else:
                await self._serve(exchange, body)
        except ClientGone:
            self.stats.aborted += 1

    async def _serve(self, exchange: Exchange, body: bytes) -> None:
        route = exchange.path.removeprefix("/v1") or "/"
        self.stats.arrived(route, exchange.headers, body)
        self.stats.started()
        try:
            await self._answer(exchange, route, body)
        finally:
            self.stats.ended()
            if exchange.status:
                self.stats.answered(route, exchange.status)

    async def _answer(self, exchange: Exchange, route: str, body: bytes) -> None:
        if self.config.api_key and exchange.header(b"authorization") != f"Bearer {self.config.api_key}":
            await exchange.json(401, error(FAULT_ERRORS[401][0], "invalid_request_error", "invalid_api_key"))
            return
        if exchange.method == "GET" and (route == "/models" or route.startswith("/models/")):
            await self._openai.models(exchange, route.removeprefix("/models").strip("/"), self.config)
            return
        work = self._openai.work(route)
        if work is None or exchange.method != "POST":
            await exchange.json(
                404, error(f"No such route: {exchange.method} {exchange.path}", "invalid_request_error")
            )
            return
        fault = self.faults.draw()
        if fault:
            self.stats.faults[fault] += 1
            if status := STATUS_FAULTS.get(fault):
                await self._refuse(exchange, status)
                return
        await self.slots.take()
        try:
            await exchange.pause(_HANG_S if fault == "hang" else self.config.latency_s)
            await work(exchange, body, self.config, fault)
        finally:
            self.slots.give_back()

    async def _refuse(self, exchange: Exchange, status: int) -> None:
        message, kind, code = FAULT_ERRORS[status]
        headers: dict[str, str] = {}
        if status in {429, 503}:
            headers["retry-after"] = str(math.ceil(self.config.retry_after_s))
            headers["retry-after-ms"] = str(round(self.config.retry_after_s * 1000))
        await exchange.json(status, error(message, kind, code), headers)

    async def _control(self, exchange: Exchange, body: bytes) -> None:
        match exchange.method, exchange.path.removeprefix("/_simulator/"):
            case "GET", "health":
                await exchange.json(200, {"status": "ok"})
            case "GET", "stats":
                await exchange.json(
                    200, self.stats.view(waiting=self.slots.waiting, max_waiting=self.slots.longest_line)
                )
            case "POST", "reset":
                self.stats.reset()
                self.slots.longest_line = self.slots.waiting
                await exchange.json(200, {"status": "ok"})
            case "POST", "faults":
                await self._change(exchange, body)
            case _:
                await exchange.json(404, error("No such control route.", "invalid_request_error"))

    async def _change(self, exchange: Exchange, body: bytes) -> None:
        try:
            self.change(msgspec.json.decode(body, type=Controls))
        except (msgspec.DecodeError, BadInput) as problem:
            await exchange.json(400, error(str(problem), "invalid_request_error"))
            return
        await exchange.json(200, {"faults": self.faults.shares, **cast("dict[str, Any]", _visible(self.config))})

    def change(self, controls: Controls) -> None:
        """Apply what is given, all or nothing; raises BadInput for unknown faults or numbers out of range."""
        shares = parse_faults(controls.faults) if isinstance(controls.faults, str) else controls.faults
        names = ("latency_s", "chunk_interval_s", "retry_after_s", "low_share", "slots")
        given = {name: value for name in names if (value := getattr(controls, name)) is not None}
        for name, value in given.items():
            if value < 0 or (name == "low_share" and value > 1):
                raise BadInput.of(name, "is out of range")
        before = self.faults.shares
        if shares is not None:
            self.faults.set(shares)
        if controls.script is not None:
            try:
                self.faults.follow(controls.script)
            except BadInput:
                self.faults.set(before)
                raise
        self.config = msgspec.structs.replace(self.config, **given)
        if controls.slots is not None:
            self.slots.resize(controls.slots)


def _visible(config: SimulatorConfig) -> Mapping[str, Any]:
    names = ("latency_s", "chunk_interval_s", "retry_after_s", "low_share", "slots")
    return {name: getattr(config, name) for name in names}


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
