"""Choose the protocol face that answers a request, among those that this simulator was told to show."""

from tidemill.simulator.anthropic.face import AnthropicFace
from tidemill.simulator.config import SimulatorConfig
from tidemill.simulator.exchange import Exchange
from tidemill.simulator.face import Face
from tidemill.simulator.gemini.face import GeminiFace
from tidemill.simulator.openai.face import OpenAIFace
from tidemill.simulator.responses.face import ResponsesFace


class Faces:
    """The faces of one simulator. Addresses tell them apart; the list of models goes by the headers."""

    def __init__(self, config: SimulatorConfig) -> None:
        self._shown: dict[str, Face] = {name: _face(name, config) for name in config.protocols}
        self._first = self._shown[config.protocols[0]]

    def of(self, exchange: Exchange) -> Face:
        """Return the face for a request; an address that no shown face has goes to the first one, to refuse it."""
        if len(self._shown) == 1:
            return self._first
        return self._shown.get(_protocol(exchange), self._first)


def _face(name: str, config: SimulatorConfig) -> Face:
    match name:
        case "anthropic":
            return AnthropicFace()
        case "gemini":
            return GeminiFace()
        case "responses":
            return ResponsesFace(config.keep_responses)
        case _:
            return OpenAIFace()


def _protocol(exchange: Exchange) -> str:
    path = exchange.path
    if path.startswith(("/v1beta/", "/v1alpha/")) or ":" in path:
        return "gemini"
    route = path.removeprefix("/v1")
    if route.startswith("/messages") or (route.startswith("/models") and exchange.header(b"anthropic-version")):
        return "anthropic"
    return "responses" if route.startswith("/responses") else "openai"
