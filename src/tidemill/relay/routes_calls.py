"""Calling a model through the application API: ``/api/models``, ``/api/model-call``, ``/api/v1/models/{name}/chat``."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from litestar.response import Stream
from litestar.types import ControllerRouterHandler
from msgspec import UNSET, Struct, UnsetType

from tidemill.kernel.actor import Actor
from tidemill.kernel.errors import BadInput
from tidemill.metering.facade import Balances
from tidemill.platform.telemetry import request_id
from tidemill.platform.web import Envelope, ListData, needs, ok, signed_in
from tidemill.relay.contracts import Call, ModelView, TokenUsage
from tidemill.relay.errors import ModelNotAllowed
from tidemill.relay.facade import Relay

Door = NamedDependency[Relay]
Left = NamedDependency[Balances]
Caller = NamedDependency[Actor]

_STREAM_HEADERS = {"cache-control": "no-cache", "x-accel-buffering": "no"}
_MAX_MESSAGES = 10_000


class ModelCallRequest(Struct):
    """A chat call; further fields of OpenAI's form that are named here go on to the model."""

    model: str
    messages: list[dict[str, Any]]
    stream: bool = False
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stop: str | list[str] | UnsetType | None = UNSET
    seed: int | None = None
    response_format: dict[str, Any] | None = None
    tools: list[dict[str, Any]] | UnsetType | None = UNSET
    tool_choice: Any = UNSET


class ModelCallAnswer(Struct):
    """A finished call."""

    id: str
    model: str
    content: str
    reasoning: str | None
    finish_reason: str | None
    usage: "CallUsage"


class CallUsage(Struct):
    """Tokens of a call."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    estimated: bool = False

    @classmethod
    def of(cls, usage: TokenUsage) -> "CallUsage":
        """Copy from the relay's own words."""
        return cls(usage.prompt_tokens, usage.completion_tokens, usage.total_tokens, usage.estimated)


class LocalChatRequest(Struct, forbid_unknown_fields=True):
    """A chat with a local model: one ``message``, or ``messages`` of OpenAI's form."""

    message: str | None = None
    messages: list[dict[str, Any]] | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stream: bool = False


class LocalChatAnswer(Struct):
    """A local model's reply, what it used, and what is left."""

    response: str
    model: str
    usage: CallUsage
    tokens_consumed: int
    remaining_tokens: int


@get("/api/models", guards=[signed_in], tags=["models"], operation_id="listModels")
async def list_models(actor: Caller, relay: Door) -> Envelope[ListData[ModelView]]:
    """List the models that may be called; never an address or a key."""
    found = [view for view in relay.models() if actor.models is None or view.name in actor.models]
    return ok(ListData(found, len(found), 1, max(len(found), 1), None))


@post("/api/model-call", status_code=200, guards=[needs("relay", "datagen")], tags=["models"], operation_id="callModel")
async def call_model(
    data: JSONBody[ModelCallRequest], actor: Caller, relay: Door
) -> Response[Envelope[ModelCallAnswer]] | Stream:
    """Call a model, waiting for a slot if need be; with `stream` OpenAI's chunks and `[DONE]`, no envelope."""
    call = Call(
        model=data.model,
        messages=_checked("messages", data.messages),
        user_id=actor.user_id,
        key_id=actor.key_id,
        group=actor.group,
        asker=actor,
        temperature=data.temperature,
        top_p=data.top_p,
        max_tokens=data.max_tokens,
        seed=data.seed,
        response_format=data.response_format,
        extra={name: value for name in ("stop", "tools", "tool_choice") if (value := getattr(data, name)) is not UNSET},
        surface="model-call",
        request_id=request_id.get(),
    )
    _check_allowed(actor, data.model)
    if data.stream:
        return await _streamed(relay, call)
    done = await relay.complete(call)
    answer = ModelCallAnswer(
        done.id, data.model, done.content, done.reasoning, done.finish_reason, CallUsage.of(done.usage)
    )
    return Response(ok(answer))


@post(
    "/api/v1/models/{name:str}/chat",
    status_code=200,
    guards=[needs("relay", "models")],
    tags=["local models"],
    operation_id="chatWithLocalModel",
)
async def chat_with_local_model(
    name: FromPath[str], data: JSONBody[LocalChatRequest], actor: Caller, relay: Door, balances: Left
) -> Response[LocalChatAnswer] | Stream:
    """Chat with a model by name, starting a local one if need be; with `stream` OpenAI's chunks and `[DONE]`."""
    _check_allowed(actor, name)
    call = Call(
        model=name,
        messages=_messages(data),
        user_id=actor.user_id,
        key_id=actor.key_id,
        group=actor.group,
        asker=actor,
        temperature=data.temperature,
        top_p=data.top_p,
        max_tokens=data.max_tokens,
        surface="local-chat",
        request_id=request_id.get(),
    )
    if data.stream:
        return await _streamed(relay, call)
    done = await relay.complete(call)
    usage = CallUsage.of(done.usage)
    left = balances.remaining(actor.user_id)
    return Response(LocalChatAnswer(done.content, name, usage, usage.total_tokens, left))


def _messages(data: LocalChatRequest) -> Sequence[dict[str, Any]]:
    if data.messages is not None:
        return _checked("messages", data.messages)
    if not data.message:
        raise BadInput.of("message", "is missing; send it, or `messages`")
    return [{"role": "user", "content": data.message}]


def _checked(field: str, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if not 0 < len(messages) <= _MAX_MESSAGES:
        raise BadInput.of(field, f"must hold 1 to {_MAX_MESSAGES} messages")
    return messages


def _check_allowed(actor: Actor, model: str) -> None:
    if actor.models is not None and model not in actor.models:
        raise ModelNotAllowed(model=model)


async def _streamed(relay: Relay, call: Call) -> Stream:
    """Answer with a stream whose first part is already there, so that what fails before it has its own status."""
    parts = relay.stream(call)
    try:
        first = await anext(parts)
    except BaseException:
        await parts.aclose()
        raise
    return Stream(_joined(first, parts), media_type="text/event-stream", headers=_STREAM_HEADERS)


async def _joined(first: bytes, rest: AsyncGenerator[bytes]) -> AsyncIterator[bytes]:
    try:
        yield first
        async for part in rest:
            yield part
    finally:
        await rest.aclose()


HANDLERS: Sequence[ControllerRouterHandler] = (list_models, call_model, chat_with_local_model)
