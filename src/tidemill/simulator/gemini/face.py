"""Gemini's routes: methods of models, and the list of them."""

import re
from typing import Any

from tidemill.simulator.exchange import Exchange, encode
from tidemill.simulator.face import Refusal, Refused, Route
from tidemill.simulator.gemini import errors
from tidemill.simulator.gemini.embedding import embed_many, embed_one
from tidemill.simulator.gemini.generating import Generating

_ANY_MODEL = "simulator"
_PATH = re.compile(r"/(v1beta|v1alpha|v1)/(?:models|tunedModels)/([^/:]+)(?::(\w+))?")
_LIST = re.compile(r"/(v1beta|v1alpha|v1)/models")
_METHODS = ("generateContent", "streamGenerateContent", "countTokens", "embedContent", "batchEmbedContents")
_MOST_INPUT = 1_048_576
_MOST_OUTPUT = 65_536


class GeminiFace:
    """Google's Gemini API as a provider."""

    def __init__(self) -> None:
        generating = Generating()
        self._routes = {
            "generateContent": Route(generating.whole, ":generateContent"),
            "streamGenerateContent": Route(generating.stream, ":streamGenerateContent"),
            "countTokens": Route(generating.count, ":countTokens"),
            "embedContent": Route(embed_one, ":embedContent"),
            "batchEmbedContents": Route(embed_many, ":batchEmbedContents"),
        }

    def route(self, exchange: Exchange) -> Route | None:
        """Return how to answer, None for an address that Gemini does not have."""
        if exchange.method == "GET" and _LIST.fullmatch(exchange.path):
            return Route(_models, "/models", is_light=True)
        match = _PATH.fullmatch(exchange.path)
        if match is None:
            return None
        exchange.model = match[2]
        if exchange.method == "GET" and match[3] is None:
            return Route(_one_model, "/models/{id}", is_light=True)
        return self._routes.get(match[3] or "") if exchange.method == "POST" else None

    def key(self, exchange: Exchange) -> str:
        """Return ``x-goog-api-key``, else the query's ``key``."""
        return exchange.header(b"x-goog-api-key") or exchange.query("key")

    def admit(self, exchange: Exchange) -> None:
        """Raise Refused without a key or with a wrong one."""
        if not exchange.key and (exchange.config.strict or exchange.config.api_key):
            message = (
                "Method doesn't allow unregistered callers (callers without established identity). Please use API Key "
                "or other form of API consumer identity to call this API."
            )
            raise Refused(errors.refusal("403", message))
        if exchange.config.api_key and exchange.key != exchange.config.api_key:
            raise Refused(errors.refusal("auth"))

    def refusal(self, word: str, message: str = "", retry_after_s: float | None = None) -> Refusal:
        """Return Gemini's error for a status or a kind of fault."""
        return errors.refusal(word, message, retry_after_s)

    def failure(self, word: str) -> bytes:
        """Return the same error as an event; a stream that has begun words it in its own frames."""
        return b"data: " + encode(errors.refusal(word).value) + b"\r\n\r\n"


def _listed(exchange: Exchange) -> tuple[str, ...]:
    return exchange.config.models or (_ANY_MODEL,)


def _model(name: str) -> dict[str, Any]:
    return {
        "name": f"models/{name}",
        "version": "001",
        "displayName": name,
        "description": "A simulated model.",
        "inputTokenLimit": _MOST_INPUT,
        "outputTokenLimit": _MOST_OUTPUT,
        "supportedGenerationMethods": list(_METHODS),
        "temperature": 1,
        "topP": 0.95,
        "topK": 64,
        "maxTemperature": 2,
        "thinking": True,
    }


async def _models(exchange: Exchange) -> None:
    await exchange.json(200, {"models": [_model(name) for name in _listed(exchange)]})


async def _one_model(exchange: Exchange) -> None:
    if exchange.model not in _listed(exchange):
        raise errors.not_found(exchange.model, "getModel", exchange.path.split("/")[1])
    await exchange.json(200, _model(exchange.model))
