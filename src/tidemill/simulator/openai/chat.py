"""Answer chat completions, plain and streamed."""

import hashlib
from collections.abc import Mapping
from itertools import zip_longest
from typing import Any, cast

import msgspec

from tidemill.kernel import clock
from tidemill.simulator.ask import Ask, Reply
from tidemill.simulator.deciding import decide, spent_on
from tidemill.simulator.decoded import objects
from tidemill.simulator.exchange import Exchange
from tidemill.simulator.faults import content_faults
from tidemill.simulator.openai import shapes
from tidemill.simulator.openai.chat_reading import read_chat
from tidemill.simulator.openai.chat_rules import check_chat
from tidemill.simulator.openai.errors import bad, unknown_model, usual_headers
from tidemill.simulator.prompt_cache import PromptCache
from tidemill.simulator.schema_values import SchemaRefused
from tidemill.simulator.streams import EVENT_STREAM, Stream, event
from tidemill.simulator.tokens import count_tokens

_MOST_CHOICES = 16
_TURN_TOKENS = 3
_IMAGE_TOKENS = 85
_CACHED_FROM = 1024  # shorter prompts are never cached
_CACHE_STEP = 128


def read_body(exchange: Exchange, usual_model: str = "") -> dict[str, Any]:
    """Decode a JSON body that names a model which is served, or none where there is a usual one; raises Refused."""
    try:
        body = msgspec.json.decode(exchange.data)
    except (msgspec.DecodeError, RecursionError) as problem:
        raise bad(f"We could not parse the JSON body of your request: {problem}") from None
    if not isinstance(body, dict):
        raise bad("The body must be a JSON object.")
    given = cast("dict[str, Any]", body)
    if usual_model and given.get("model") is None:
        return {**given, "model": usual_model}
    model = given.get("model")
    if not isinstance(model, str) or not model:
        raise bad("you must provide a model parameter", param="model")
    if exchange.config.models and model not in exchange.config.models:
        raise unknown_model(model)
    return given


def request_id(data: bytes) -> str:
    """Return 24 hex digits that name a request by its bytes."""
    return hashlib.blake2b(data, digest_size=12).hexdigest()


class Chat:
    """Chat completions; knows earlier prompts only to name cached tokens."""

    def __init__(self) -> None:
        self._cache = PromptCache()

    async def answer(self, exchange: Exchange) -> None:
        """Answer ``POST /v1/chat/completions``; raises Refused."""
        config = exchange.config
        body = read_body(exchange)
        check_chat(body, strict=config.strict, has_reasoning=config.reasoning_field != "none")
        ask = read_chat(body, thinks=config.thinks)
        count = min(body.get("n") or 1, _MOST_CHOICES)
        faults = content_faults(exchange.plan)
        try:
            replies = [
                decide(ask, seed=config.seed, low_share=config.low_share, faults=faults, index=index)
                for index in range(count)
            ]
        except SchemaRefused as problem:
            raise bad(f"Invalid schema: {problem}", code="invalid_json_schema", param="response_format") from None
        spent = [spent_on(reply) for reply in replies]
        prompt, cached = prompt_tokens(ask, body, self._cache)
        used = shapes.usage(prompt, sum(said for said, _ in spent), sum(thought for _, thought in spent), cached)
        name = request_id(exchange.data)
        head = {
            "id": f"chatcmpl-{name}",
            "created": int(clock.now().timestamp()),
            "model": body["model"],
            "service_tier": "default",
            "system_fingerprint": "fp_simulated",
        }
        custom = frozenset(tool["custom"]["name"] for tool in objects(body.get("tools")) if tool["type"] == "custom")
        work = _Work(head, used, custom, "functions" in body, config.reasoning_field, body)
        if body.get("stream") is True:
            await _stream(exchange, work, replies, name)
            return
        choices = [
            {
                "index": index,
                "message": work.message(reply),
                "logprobs": shapes.logprobs(reply.text, work.top) if work.has_logprobs else None,
                "finish_reason": work.finish(reply),
            }
            for index, reply in enumerate(replies)
        ]
        value = shapes.completion(head, choices, used)
        if "no-usage" in exchange.plan:
            del value["usage"]
        await exchange.answer(value, usual_headers(name))


def prompt_tokens(ask: Ask, body: Mapping[str, Any], cache: PromptCache | None = None) -> tuple[int, int]:
    """Return the tokens of a prompt, and how many of them an earlier prompt with the same beginning left cached."""
    sizes = [
        _TURN_TOKENS
        + count_tokens(turn.text)
        + _IMAGE_TOKENS * len(turn.media)
        + sum(count_tokens(call.name) + count_tokens(str(call.arguments)) for call in turn.calls)
        for turn in ask.turns
    ]
    tools = count_tokens(str(body["tools"])) if body.get("tools") else 0
    prompt = sum(sizes) + tools
    if cache is None or prompt < _CACHED_FROM:
        return prompt, 0
    so_far, parts = tools, list[tuple[str, int]]()
    for turn, size in zip(ask.turns, sizes, strict=True):
        so_far += size
        parts.append((f"{turn.role}:{turn.text}", so_far))
    known, _ = cache.read(parts, f"{body['model']}{body.get('tools')}")
    return prompt, known // _CACHE_STEP * _CACHE_STEP if known >= _CACHED_FROM else 0


class _Work:
    """What the choices of one answer have in common."""

    def __init__(
        self,
        head: Mapping[str, Any],
        used: dict[str, Any],
        custom: frozenset[str],
        is_legacy: bool,  # noqa: FBT001 - as above
        reasoning_field: str,
        body: Mapping[str, Any],
    ) -> None:
        self.head = head
        self.used = used
        self.has_logprobs = body.get("logprobs") is True
        self.top = body.get("top_logprobs") or 0
        options = cast("dict[str, Any]", body.get("stream_options") or {})
        self.with_usage = options.get("include_usage") is True
        self._custom = custom
        self._is_legacy = is_legacy
        self._reasoning_field = reasoning_field

    def message(self, reply: Reply) -> dict[str, Any]:
        return shapes.message(
            reply, reasoning_field=self._reasoning_field, custom=self._custom, is_legacy=self._is_legacy
        )

    def deltas(self, reply: Reply, form: str) -> list[dict[str, Any]]:
        return shapes.deltas(
            reply,
            reasoning_field=self._reasoning_field,
            custom=self._custom,
            is_legacy=self._is_legacy,
            form=form,
        )

    def finish(self, reply: Reply) -> str:
        return "function_call" if reply.calls and self._is_legacy else shapes.FINISH[reply.finish]


async def _stream(exchange: Exchange, work: _Work, replies: list[Reply], name: str) -> None:
    plan = exchange.plan
    tools = plan.get("tools")
    parts = [work.deltas(reply, tools.form if tools else "") for reply in replies]
    stream = Stream(exchange, sum(len(deltas) - 1 for deltas in parts))
    repeats, with_usage = "repeat-usage" in plan, work.with_usage and "no-usage" not in plan
    frame: dict[str, Any] = {**work.head, "object": "chat.completion.chunk"}
    if with_usage:
        frame["usage"] = None
    said: list[str] = []
    await stream.open({**EVENT_STREAM, **usual_headers(name)})
    for row in zip_longest(*parts):
        for index, delta in enumerate(row):
            if delta is None:
                continue
            content = cast("str | None", delta.get("content"))
            logs = (
                {"content": [shapes.token_logprob(content, work.top)], "refusal": None}
                if content and work.has_logprobs
                else None
            )
            value = {**frame, "choices": [shapes.choice(index, delta, None, logs)]}
            if repeats:
                said.append(content or "")
                value["usage"] = shapes.usage_so_far(work.used["prompt_tokens"], said)
            if "role" in delta:
                await stream.send(event(value))
            else:
                is_tool = "tool_calls" in delta and "name" not in delta["tool_calls"][0].get("function", {})
                await stream.content(event(value), is_tool=is_tool)
    if "no-done" not in plan:
        for index, reply in enumerate(replies):
            await stream.send(event({**frame, "choices": [shapes.choice(index, {}, work.finish(reply))]}))
    if with_usage:
        await stream.send(event({**frame, "choices": [], "usage": work.used}))
    await stream.finish(b"data: [DONE]\n\n")
