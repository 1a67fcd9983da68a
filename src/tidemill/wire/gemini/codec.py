"""Google Gemini as a codec."""

from collections.abc import Mapping, Sequence
from urllib.parse import quote

from tidemill.wire.canonical import Answer, Request
from tidemill.wire.canonical_fault import Fault
from tidemill.wire.canonical_parts import Dialect
from tidemill.wire.codec import Encoded, Reply, StreamDecoder, StreamEncoder, Target
from tidemill.wire.gemini import answer as answers
from tidemill.wire.gemini import errors
from tidemill.wire.gemini.request_in import decode_request
from tidemill.wire.gemini.request_out import encode_request
from tidemill.wire.gemini.stream_in import GeminiStreamDecoder
from tidemill.wire.gemini.stream_out import HEARTBEAT, GeminiStreamEncoder


def model_path(model: str) -> str:
    """Return a model's place below an upstream's root."""
    named = model if model.startswith(("models/", "tunedModels/")) else f"models/{model}"
    return "/" + quote(named, safe="/")


class Gemini:
    """The codec; it has no state, one serves all. Roots of upstreams end in /v1beta."""

    dialect = Dialect.GEMINI
    heartbeat = HEARTBEAT

    def path(self, model: str, *, stream: bool) -> str:
        """Return the path below an upstream's root; a stream is asked for as an event stream."""
        verb = "streamGenerateContent?alt=sse" if stream else "generateContent"
        return f"{model_path(model)}:{verb}"

    def headers(self, key: str) -> Sequence[tuple[str, str]]:
        """Return the header that carries ``key``."""
        return [("x-goog-api-key", key)]

    def decode_request(self, body: bytes, *, model: str | None = None, stream: bool | None = None) -> Request:
        """Read a client's request."""
        return decode_request(body, model=model, stream=stream)

    def encode_request(self, request: Request, target: Target) -> Encoded:
        """Write a request for an upstream, whose path names the model."""
        return encode_request(request, target)

    def decode_answer(self, body: bytes) -> Answer:
        """Read an upstream's whole answer."""
        return answers.decode_answer(body)

    def encode_answer(self, answer: Answer, reply: Reply) -> bytes:
        """Write a whole answer for a client."""
        return answers.encode_answer(answer, reply)

    def stream_decoder(self) -> StreamDecoder:
        """Return a reader for one stream."""
        return GeminiStreamDecoder()

    def stream_encoder(self, reply: Reply) -> StreamEncoder:
        """Return a writer for one stream."""
        return GeminiStreamEncoder(reply)

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> Fault:
        """Read an error answer."""
        return errors.decode_error(status, headers, body)

    def encode_error(self, fault: Fault, *, request_id: str = "") -> tuple[int, bytes]:
        """Return status and body of an error."""
        return errors.encode_error(fault, request_id=request_id)

    def error_frame(self, fault: Fault) -> bytes:
        """Return what ends a broken event stream."""
        return errors.error_frame(fault)
