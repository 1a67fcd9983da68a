"""Answer the OpenAI routes: chat completions plain and streamed, embeddings, the list of models."""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any, cast

import msgspec

from tidemill.kernel import clock
from tidemill.simulator import openai_shapes as shapes
from tidemill.simulator.answers import reply_to
from tidemill.simulator.asked import content_text
from tidemill.simulator.config import SimulatorConfig
from tidemill.simulator.exchange import Exchange
from tidemill.simulator.vectors import as_base64, embed

Work = Callable[[Exchange, bytes, SimulatorConfig, str | None], Awaitable[None]]

_ANY_MODEL = "simulator"  # listed when every name is accepted
_PIECE_CHARS = 8
_MOST_CHOICES = 16
_STREAM_HEADERS = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}


class _Refused(Exception):
    """The request is not valid; carries the whole answer."""

    def __init__(self, status: int, message: str, *, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.value = shapes.error(message, "invalid_request_error", code, param)


class OpenAIRoutes:
    """The provider's routes under ``/v1`` (also without it)."""

    def work(self, route: str) -> Work | None:
        """Return the handler of a POST route; it runs inside a slot."""
        return {"/chat/completions": self._chat, "/embeddings": self._embeddings}.get(route)

    async def models(self, exchange: Exchange, name: str, config: SimulatorConfig) -> None:
        """Answer the list of models, or one of them when ``name`` is given."""
        known = config.models or (_ANY_MODEL,)
        items = [{"id": model, "object": "model", "created": 0, "owned_by": "simulator"} for model in known]
        if not name:
            await exchange.json(200, {"object": "list", "data": items})
            return
        one = next((item for item in items if item["id"] == name), None)
        if one is None:
            await exchange.json(404, _unknown(name).value)
        else:
            await exchange.json(200, one)

    async def _chat(self, exchange: Exchange, data: bytes, config: SimulatorConfig, fault: str | None) -> None:
        try:
            body = _read(data, config)
            messages = _messages(body)
        except _Refused as refused:
            await exchange.json(refused.status, refused.value)
            return
        wanted = body.get("n")
        count = min(wanted, _MOST_CHOICES) if isinstance(wanted, int) and wanted > 0 else 1
        replies = [
            reply_to(body, seed=config.seed, low_share=config.low_share, fault=fault, index=index)
            for index in range(count)
        ]
        spent = sum(shapes.count_tokens(_spoken(reply)) for reply in replies)
        used = shapes.usage(sum(3 + shapes.count_tokens(content_text(m)) for m in messages), spent)
        answer_id = f"chatcmpl-{_name(data)}"
        created, model = int(clock.now().timestamp()), str(body["model"])
        if body.get("stream") is True:
            await self._stream(exchange, body, config, fault, _Head(answer_id, created, model, used), replies)
            return
        value = shapes.completion(answer_id, created, model, replies, used)
        if fault == "cut":
            await exchange.half(200, value)
        else:
            await exchange.json(200, value, {"x-request-id": _name(data)})

    async def _stream(
        self,
        exchange: Exchange,
        body: dict[str, Any],
        config: SimulatorConfig,
        fault: str | None,
        head: "_Head",
        replies: list[shapes.Reply],
    ) -> None:
        options = body.get("stream_options")
        with_usage = isinstance(options, dict) and cast("dict[str, Any]", options).get("include_usage") is True
        blank: dict[str, Any] = {"usage": None} if with_usage else {}

        def frame(choices: list[dict[str, Any]]) -> dict[str, Any]:
            return {**shapes.chunk(head.answer_id, head.created, head.model, choices), **blank}

        await exchange.start(200, _STREAM_HEADERS)
        for index, reply in enumerate(replies):
            parts = shapes.deltas(reply, _pieces(reply.text))
            cut_at = max(1, len(parts) // 2) if fault == "cut" else -1
            for number, delta in enumerate(parts):
                if number == cut_at:
                    return  # the body stays open-ended; the server drops the connection
                if number:
                    await exchange.pause(config.chunk_interval_s)
                await exchange.event(frame([shapes.choice(index, delta)]))
            await exchange.event(frame([shapes.choice(index, {}, reply.finish_reason)]))
        if with_usage:
            await exchange.event({**frame([]), "usage": head.used})
        await exchange.write(b"data: [DONE]\n\n", more=False)

    async def _embeddings(self, exchange: Exchange, data: bytes, config: SimulatorConfig, fault: str | None) -> None:
        try:
            body = _read(data, config)
            texts = _inputs(body)
            dimensions = _dimensions(body, config.dimensions)
        except _Refused as refused:
            await exchange.json(refused.status, refused.value)
            return
        packed = body.get("encoding_format") == "base64"
        vectors = [embed(text, dimensions) for text in texts]
        tokens = sum(shapes.count_tokens(text) for text in texts)
        value = {
            "object": "list",
            "data": [
                {"object": "embedding", "index": index, "embedding": as_base64(vector) if packed else vector}
                for index, vector in enumerate(vectors)
            ],
            "model": body["model"],
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }
        if fault == "cut":
            await exchange.half(200, value)
        else:
            await exchange.json(200, value)


class _Head(msgspec.Struct, frozen=True):
    """What every chunk of one stream repeats."""

    answer_id: str
    created: int
    model: str
    used: dict[str, Any]


def _read(data: bytes, config: SimulatorConfig) -> dict[str, Any]:
    try:
        body = msgspec.json.decode(data)
    except msgspec.DecodeError as problem:
        raise _Refused(400, f"The body is not JSON: {problem}") from None
    if not isinstance(body, dict):
        raise _Refused(400, "The body must be a JSON object.")
    fields = cast("dict[str, Any]", body)
    model = fields.get("model")
    if not isinstance(model, str) or not model:
        raise _Refused(400, "You must provide a model parameter.", param="model")
    if config.models and model not in config.models:
        raise _unknown(model)
    return fields


def _unknown(model: str) -> _Refused:
    message = f"The model `{model}` does not exist or you do not have access to it."
    return _Refused(404, message, code="model_not_found", param="model")


def _messages(body: dict[str, Any]) -> list[dict[str, Any]]:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise _Refused(400, "'messages' must be a list with at least one message.", param="messages")
    for index, message in enumerate(cast("list[Any]", messages)):
        if not isinstance(message, dict) or not isinstance(cast("dict[str, Any]", message).get("role"), str):
            raise _Refused(400, f"'messages[{index}]' must be an object with a role.", param=f"messages[{index}]")
    form = body.get("response_format")
    if form is not None and not isinstance(form, dict):
        raise _Refused(400, "'response_format' must be an object.", param="response_format")
    return cast("list[dict[str, Any]]", messages)


def _inputs(body: dict[str, Any]) -> list[str]:
    given = body.get("input")
    items = cast("list[Any]", given) if isinstance(given, list) else [given]
    if items and all(isinstance(item, int) for item in items):
        items = [items]  # one text as token numbers
    texts: list[str] = []
    for item in items:
        if isinstance(item, str) and item:
            texts.append(item)
        elif isinstance(item, list) and item:
            texts.append(" ".join(str(token) for token in cast("list[Any]", item)))
        else:
            raise _Refused(400, "'input' must be a text, or a list of texts that are not empty.", param="input")
    if not texts:
        raise _Refused(400, "'input' must not be empty.", param="input")
    return texts


def _dimensions(body: dict[str, Any], usual: int) -> int:
    asked = body.get("dimensions", usual)
    if isinstance(asked, bool) or not isinstance(asked, int) or not 1 <= asked <= 4096:  # noqa: PLR2004 - as providers
        raise _Refused(400, "'dimensions' must be between 1 and 4096.", param="dimensions")
    return asked


def _pieces(text: str) -> list[str]:
    return [text[at : at + _PIECE_CHARS] for at in range(0, len(text), _PIECE_CHARS)]


def _spoken(reply: shapes.Reply) -> str:
    if reply.tool_calls:
        return "".join(call["function"]["arguments"] for call in reply.tool_calls)
    return reply.text


def _name(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=12).hexdigest()
