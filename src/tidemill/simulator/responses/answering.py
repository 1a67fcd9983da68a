"""Answer ``/v1/responses``, plain and as the exact sequence of events."""

from collections.abc import Mapping
from typing import Any

from tidemill.kernel import clock
from tidemill.simulator.ask import Ask, Reply
from tidemill.simulator.deciding import decide, spent_on
from tidemill.simulator.decoded import objects
from tidemill.simulator.exchange import Exchange
from tidemill.simulator.faults import content_faults
from tidemill.simulator.openai.chat import prompt_tokens, read_body, request_id
from tidemill.simulator.openai.errors import bad, refusal, usual_headers
from tidemill.simulator.prompt_cache import PromptCache
from tidemill.simulator.responses import shapes
from tidemill.simulator.responses.compacting import compacted, expanded
from tidemill.simulator.responses.reading import Store, Stored, input_items, read_response
from tidemill.simulator.responses.rules import check_compaction, check_response
from tidemill.simulator.schema_values import SchemaRefused
from tidemill.simulator.streams import EVENT_STREAM, Stream, named_event, pieces

_COMPACTED_TO = 4  # a compaction is counted as a quarter of what it stands for


class Answering:
    """Creates responses and remembers them for ``previous_response_id``."""

    def __init__(self, keep: int) -> None:
        self.store = Store(keep)
        self._cache = PromptCache()

    async def create(self, exchange: Exchange) -> None:
        """Answer ``POST /v1/responses``; raises Refused."""
        config = exchange.config
        body = read_body(exchange)
        check_response(body, strict=config.strict)
        own, earlier = input_items(body), self._earlier(body)
        items = expanded([*earlier, *own])
        ask = read_response(body, items, thinks=config.thinks)
        faults = content_faults(exchange.plan)
        try:
            reply = decide(ask, seed=config.seed, low_share=config.low_share, faults=faults)
        except SchemaRefused as problem:
            raise bad(f"Invalid schema: {problem}", code="invalid_json_schema", param="text.format.schema") from None
        name = request_id(exchange.data + (body.get("previous_response_id") or "").encode())
        begun = shapes.response(body, name, int(clock.now().timestamp()))
        custom = frozenset(tool["name"] for tool in objects(body.get("tools")) if tool["type"] == "custom")
        output = shapes.output_items(reply, body, name, custom)
        used = None if "no-usage" in exchange.plan else self._usage(ask, body, reply)
        done = shapes.ended(begun, output, reply, used)
        if body.get("store") is not False:
            self.store.put(begun["id"], Stored([*items, *output], own, done))
        if body.get("stream") is True:
            await _Events(exchange, begun, done).run(usual_headers(name))
        else:
            await exchange.answer(done, usual_headers(name))

    async def count(self, exchange: Exchange) -> None:
        """Answer ``POST /v1/responses/input_tokens``; raises Refused."""
        body = read_body(exchange)
        check_response(body, strict=exchange.config.strict)
        ask = read_response(body, expanded([*self._earlier(body), *input_items(body)]), thinks=False)
        tokens = prompt_tokens(ask, body)[0]
        await exchange.answer({"object": "response.input_tokens", "input_tokens": tokens})

    async def compact(self, exchange: Exchange) -> None:
        """Answer ``POST /v1/responses/compact``; raises Refused."""
        body = read_body(exchange)
        check_compaction(body, strict=exchange.config.strict)
        items = expanded([*self._earlier(body), *input_items(body)])
        tokens = prompt_tokens(read_response(body, items, thinks=False), body)[0]
        name = request_id(exchange.data)
        value = {
            "id": f"resp_{name}",
            "object": "response.compaction",
            "created_at": int(clock.now().timestamp()),
            "output": compacted(items, name),
            "usage": shapes.usage(tokens, tokens // _COMPACTED_TO + 1, 0, 0),
        }
        await exchange.answer(value, usual_headers(name))

    def _earlier(self, body: Mapping[str, Any]) -> list[dict[str, Any]]:
        name = body.get("previous_response_id")
        if not name:
            return []
        stored = self.store.get(name)
        if stored is None:
            message = f"Previous response with id '{name}' not found."
            raise bad(message, code="previous_response_not_found", param="previous_response_id")
        return stored.items

    def _usage(self, ask: Ask, body: Mapping[str, Any], reply: Reply) -> dict[str, Any]:
        prompt, cached = prompt_tokens(ask, body, self._cache)
        return shapes.usage(prompt, *spent_on(reply), cached)


class _Events:
    """Sends one response as events; every event has the next sequence number."""

    def __init__(self, exchange: Exchange, begun: dict[str, Any], done: dict[str, Any]) -> None:
        self._begun = begun
        self._done = done
        self._number = -1
        output = objects(done["output"])
        count = sum(len(pieces(_said(item))) for item in output)
        self._stream = Stream(exchange, count)
        exchange.failure_of = self._failure

    async def run(self, headers: Mapping[str, str]) -> None:
        await self._stream.open({**EVENT_STREAM, **headers})
        await self._send("response.created", response=self._begun)
        await self._send("response.in_progress", response=self._begun)
        for at, item in enumerate(objects(self._done["output"])):
            await self._item(at, item)
        await self._stream.finish(self._frame(f"response.{self._done['status']}", response=self._done))

    async def _item(self, at: int, item: dict[str, Any]) -> None:
        place = {"item_id": item["id"], "output_index": at}
        match item["type"]:
            case "message":
                begun: dict[str, Any] = {**item, "status": "in_progress", "content": []}
                await self._send("response.output_item.added", output_index=at, item=begun)
                await self._message({**place, "content_index": 0}, item["content"][0])
            case "reasoning":
                begun = {**item, "summary": []}
                await self._send("response.output_item.added", output_index=at, item=begun)
                for index, part in enumerate(item["summary"]):
                    await self._summary({**place, "summary_index": index}, part)
            case kind:
                name, field = (
                    ("function_call_arguments", "arguments")
                    if kind == "function_call"
                    else ("custom_tool_call_input", "input")
                )
                begun = {**item, "status": "in_progress", field: ""}
                await self._send("response.output_item.added", output_index=at, item=begun)
                for piece in pieces(item[field]):
                    frame = self._frame(f"response.{name}.delta", **place, delta=piece)
                    await self._stream.content(frame, is_tool=True)
                await self._send(f"response.{name}.done", **place, **{field: item[field]})
        await self._send("response.output_item.done", output_index=at, item=item)

    async def _message(self, place: Mapping[str, Any], part: Mapping[str, Any]) -> None:
        await self._send("response.content_part.added", **place, part={**part, "text": ""})
        for piece in pieces(part["text"]):
            await self._stream.content(self._frame("response.output_text.delta", **place, delta=piece, logprobs=[]))
        await self._send("response.output_text.done", **place, text=part["text"], logprobs=[])
        await self._send("response.content_part.done", **place, part=part)

    async def _summary(self, place: Mapping[str, Any], part: Mapping[str, Any]) -> None:
        await self._send("response.reasoning_summary_part.added", **place, part={**part, "text": ""})
        for piece in pieces(part["text"]):
            await self._stream.content(self._frame("response.reasoning_summary_text.delta", **place, delta=piece))
        await self._send("response.reasoning_summary_text.done", **place, text=part["text"])
        await self._send("response.reasoning_summary_part.done", **place, part=part)

    async def _send(self, kind: str, **values: Any) -> None:
        await self._stream.send(self._frame(kind, **values))

    def _frame(self, kind: str, **values: Any) -> bytes:
        self._number += 1
        return named_event(kind, {"type": kind, "sequence_number": self._number, **values})

    def _failure(self, word: str) -> bytes:
        """Word a failure in mid-stream: an error event, then the response as failed."""
        self._number -= 1  # it comes instead of a frame that was made already
        error = refusal(word).value["error"]
        code = error["code"] if error["code"] in {"rate_limit_exceeded", "server_error"} else "server_error"
        failed = {**self._begun, "status": "failed", "error": {"code": code, "message": error["message"]}}
        about = {"code": code, "message": error["message"], "param": None}
        return self._frame("error", **about) + self._frame("response.failed", response=failed)


def _said(item: Mapping[str, Any]) -> str:
    match item["type"]:
        case "message":
            return item["content"][0]["text"]
        case "reasoning":
            return "".join(part["text"] for part in item["summary"])
        case _:
            return item.get("arguments") or item.get("input") or ""
