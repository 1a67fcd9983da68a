"""Answer generate-content requests whole, as a JSON array and as events; count tokens."""

import hashlib
from typing import Any, cast

import msgspec

from tidemill.simulator.ask import Ask, Reply
from tidemill.simulator.deciding import as_json, decide, spent_on
from tidemill.simulator.decoded import obj, objects
from tidemill.simulator.exchange import Exchange, encode
from tidemill.simulator.faults import content_faults
from tidemill.simulator.gemini import shapes
from tidemill.simulator.gemini.errors import bad, not_found, refusal
from tidemill.simulator.gemini.messages import COUNT, GENERATE
from tidemill.simulator.gemini.proto import Message
from tidemill.simulator.gemini.reading import read_generate
from tidemill.simulator.gemini.rules import check_request
from tidemill.simulator.prompt_cache import PromptCache
from tidemill.simulator.schema_values import SchemaRefused
from tidemill.simulator.streams import EVENT_STREAM, Stream, pieces
from tidemill.simulator.tokens import count_tokens

_MOST_CANDIDATES = 8
_TURN_TOKENS = 3
_FILE_TOKENS = 258
_CACHED_FROM = 1024
# These sign what they think unasked, and give each call of a function an id.
_NEWER_MODEL = "gemini-3"


def read_body(exchange: Exchange, message: Message, method: str) -> dict[str, Any]:
    """Decode a body into a known message for a model that is served; raises Refused."""
    version = exchange.path.split("/")[1]
    if exchange.config.models and exchange.model not in exchange.config.models:
        raise not_found(exchange.model, method, version)
    try:
        given = msgspec.json.decode(exchange.data or b"{}")
        return message(given, "")
    except (msgspec.DecodeError, RecursionError) as problem:
        raise bad(f"Invalid JSON payload received. {problem}") from None


class Generating:
    """Generates content; knows earlier prompts only to name cached tokens."""

    def __init__(self) -> None:
        self._cache = PromptCache()

    async def whole(self, exchange: Exchange) -> None:
        """Answer ``:generateContent``; raises Refused."""
        answer = self._answer(exchange, "generateContent")
        if (blocked := answer.blocked()) is not None:
            await exchange.answer(blocked)
            return
        candidates = [answer.candidate(index, reply) for index, reply in enumerate(answer.replies)]
        await exchange.answer({"candidates": candidates, **answer.tail(answer.used)})

    async def stream(self, exchange: Exchange) -> None:
        """Answer ``:streamGenerateContent``, as events with ``alt=sse``, else as a JSON array; raises Refused."""
        answer = self._answer(exchange, "streamGenerateContent")
        is_sse = exchange.query("alt") == "sse"
        frames = _EventFrames() if is_sse else _ArrayFrames()
        exchange.failure_of = lambda word: frames.frame(refusal(word).value) + frames.end
        headers = EVENT_STREAM if is_sse else {"content-type": "application/json; charset=UTF-8"}
        blocked = answer.blocked()
        chunks = [blocked] if blocked is not None else answer.chunks()
        stream = Stream(exchange, len(chunks))
        await stream.open(headers)
        for chunk in chunks[:-1]:
            is_tool = "functionCall" in chunk["candidates"][0]["content"]["parts"][0]
            await stream.content(frames.frame(chunk), is_tool=is_tool)
        await stream.finish(frames.frame(chunks[-1]) + frames.end)

    async def count(self, exchange: Exchange) -> None:
        """Answer ``:countTokens``; raises Refused."""
        body = read_body(exchange, COUNT, "countTokens")
        inner = obj(body.get("generateContentRequest")) or body
        check_request(inner, "")
        tokens = sum(size for _, size in _sizes(read_generate(inner, thinks=False), inner))
        details = [{"modality": "TEXT", "tokenCount": tokens}]
        await exchange.answer({"totalTokens": tokens, "promptTokensDetails": details})

    def _answer(self, exchange: Exchange, method: str) -> "_Answer":
        config = exchange.config
        body = read_body(exchange, GENERATE, method)
        check_request(body, exchange.model)
        ask = read_generate(body, thinks=config.thinks)
        generation = obj(body.get("generationConfig"))
        faults = content_faults(exchange.plan)
        count = min(generation.get("candidateCount") or 1, _MOST_CANDIDATES)
        try:
            replies = [
                decide(ask, seed=config.seed, low_share=config.low_share, faults=faults, index=index)
                for index in range(count)
            ]
        except SchemaRefused as problem:
            raise bad(f"* GenerateContentRequest.generation_config.response_schema: {problem}\n") from None
        return _Answer(exchange, body, replies, *self._prompt(ask, body, exchange.model))

    def _prompt(self, ask: Ask, body: dict[str, Any], model: str) -> tuple[int, int]:
        sizes = _sizes(ask, body)
        total = sum(size for _, size in sizes)
        if total < _CACHED_FROM:
            return total, 0
        so_far, parts = 0, list[tuple[str, int]]()
        for text, size in sizes:
            so_far += size
            parts.append((text, so_far))
        known, _ = self._cache.read(parts, model)
        return total, known if known >= _CACHED_FROM else 0


class _Answer:
    """The replies to one request in Gemini's shapes."""

    def __init__(
        self, exchange: Exchange, body: dict[str, Any], replies: list[Reply], prompt: int, cached: int
    ) -> None:
        self.replies = replies
        self._exchange = exchange
        self._prompt = prompt
        self._cached = cached
        thinking = obj(obj(body.get("generationConfig")).get("thinkingConfig"))
        is_newer = exchange.model.startswith(_NEWER_MODEL)
        self._shape = {
            "shows_thoughts": thinking.get("includeThoughts") is True or exchange.config.thinks,
            "is_signed": bool(thinking) or is_newer,
            "has_ids": is_newer,
        }
        spent = [spent_on(reply) for reply in replies]
        self.used = shapes.usage(prompt, sum(said for said, _ in spent), sum(thought for _, thought in spent), cached)

    def tail(self, used: dict[str, Any]) -> dict[str, Any]:
        name = hashlib.blake2b(self._exchange.data, digest_size=11).hexdigest()
        tail: dict[str, Any] = {"modelVersion": self._exchange.model, "responseId": name}
        return tail if "no-usage" in self._exchange.plan else {"usageMetadata": used, **tail}

    def blocked(self) -> dict[str, Any] | None:
        """Return the answer to a prompt that the filter stopped, None when it did not."""
        fault = self._exchange.plan.get("blocked")
        if fault is None or fault.at != "prompt":
            return None
        feedback = {"blockReason": "SAFETY", "safetyRatings": shapes.ratings(blocked=True)}
        used = {"promptTokenCount": self._prompt, "totalTokenCount": self._prompt}
        return {"promptFeedback": feedback, **self.tail(used)}

    def candidate(self, index: int, reply: Reply) -> dict[str, Any]:
        parts = shapes.parts_of(reply, **self._shape)
        return shapes.candidate(index, parts, shapes.FINISH[reply.finish])

    def chunks(self) -> list[dict[str, Any]]:
        """Return the whole stream: every chunk a response of its own, with the usage so far."""
        out: list[dict[str, Any]] = []
        said = 0
        for index, reply in enumerate(self.replies):
            parts = self._pieces(reply)
            for at, part in enumerate(parts):
                is_last = at == len(parts) - 1
                said += 0 if part.get("thought") else count_tokens(str(part.get("text", part)))
                used = shapes.usage(self._prompt, said, self.used.get("thoughtsTokenCount", 0), self._cached)
                is_end = is_last and index == len(self.replies) - 1
                finish = shapes.FINISH[reply.finish] if is_last else None
                chunk = {"candidates": [shapes.candidate(index, [part], finish)]}
                out.append({**chunk, **self.tail(self.used if is_end else used)})
        return out

    def _pieces(self, reply: Reply) -> list[dict[str, Any]]:
        whole = shapes.parts_of(reply, **self._shape)
        out: list[dict[str, Any]] = []
        for part in whole:
            if "functionCall" in part:
                out.append(part)
                continue
            text = pieces(part["text"]) or [""]
            bare = {name: value for name, value in part.items() if name != "thoughtSignature"}
            out += [{**bare, "text": piece} for piece in text[:-1]]
            out.append({**part, "text": text[-1]})
        return out


class _EventFrames:
    """Server-sent events; Google ends their lines with CR LF."""

    end = b""

    def frame(self, value: Any) -> bytes:
        return b"data: " + encode(value) + b"\r\n\r\n"


class _ArrayFrames:
    """Elements of one JSON array."""

    end = b"]\n"

    def __init__(self) -> None:
        self._joint = b"["

    def frame(self, value: Any) -> bytes:
        joint, self._joint = self._joint, b",\r\n"
        return joint + encode(value)


def _sizes(ask: Ask, body: dict[str, Any]) -> list[tuple[str, int]]:
    """Return the texts of a prompt with their tokens: the tools first, then turn by turn."""
    sizes: list[tuple[str, int]] = []
    if tools := objects(body.get("tools")):
        told = as_json(cast("Any", tools))
        sizes.append((told, count_tokens(told)))
    for turn in ask.turns:
        calls = "".join(f"{call.name}{as_json(call.arguments)}" for call in turn.calls)
        tokens = _TURN_TOKENS + count_tokens(turn.text) + count_tokens(calls) + _FILE_TOKENS * len(turn.media)
        sizes.append((f"{turn.role}:{turn.text}{calls}", tokens))
    return sizes
