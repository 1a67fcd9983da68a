"""The door of the relay for calls made inside the process: limits, breakers and usage are the same as over HTTP."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import msgspec
from msgspec import Raw

from tidemill.kernel import clock
from tidemill.kernel.errors import Unavailable
from tidemill.kernel.ids import uuid7
from tidemill.platform.tasks import TaskOwner
from tidemill.relay.callers import bounds_of
from tidemill.relay.contracts import Call, Completion, ModelView, ServiceView, TokenUsage
from tidemill.relay.errors import UpstreamFailed
from tidemill.relay.limits.contracts import Bound
from tidemill.relay.pipeline.ask import Ask, Caller
from tidemill.relay.pipeline.run import Pipeline
from tidemill.relay.pipeline.sinks import CollectingSink, QueueSink
from tidemill.relay.ports import LimitsOf
from tidemill.relay.switchboard import Switchboard
from tidemill.wire.openai_chat import Answer, Body, Message, read_answer

__all__ = ["Relay"]

_FIELDS = ("temperature", "top_p", "max_tokens", "response_format", "seed")


class Relay:
    """Calls models. ``max_wait_s``: how long a call that does not say waits for a slot."""

    def __init__(
        self, pipeline: Pipeline, board: Switchboard, tasks: TaskOwner, *, limits_of: LimitsOf, max_wait_s: float
    ) -> None:
        self._pipeline = pipeline
        self._board = board
        self._tasks = tasks
        self._limits_of = limits_of
        self._max_wait_s = max_wait_s

    async def complete(self, call: Call) -> Completion:
        """Make a plain call.

        Raises ModelNotFound, NoChannelAvailable, RateLimited, UpstreamFailed (``kind`` says how), or what kept a local
        model from starting.
        """
        began = clock.monotonic()
        sink = CollectingSink()
        ask = self._ask(call, stream=False)
        record = await self._pipeline.run(ask, sink)
        channel_id = int(sink.headers[b"x-gateway-channel"])
        answer, message, finish_reason = _first_message(sink.body)
        tokens = record.tokens()
        return Completion(
            id=answer.id or ask.request_id,
            model=call.model,
            content=message.text(),
            reasoning=message.reasoning_content or message.reasoning,
            finish_reason=finish_reason,
            usage=TokenUsage(tokens.request, tokens.response, tokens.total, tokens.estimated),
            channel_id=channel_id,
            channel=self._name(channel_id),
            latency_ms=round((clock.monotonic() - began) * 1000, 3),
        )

    async def stream(self, call: Call) -> AsyncGenerator[bytes]:
        """Make a streamed call; yields whole events of OpenAI's form, ``[DONE]`` last.

        Raises like ``complete`` before the first content; a stream that breaks later ends with an error event. Closing
        the generator hangs up.
        """
        sink = QueueSink()
        work = self._tasks.spawn(f"stream {call.surface}", self._fill(self._ask(call, stream=True), sink))
        try:
            while part := await sink.read():
                yield part
        finally:
            if not work.done():
                work.cancel()
                await asyncio.wait([work])

    async def _fill(self, ask: Ask, sink: QueueSink) -> None:
        try:
            await self._pipeline.run(ask, sink)
        except asyncio.CancelledError:
            sink.fail(Unavailable("the server is stopping"))
            raise
        except Exception as error:  # noqa: BLE001 - nothing is swallowed: the reader raises it
            sink.fail(error)

    def services(self, model: str) -> list[ServiceView]:
        """Return the channels that serve ``model`` for everybody, as they stand; empty when there is none."""
        return self._board.services(model)

    def models(self) -> list[ModelView]:
        """Return the models that can be called now."""
        return list(self._board.snapshot.models)

    def _name(self, channel_id: int) -> str:
        channel = self._board.snapshot.channels.get(channel_id)
        return str(channel_id) if channel is None else channel.name

    def _bounds(self, call: Call) -> tuple[Bound, ...]:
        asker = call.asker
        if asker is None:
            return ()
        rules = self._board.snapshot.rules
        return bounds_of(asker.user_id, asker.key_id, asker.group, self._limits_of(asker), rules)

    def _ask(self, call: Call, *, stream: bool) -> Ask:
        return Ask(
            kind="chat",
            model=call.model,
            body=_body(call, stream=stream),
            caller=Caller(call.user_id, call.key_id, call.group, self._bounds(call)),
            request_id=call.request_id or uuid7(),
            stream=stream,
            keeps_usage=stream,
            surface=call.surface,
            metadata=call.metadata,
            channel_id=call.channel_id,
            timeout_s=call.timeout_s,
            wait_s=self._max_wait_s if call.wait_s is None else call.wait_s,
            retries=0 if call.channel_id is not None else 1,
        )


def _body(call: Call, *, stream: bool) -> Body:
    fields: dict[str, Any] = {"model": call.model, "messages": call.messages, **call.extra}
    fields.update((name, value) for name in _FIELDS if (value := getattr(call, name)) is not None)
    if stream:
        fields.update(stream=True, stream_options={"include_usage": True})
    return {name: Raw(msgspec.json.encode(value)) for name, value in fields.items()}


def _first_message(body: bytes) -> tuple[Answer, Message, str | None]:
    answer = read_answer(body)
    if answer is None or not answer.choices or answer.choices[0].message is None:
        raise UpstreamFailed("the answer holds no message")
    return answer, answer.choices[0].message, answer.choices[0].finish_reason
