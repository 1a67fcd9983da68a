"""Answer the small text routes: completions, embeddings, moderations, rerank, models."""

import re
from collections.abc import Mapping
from typing import Any, cast

from tidemill.kernel import clock
from tidemill.simulator.ask import Ask, Reply, Turn
from tidemill.simulator.checks import (
    Check,
    Problem,
    anything,
    fields,
    flag,
    list_of,
    null_or,
    number,
    one_of,
    text,
    text_or,
    whole,
)
from tidemill.simulator.deciding import decide, spent_on
from tidemill.simulator.exchange import Exchange
from tidemill.simulator.faults import content_faults
from tidemill.simulator.openai import shapes
from tidemill.simulator.openai.chat import read_body, request_id
from tidemill.simulator.openai.errors import bad, broken_rule, unknown_model, usual_headers
from tidemill.simulator.streams import EVENT_STREAM, Stream, event, pieces
from tidemill.simulator.tokens import count_tokens
from tidemill.simulator.vectors import as_base64, embed

ANY_MODEL = "simulator"
"""Listed when every name is accepted."""

_MOST_CHOICES = 16
_USUAL_MAX_TOKENS = 16  # what the completions route gives to who names no limit
_MOST_INPUTS = 2048
_RERANK_DIMENSIONS = 256
_FLAGGED = re.compile(r"\b(?:kill|murder|bomb|attack|violen\w*)\b|杀|炸弹|暴力", re.IGNORECASE)
_CATEGORIES = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)

_COMPLETION: Check = fields(
    {"model": text(1), "prompt": anything},
    {
        "best_of": null_or(whole(0, 20)),
        "echo": null_or(flag),
        "frequency_penalty": null_or(number(-2, 2)),
        "logit_bias": anything,
        "logprobs": null_or(whole(0, 5)),
        "max_tokens": null_or(whole(0)),
        "n": null_or(whole(1, 128)),
        "presence_penalty": null_or(number(-2, 2)),
        "seed": null_or(whole(-(2**63), 2**63 - 1)),
        "stop": null_or(text_or(list_of(text(), most=4))),
        "stream": null_or(flag),
        "stream_options": null_or(fields({}, {"include_usage": flag, "include_obfuscation": flag})),
        "suffix": null_or(text()),
        "temperature": null_or(number(0, 2)),
        "top_p": null_or(number(0, 1)),
        "user": text(),
    },
)
_EMBEDDING: Check = fields(
    {"model": text(1), "input": anything},
    {"dimensions": whole(1, 4096), "encoding_format": one_of("float", "base64"), "user": text()},
)
_MODERATION: Check = fields({"input": anything}, {"model": null_or(text(1))})
_RERANK: Check = fields(
    {"model": text(1), "query": text(1), "documents": list_of(text_or(fields({"text": text()}, {})), least=1)},
    {"top_n": null_or(whole(1)), "return_documents": null_or(flag), "max_tokens_per_doc": null_or(whole(1))},
)


def check(exchange: Exchange, rule: Check, body: dict[str, Any]) -> dict[str, Any]:
    """Return the body when it keeps the rule; raises Refused in OpenAI's words."""
    try:
        rule(body, exchange.config.strict)
    except Problem as problem:
        raise broken_rule(problem) from None
    return body


async def list_models(exchange: Exchange) -> None:
    """Answer ``GET /v1/models``."""
    await exchange.json(
        200, {"object": "list", "data": [_model(name) for name in exchange.config.models or (ANY_MODEL,)]}
    )


async def one_model(exchange: Exchange) -> None:
    """Answer ``GET /v1/models/{id}``; raises Refused for a model that is not listed."""
    if exchange.model not in (exchange.config.models or (ANY_MODEL,)):
        raise unknown_model(exchange.model)
    await exchange.json(200, _model(exchange.model))


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "simulator"}


async def complete(exchange: Exchange) -> None:
    """Answer ``POST /v1/completions``: prose that follows the prompt; raises Refused."""
    body = check(exchange, _COMPLETION, read_body(exchange))
    prompts = _texts(body.get("prompt"), "prompt")
    stop = body.get("stop")
    limit = body.get("max_tokens")
    faults = content_faults(exchange.plan)
    replies: list[tuple[str, Reply]] = []
    for prompt in prompts:
        ask = Ask(
            [Turn("user", prompt)],
            max_tokens=_USUAL_MAX_TOKENS if limit is None else limit,
            stops=(stop,) if isinstance(stop, str) and stop else tuple(stop or ()),
            seed=body.get("seed"),
        )
        for index in range(min(body.get("n") or 1, _MOST_CHOICES)):
            reply = decide(ask, seed=exchange.config.seed, faults=faults, index=index)
            replies.append((prompt if body.get("echo") else "", reply))
    used = shapes.usage(
        sum(count_tokens(prompt) for prompt in prompts), sum(spent_on(reply)[0] for _, reply in replies)
    )
    name = request_id(exchange.data)
    head = {
        "id": f"cmpl-{name}",
        "object": "text_completion",
        "created": int(clock.now().timestamp()),
        "model": body["model"],
        "system_fingerprint": "fp_simulated",
    }
    with_logs = body.get("logprobs") is not None
    if body.get("stream") is True:
        await _stream_completion(exchange, body, head, replies, used)
        return
    choices = [
        _choice(index, echo + reply.text, shapes.FINISH[reply.finish], with_logs=with_logs)
        for index, (echo, reply) in enumerate(replies)
    ]
    await exchange.answer({**head, "choices": choices, "usage": used}, usual_headers(name))


async def _stream_completion(
    exchange: Exchange,
    body: Mapping[str, Any],
    head: Mapping[str, Any],
    replies: list[tuple[str, Reply]],
    used: Mapping[str, Any],
) -> None:
    options = cast("dict[str, Any]", body.get("stream_options") or {})
    frame = {**head, **({"usage": None} if options.get("include_usage") else {})}
    with_logs = body.get("logprobs") is not None
    texts = [pieces(echo + reply.text) for echo, reply in replies]
    stream = Stream(exchange, sum(len(parts) for parts in texts))
    await stream.open({**EVENT_STREAM, **usual_headers(str(head["id"])[5:])})
    for index, parts in enumerate(texts):
        for piece in parts:
            await stream.content(event({**frame, "choices": [_choice(index, piece, None, with_logs=with_logs)]}))
        finish = shapes.FINISH[replies[index][1].finish]
        await stream.send(event({**frame, "choices": [_choice(index, "", finish, with_logs=False)]}))
    if "usage" in frame and "no-usage" not in exchange.plan:
        await stream.send(event({**frame, "choices": [], "usage": used}))
    await stream.finish(b"data: [DONE]\n\n")


def _choice(index: int, said: str, finish: str | None, *, with_logs: bool) -> dict[str, Any]:
    logs = None
    if with_logs:
        tokens = pieces(said)
        offsets = [sum(len(token) for token in tokens[:at]) for at in range(len(tokens))]
        logs = {
            "tokens": tokens,
            "token_logprobs": [-0.125] * len(tokens),
            "top_logprobs": [{token: -0.125} for token in tokens],
            "text_offset": offsets,
        }
    return {"index": index, "text": said, "logprobs": logs, "finish_reason": finish}


async def make_embeddings(exchange: Exchange) -> None:
    """Answer ``POST /v1/embeddings``; raises Refused."""
    body = check(exchange, _EMBEDDING, read_body(exchange))
    texts = _texts(body.get("input"), "input")
    dimensions = body.get("dimensions") or exchange.config.dimensions
    is_packed = body.get("encoding_format") == "base64"
    tokens = sum(count_tokens(part) for part in texts)
    data = [
        {"object": "embedding", "index": index, "embedding": as_base64(vector) if is_packed else vector}
        for index, vector in enumerate(embed(part, dimensions) for part in texts)
    ]
    value = {
        "object": "list",
        "data": data,
        "model": body["model"],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }
    await exchange.answer(value, usual_headers(request_id(exchange.data)))


def _texts(given: Any, name: str) -> list[str]:
    """Read a text, texts, a text as token numbers, or several of those."""
    items = cast("list[Any]", given) if isinstance(given, list) else [given]
    if items and all(isinstance(item, int) and not isinstance(item, bool) for item in items):
        items = [items]  # one text as token numbers
    texts: list[str] = []
    for item in items:
        if isinstance(item, str) and item:
            texts.append(item)
        elif isinstance(item, list) and item and all(isinstance(token, int) for token in cast("list[Any]", item)):
            texts.append(" ".join(str(token) for token in cast("list[Any]", item)))
        else:
            raise bad(f"'{name}' must be a text, or a list of texts that are not empty.", param=name)
    if not texts:
        raise bad(f"'{name}' must not be empty.", param=name)
    if len(texts) > _MOST_INPUTS:
        raise bad(f"'{name}' must hold {_MOST_INPUTS} texts at most.", param=name)
    return texts


async def moderate(exchange: Exchange) -> None:
    """Answer ``POST /v1/moderations``: words of violence are flagged; raises Refused."""
    body = check(exchange, _MODERATION, read_body(exchange, "omni-moderation-latest"))
    given = body["input"]
    if isinstance(given, list) and all(isinstance(part, dict) for part in cast("list[Any]", given)):
        parts = cast("list[dict[str, Any]]", given)
        texts = [" ".join(str(part.get("text") or "") for part in parts) or " "]
    else:
        texts = _texts(given, "input")
    value = {
        "id": f"modr-{request_id(exchange.data)}",
        "model": body["model"],
        "results": [_verdict(part) for part in texts],
    }
    await exchange.answer(value, usual_headers(request_id(exchange.data)))


def _verdict(said: str) -> dict[str, Any]:
    flagged = bool(_FLAGGED.search(said))
    hits = {"violence"} if flagged else set[str]()
    return {
        "flagged": flagged,
        "categories": {name: name in hits for name in _CATEGORIES},
        "category_scores": {name: 0.97 if name in hits else 0.0001 for name in _CATEGORIES},
        "category_applied_input_types": {name: ["text"] for name in _CATEGORIES},
    }


async def rerank(exchange: Exchange) -> None:
    """Answer ``POST /v1/rerank`` in the shape that Jina and Cohere share; raises Refused."""
    body = check(exchange, _RERANK, read_body(exchange))
    texts = [doc if isinstance(doc, str) else doc["text"] for doc in cast("list[Any]", body["documents"])]
    query = embed(body["query"], _RERANK_DIMENSIONS)
    scores = [
        (1 + sum(a * b for a, b in zip(query, embed(part, _RERANK_DIMENSIONS), strict=True))) / 2 for part in texts
    ]
    ranked = sorted(range(len(texts)), key=lambda at: -scores[at])[: body.get("top_n") or len(texts)]
    tokens = count_tokens(body["query"]) * len(texts) + sum(count_tokens(part) for part in texts)
    name = request_id(exchange.data)
    value = {
        "id": f"rerank-{name}",
        "model": body["model"],
        "object": "list",
        "results": [
            {
                "index": at,
                "relevance_score": round(scores[at], 6),
                **({"document": {"text": texts[at]}} if body.get("return_documents") else {}),
            }
            for at in ranked
        ],
        "usage": {"total_tokens": tokens, "prompt_tokens": tokens},
        "meta": {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}},
    }
    await exchange.answer(value, usual_headers(name))
