"""OpenAI's routes, with and without ``/v1``."""

from collections.abc import Mapping

from tidemill.simulator.exchange import Exchange
from tidemill.simulator.face import Refusal, Refused, Route, Work
from tidemill.simulator.openai import errors
from tidemill.simulator.openai.chat import Chat
from tidemill.simulator.openai.media_routes import change_image, make_images, speak, transcribe
from tidemill.simulator.openai.texts import complete, list_models, make_embeddings, moderate, one_model, rerank
from tidemill.simulator.peek import model_in


class OpenAIFace:
    """OpenAI as a provider."""

    def __init__(self) -> None:
        routes: Mapping[str, Work] = {
            "/chat/completions": Chat().answer,
            "/completions": complete,
            "/embeddings": make_embeddings,
            "/images/generations": make_images,
            "/images/edits": change_image,
            "/images/variations": change_image,
            "/audio/speech": speak,
            "/audio/transcriptions": transcribe,
            "/audio/translations": transcribe,
            "/moderations": moderate,
            "/rerank": rerank,
        }
        self._routes = {name: Route(work, name) for name, work in routes.items()}

    def route(self, exchange: Exchange) -> Route | None:
        """Return how to answer, None for an address that OpenAI does not have."""
        name = exchange.path.removeprefix("/v1")
        if exchange.method == "POST":
            found = self._routes.get(name)
            if found is not None:
                exchange.model = model_in(exchange.data)
            return found
        return models_route(exchange, name)

    def key(self, exchange: Exchange) -> str:
        """Return the bearer token."""
        return bearer(exchange)

    def admit(self, exchange: Exchange) -> None:
        """Raise Refused for a wrong key."""
        check_key(exchange)

    def refusal(self, word: str, message: str = "", retry_after_s: float | None = None) -> Refusal:
        """Return OpenAI's error for a status or a kind of fault."""
        return errors.refusal(word, message, retry_after_s)

    def failure(self, word: str) -> bytes:
        """Return the same error as an event of a stream."""
        return errors.failure(word)


def models_route(exchange: Exchange, name: str) -> Route | None:
    """Return the route of the list of models or of one model."""
    if exchange.method != "GET":
        return None
    if name == "/models":
        return Route(list_models, name, is_light=True)
    if name.startswith("/models/"):
        exchange.model = name.removeprefix("/models/")
        return Route(one_model, "/models/{id}", is_light=True)
    return None


def bearer(exchange: Exchange) -> str:
    """Return the token of ``Authorization: Bearer …``, empty when there is none."""
    kind, _, token = exchange.header(b"authorization").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


def check_key(exchange: Exchange) -> None:
    """Raise Refused when a key is demanded and the client's is another or none."""
    if exchange.config.api_key and exchange.key != exchange.config.api_key:
        raise Refused(errors.refusal("auth"))
