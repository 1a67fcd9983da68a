"""Answer ``/v1/messages``, plain and as events, and count tokens."""

import hashlib
from collections.abc import Mapping
from typing import Any, cast

import msgspec

from tidemill.simulator.anthropic.errors import NEWEST, bad, refusal, usual_headers
from tidemill.simulator.anthropic.reading import read_message
from tidemill.simulator.anthropic.rules import check_shape
from tidemill.simulator.anthropic.seals import redacted, signature
from tidemill.simulator.anthropic.turns import check_turns
from tidemill.simulator.anthropic.usage import prompt_usage
from tidemill.simulator.ask import Ask, Finish, Reply
from tidemill.simulator.deciding import as_json, decide, spent_on
from tidemill.simulator.decoded import obj
from tidemill.simulator.exchange import Exchange
from tidemill.simulator.face import Refused
from tidemill.simulator.faults import content_faults
from tidemill.simulator.prompt_cache import PromptCache
from tidemill.simulator.schema_values import SchemaRefused
from tidemill.simulator.streams import EVENT_STREAM, Stream, named_event, pieces

# The words with which Anthropic lets callers try these outcomes; their endings do not matter here.
_REFUSE = "ANTHROPIC_MAGIC_STRING_TRIGGER_REFUSAL"
_REDACT = "ANTHROPIC_MAGIC_STRING_TRIGGER_REDACTED_THINKING"

_STOP: Mapping[Finish, str] = {
    "end": "end_turn",
    "stop": "stop_sequence",
    "length": "max_tokens",
    "tools": "tool_use",
    "filtered": "refusal",
}
# What of the usage a stream's last event does not repeat.
_TOLD_AT_START = frozenset({"cache_creation", "inference_geo", "service_tier"})
_PING = b'event: ping\ndata: {"type":"ping"}\n\n'

Block = dict[str, Any]


class Messages:
    """Messages; knows earlier prompts only to name what was cached."""

    def __init__(self) -> None:
        self._cache = PromptCache()

    async def create(self, exchange: Exchange) -> None:
        """Answer ``POST /v1/messages``; raises Refused."""
        config = exchange.config
        body = read_body(exchange, is_count=False)
        ask = read_message(body, thinks=config.thinks)
        faults = content_faults(exchange.plan)
        if _REFUSE in ask.prompt:
            faults = ["blocked"]
        try:
            reply = decide(ask, seed=config.seed, low_share=config.low_share, faults=faults)
        except SchemaRefused as problem:
            raise bad(f"output_config.format.schema: {problem}") from None
        message = _message(exchange, body, ask, reply)
        said, thought = spent_on(reply)
        message["usage"] = {
            **prompt_usage(body, self._cache).block(),
            "output_tokens": max(said + thought, 1),
            "output_tokens_details": {"thinking_tokens": thought},
            "server_tool_use": None,
            "inference_geo": "not_available",
            "service_tier": "standard",
        }
        if body.get("stream") is True:
            await _stream(exchange, message)
        else:
            await exchange.answer(message, usual_headers(exchange.data))

    async def count(self, exchange: Exchange) -> None:
        """Answer ``POST /v1/messages/count_tokens``; raises Refused."""
        body = read_body(exchange, is_count=True)
        usage = prompt_usage(body, PromptCache())
        total = usage.fresh + usage.read + usage.written_5m + usage.written_1h
        await exchange.answer({"input_tokens": total}, usual_headers(exchange.data))


def read_body(exchange: Exchange, *, is_count: bool) -> dict[str, Any]:
    """Decode and check a body; raises Refused."""
    try:
        given = msgspec.json.decode(exchange.data)
    except (msgspec.DecodeError, RecursionError) as problem:
        raise bad(f"The request body is not valid JSON: {problem}") from None
    if not isinstance(given, dict):
        raise bad("Input should be a valid dictionary")
    body = cast("dict[str, Any]", given)
    is_newest = exchange.header(b"anthropic-version") == NEWEST
    check_shape(body, strict=exchange.config.strict, is_count=is_count, is_newest=is_newest)
    if exchange.config.models and body["model"] not in exchange.config.models:
        raise Refused(refusal("404", f"model: {body['model']}"))
    check_turns(body, strict=exchange.config.strict, is_newest=is_newest)
    return body


def _message(exchange: Exchange, body: Mapping[str, Any], ask: Ask, reply: Reply) -> dict[str, Any]:
    name = hashlib.blake2b(exchange.data, digest_size=12).hexdigest()
    is_refused = reply.finish == "filtered"
    return {
        "id": f"msg_01{name}",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": _blocks(body, ask, reply),
        "stop_reason": _STOP[reply.finish],
        "stop_sequence": reply.stop or None,
        "stop_details": {"type": "refusal", "category": None, "explanation": None} if is_refused else None,
        "container": None,
    }


def _blocks(body: Mapping[str, Any], ask: Ask, reply: Reply) -> list[Block]:
    out: list[Block] = []
    if reply.reasoning:
        if any(_REDACT in turn.text for turn in ask.turns):
            out.append({"type": "redacted_thinking", "data": redacted(reply.reasoning)})
        else:
            shown = "" if obj(body.get("thinking")).get("display") == "omitted" else reply.reasoning
            out.append({"type": "thinking", "thinking": shown, "signature": signature(shown)})
    if reply.text:
        out.append({"type": "text", "text": reply.text, "citations": None})
    by = {"type": "direct"}
    out += [
        {"type": "tool_use", "id": f"toolu_01{call.key}", "name": call.name, "input": call.arguments, "caller": by}
        for call in reply.calls
    ]
    return out


async def _stream(exchange: Exchange, message: dict[str, Any]) -> None:
    blocks = cast("list[Block]", message["content"])
    usage = message["usage"]
    stream = Stream(exchange, sum(len(_deltas(block)) for block in blocks))
    await stream.open({**EVENT_STREAM, **usual_headers(exchange.data)})
    begun: Block = {**message, "content": [], "stop_reason": None, "stop_sequence": None, "stop_details": None}
    await stream.send(_frame("message_start", message={**begun, "usage": {**usage, "output_tokens": 1}}))
    for index, block in enumerate(blocks):
        await stream.send(_frame("content_block_start", index=index, content_block=_begun(block)))
        if index == 0:
            await stream.send(_PING)
        for delta in _deltas(block):
            is_tool = delta["type"] == "input_json_delta" and bool(delta["partial_json"])
            await stream.content(_frame("content_block_delta", index=index, delta=delta), is_tool=is_tool)
        await stream.send(_frame("content_block_stop", index=index))
    delta = {name: message[name] for name in ("stop_reason", "stop_sequence", "stop_details", "container")}
    at_end = {name: value for name, value in usage.items() if name not in _TOLD_AT_START}
    await stream.send(_frame("message_delta", delta=delta, usage=at_end))
    await stream.finish(_frame("message_stop"))


def _begun(block: Block) -> Block:
    match block["type"]:
        case "text":
            return {"type": "text", "text": "", "citations": None}
        case "thinking":
            return {"type": "thinking", "thinking": "", "signature": ""}
        case "tool_use":
            return {**block, "input": {}}
        case _:
            return block


def _deltas(block: Block) -> list[Block]:
    match block["type"]:
        case "text":
            return [{"type": "text_delta", "text": piece} for piece in pieces(block["text"])]
        case "thinking":
            parts = [{"type": "thinking_delta", "thinking": piece} for piece in pieces(block["thinking"])]
            return [*parts, {"type": "signature_delta", "signature": block["signature"]}]
        case "tool_use":
            # The first delta is empty; a call without arguments has no other.
            spoken = pieces(as_json(block["input"])) if block["input"] else []
            return [{"type": "input_json_delta", "partial_json": piece} for piece in ["", *spoken]]
        case _:
            return []


def _frame(kind: str, **values: Any) -> bytes:
    return named_event(kind, {"type": kind, **values})
