"""Anthropic's routes: messages, token counts, models."""

from typing import Any

from tidemill.simulator.anthropic import errors
from tidemill.simulator.anthropic.messages import Messages
from tidemill.simulator.exchange import Exchange
from tidemill.simulator.face import Refusal, Refused, Route
from tidemill.simulator.openai.face import bearer
from tidemill.simulator.peek import model_in

_ANY_MODEL = "simulator"
_MOST_INPUT = 200_000
_MOST_OUTPUT = 64_000


class AnthropicFace:
    """Anthropic as a provider."""

    def __init__(self) -> None:
        messages = Messages()
        self._routes = {
            "/v1/messages": Route(messages.create, "/messages"),
            "/v1/messages/count_tokens": Route(messages.count, "/messages/count_tokens"),
        }

    def route(self, exchange: Exchange) -> Route | None:
        """Return how to answer, None for an address that Anthropic does not have."""
        if exchange.method == "POST":
            found = self._routes.get(exchange.path)
            if found is not None:
                exchange.model = model_in(exchange.data)
            return found
        if exchange.method == "GET" and exchange.path == "/v1/models":
            return Route(_models, "/models", is_light=True)
        if exchange.method == "GET" and exchange.path.startswith("/v1/models/"):
            exchange.model = exchange.path.removeprefix("/v1/models/")
            return Route(_one_model, "/models/{id}", is_light=True)
        return None

    def key(self, exchange: Exchange) -> str:
        """Return ``x-api-key``, else the bearer token."""
        return exchange.header(b"x-api-key") or bearer(exchange)

    def admit(self, exchange: Exchange) -> None:
        """Raise Refused without a key, with a wrong one, or without a version."""
        if exchange.config.strict:
            errors.check_headers(exchange)
        if exchange.config.api_key and exchange.key != exchange.config.api_key:
            raise Refused(errors.refusal("auth"))

    def refusal(self, word: str, message: str = "", retry_after_s: float | None = None) -> Refusal:
        """Return Anthropic's error for a status or a kind of fault."""
        return errors.refusal(word, message, retry_after_s)

    def failure(self, word: str) -> bytes:
        """Return the same error as an event of a stream."""
        return errors.failure(word)


def _listed(exchange: Exchange) -> tuple[str, ...]:
    return exchange.config.models or (_ANY_MODEL,)


def _model(name: str) -> dict[str, Any]:
    return {
        "type": "model",
        "id": name,
        "display_name": name,
        "created_at": "2026-01-01T00:00:00Z",
        "lifecycle": "active",
        "max_input_tokens": _MOST_INPUT,
        "max_tokens": _MOST_OUTPUT,
    }


async def _models(exchange: Exchange) -> None:
    names = _listed(exchange)
    data = [_model(name) for name in names]
    await exchange.json(200, {"data": data, "has_more": False, "first_id": names[0], "last_id": names[-1]})


async def _one_model(exchange: Exchange) -> None:
    if exchange.model not in _listed(exchange):
        raise Refused(errors.refusal("404", f"model: {exchange.model}"))
    await exchange.json(200, _model(exchange.model))
