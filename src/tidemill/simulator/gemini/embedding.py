"""Answer Gemini's embedding routes."""

from collections.abc import Mapping
from typing import Any

from tidemill.simulator.decoded import obj, objects, string
from tidemill.simulator.exchange import Exchange
from tidemill.simulator.gemini.errors import bad
from tidemill.simulator.gemini.generating import read_body
from tidemill.simulator.gemini.messages import EMBED, EMBED_MANY
from tidemill.simulator.vectors import embed

_MOST_DIMENSIONS = 4096
_MOST_REQUESTS = 100


async def embed_one(exchange: Exchange) -> None:
    """Answer ``:embedContent``; raises Refused."""
    body = read_body(exchange, EMBED, "embedContent")
    await exchange.answer({"embedding": _embedding(exchange, body, "EmbedContentRequest")})


async def embed_many(exchange: Exchange) -> None:
    """Answer ``:batchEmbedContents``; raises Refused."""
    requests = objects(read_body(exchange, EMBED_MANY, "batchEmbedContents").get("requests"))
    if not requests:
        raise bad("* BatchEmbedContentsRequest.requests: at least one request is required\n")
    if len(requests) > _MOST_REQUESTS:
        raise bad("* BatchEmbedContentsRequest.requests: at most 100 requests can be in one batch\n")
    for at, request in enumerate(requests):
        if request.get("model") != f"models/{exchange.model}":
            raise bad(
                f"* BatchEmbedContentsRequest.requests[{at}].model: must match the model in the URL path: "
                f"models/{exchange.model}\n"
            )
    name = "BatchEmbedContentsRequest.requests"
    embeddings = [_embedding(exchange, request, f"{name}[{at}]") for at, request in enumerate(requests)]
    await exchange.answer({"embeddings": embeddings})


def _embedding(exchange: Exchange, request: Mapping[str, Any], where: str) -> dict[str, Any]:
    parts = objects(obj(request.get("content")).get("parts"))
    text = "\n".join(string(part.get("text")) for part in parts)
    if not text:
        raise bad(f"* {where}.content: content is empty\n")
    dimensions = request.get("outputDimensionality") or exchange.config.dimensions
    if not 1 <= dimensions <= _MOST_DIMENSIONS:
        raise bad(f"* {where}.output_dimensionality: must be between 1 and {_MOST_DIMENSIONS}\n")
    return {"values": embed(text, dimensions)}
