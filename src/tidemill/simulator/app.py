"""The simulated provider as an ASGI application: the protocol faces, and controls for tests.

Controls: ``GET /_simulator/health``, ``GET /_simulator/stats``, ``POST /_simulator/reset``, ``POST
/_simulator/faults`` with ``{"faults": {"429": 0.1} or "429:0.1", "script": ["429", "ok"], "latency_s", "slots",
"low_share", "chunk_interval_s", "retry_after_s"}`` (each optional).
"""

from collections.abc import Mapping
from typing import Any, cast

import msgspec

from tidemill.kernel.errors import BadInput
from tidemill.simulator.config import SimulatorConfig
from tidemill.simulator.exchange import SILENCE_S, ClientGone, Ended, Exchange, Receive, Scope, Send
from tidemill.simulator.face import Face, Refused, Route
from tidemill.simulator.faces import Faces
from tidemill.simulator.fault_words import Fault, faults_of
from tidemill.simulator.faults import Faults, Seen
from tidemill.simulator.slots import Slots
from tidemill.simulator.stats import Stats

_CONTROLS = "/_simulator/"
_HTML = b"<html><head><title>502 Bad Gateway</title></head><body><h1>Bad Gateway</h1></body></html>\n"


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
        self._faces = Faces(self.config)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope; only HTTP and lifespan are spoken."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        if scope["type"] != "http":
            return
        exchange = Exchange(scope, receive, send, self.config)
        try:
            exchange.data = await exchange.body()
            if exchange.path.startswith(_CONTROLS):
                await self._control(exchange)
            else:
                await self._serve(exchange)
        except ClientGone:
            self.stats.left(exchange)
        except Ended:
            return

    async def _serve(self, exchange: Exchange) -> None:
        face = self._faces.of(exchange)
        exchange.error_of = lambda word: face.refusal(word).value
        exchange.failure_of = face.failure
        route = face.route(exchange)
        exchange.route = route.name if route else exchange.path
        exchange.key = face.key(exchange)
        self.stats.started(exchange)
        try:
            await self._answer(exchange, face, route)
        except Refused as refused:
            refusal = refused.refusal
            await exchange.json(refusal.status, refusal.value, refusal.headers)
        finally:
            self.stats.ended(exchange)

    async def _answer(self, exchange: Exchange, face: Face, route: Route | None) -> None:
        face.admit(exchange)
        if route is None:
            raise Refused(face.refusal("404", f"No such route: {exchange.method} {exchange.path}"))
        if route.is_light:
            await route.work(exchange)
            return
        self._plan(exchange, face)
        for fault in exchange.plan.values() if exchange.plan else ():
            self.stats.faults[fault.kind] += 1
            if fault.group == "refusal":
                await self._refuse(exchange, face, fault)
                return
        await self.slots.take()
        try:
            await exchange.pause(self._wait_s(exchange))
            if (cut := exchange.plan.get("cut")) and cut.at == "head":
                await exchange.hang_up()
            await route.work(exchange)
        finally:
            self.slots.give_back()

    def _plan(self, exchange: Exchange, face: Face) -> None:
        order = self.faults.order_in(exchange.header(b"x-simulate"), exchange.data)
        if not order and self.faults.are_none:
            return
        try:
            exchange.plan = self.faults.plan(Seen(exchange.model, exchange.key, exchange.path), order)
        except BadInput as problem:
            raise Refused(face.refusal("400", f"x-simulate: {problem.detail}")) from None

    def _wait_s(self, exchange: Exchange) -> float:
        plan = exchange.plan
        if not plan:
            return self.config.latency_s
        if hang := plan.get("hang"):
            return SILENCE_S if hang.s is None else hang.s
        delay = plan.get("delay")
        return self.config.latency_s if delay is None or delay.s is None else delay.s

    async def _refuse(self, exchange: Exchange, face: Face, fault: Fault) -> None:
        delay = exchange.plan.get("delay")
        if delay is not None and delay.s is not None:
            await exchange.pause(delay.s)
        if fault.kind == "html":
            status = int(fault.as_) if fault.as_.isdecimal() and len(fault.as_) == 3 else 502  # noqa: PLR2004 - a status
            await exchange.whole(status, _HTML, {"content-type": "text/html; charset=utf-8"})
            return
        retry_s = self.config.retry_after_s if fault.retry is None else fault.retry
        raise Refused(face.refusal(fault.kind, retry_after_s=retry_s))

    async def _control(self, exchange: Exchange) -> None:
        match exchange.method, exchange.path.removeprefix(_CONTROLS):
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
                await self._change(exchange)
            case _:
                await exchange.json(404, {"error": {"message": "No such control route."}})

    async def _change(self, exchange: Exchange) -> None:
        try:
            self.change(msgspec.json.decode(exchange.data, type=Controls))
        except (msgspec.DecodeError, RecursionError, BadInput) as problem:
            await exchange.json(400, {"error": {"message": str(problem)}})
            return
        standing = [{"kind": fault.kind, "rate": fault.rate, "times": fault.times} for fault in self.faults.standing]
        await exchange.json(200, {"faults": standing, **cast("dict[str, Any]", _visible(self.config))})

    def change(self, controls: Controls) -> None:
        """Apply what is given, all or nothing; raises BadInput for unknown faults or numbers out of range."""
        names = ("latency_s", "chunk_interval_s", "retry_after_s", "low_share", "slots")
        given = {name: value for name in names if (value := getattr(controls, name)) is not None}
        for name, value in given.items():
            if value < 0 or (name == "low_share" and value > 1):
                raise BadInput.of(name, "is out of range")
        standing = None if controls.faults is None else faults_of(controls.faults)
        if controls.script is not None:
            self.faults.follow(controls.script)
        if standing is not None:
            self.faults.set(standing)
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
