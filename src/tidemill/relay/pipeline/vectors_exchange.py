"""A try of an embedding between OpenAI's protocol and Gemini's, and of a count of tokens."""

import base64
import struct
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from tidemill.relay.errors import RequestUnreadable, UpstreamFailed
from tidemill.relay.pipeline.exchange import Exchange
from tidemill.relay.snapshot import Channel
from tidemill.relay.upstreams.port import Errand, UpstreamAnswer, Upstreams
from tidemill.relay.upstreams.request import headers_for, prepare
from tidemill.wire.canonical_parts import Dialect
from tidemill.wire.codecs import codec_of
from tidemill.wire.openai_chat import read_answer, read_usage

_MANY = "batchEmbedContents"


class _Asked(Struct, frozen=True):
    """OpenAI's request, as far as Gemini has words for it."""

    input: str | list[str]
    dimensions: int | UnsetType | None = UNSET
    encoding_format: str | UnsetType | None = UNSET


class _Part(Struct, frozen=True):
    text: str = ""


class _Content(Struct, frozen=True):
    parts: list[_Part] = []


class _OneAsked(Struct, frozen=True, rename="camel"):
    """Gemini's request for one text."""

    content: _Content
    output_dimensionality: int | UnsetType | None = UNSET


class _ManyAsked(Struct, frozen=True):
    requests: list[_OneAsked]


class _Values(Struct, frozen=True):
    values: list[float]


class _GeminiAnswer(Struct, frozen=True):
    embeddings: list[_Values]


class _Vector(Struct, frozen=True):
    embedding: list[float]
    index: int = 0


class _OpenAIAnswer(Struct, frozen=True):
    data: list[_Vector]


class EmbeddingExchange(Exchange):
    """OpenAI's ``/embeddings`` on one side, Gemini's ``embedContent`` and ``batchEmbedContents`` on the other."""

    async def _errand(self, root: str, key: str | None) -> Errand:
        ask, channel = self._ask, self._channel
        model = channel.models.get(ask.model, ask.model)
        headers = headers_for(ask, channel, key)
        if channel.preset.dialect is Dialect.GEMINI:
            path = codec_of(Dialect.GEMINI).path(model, stream=False).rpartition(":")[0]
            body = self._for_gemini(model)
            return Errand(channel.id, f"{root}{path}:{_MANY}", headers, body)
        there = msgspec.structs.replace(ask, dialect=Dialect.OPENAI_CHAT, endpoint="/embeddings", body={}, raw=None)
        errand = prepare(there, channel, root, key)
        return msgspec.structs.replace(errand, body=self._for_openai(model))

    def _for_gemini(self, model: str) -> bytes:
        try:
            asked = msgspec.json.decode(self._ask.data, type=_Asked)
        except msgspec.MsgspecError:
            raise RequestUnreadable.because("input must be a text or a list of texts for this model", "input") from None
        dimensions = asked.dimensions or UNSET
        named = f"models/{model.removeprefix('models/')}"
        texts = [asked.input] if isinstance(asked.input, str) else asked.input
        requests: list[dict[str, Any]] = []
        for text in texts:
            request: dict[str, Any] = {"model": named, "content": {"parts": [{"text": text}]}}
            if dimensions is not UNSET:
                request["outputDimensionality"] = dimensions
            requests.append(request)
        return msgspec.json.encode({"requests": requests})

    def _for_openai(self, model: str) -> bytes:
        many = self._ask.endpoint == _MANY
        try:
            asked = msgspec.json.decode(self._ask.data, type=_ManyAsked if many else _OneAsked)
        except msgspec.MsgspecError:
            field = "requests" if many else "content"
            raise RequestUnreadable.because(f"{field} must hold texts for this model", field) from None
        items = asked.requests if isinstance(asked, _ManyAsked) else [asked]
        texts = ["".join(part.text for part in item.content.parts) for item in items]
        fields: dict[str, Any] = {"model": model, "input": texts, "encoding_format": "float"}
        dimensions = items[0].output_dimensionality if items else UNSET
        if dimensions:
            fields["dimensions"] = dimensions
        return msgspec.json.encode(fields)

    async def _plain(self, answer: UpstreamAnswer) -> None:
        body = await self._whole(answer)
        self._record.upstream_spoke = True
        try:
            out = self._to_openai(body) if self._ask.dialect is Dialect.OPENAI_CHAT else self._to_gemini(body)
        except msgspec.MsgspecError:
            self._record.upstream_spoke = False
            raise UpstreamFailed("the answer holds no embeddings", upstream_status=answer.status) from None
        await self._send_whole(out)

    async def _stream(self, answer: UpstreamAnswer, first_due: float) -> None:
        del first_due
        await self._plain(answer)

    def _to_openai(self, body: bytes) -> bytes:
        vectors = msgspec.json.decode(body, type=_GeminiAnswer).embeddings
        packed = msgspec.json.decode(self._ask.data, type=_Asked).encoding_format == "base64"
        data = [
            {"object": "embedding", "index": index, "embedding": _packed(item.values) if packed else item.values}
            for index, item in enumerate(vectors)
        ]
        tokens = self._ask.estimated_tokens()  # Gemini tells none
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return msgspec.json.encode({"object": "list", "data": data, "model": self._ask.model, "usage": usage})

    def _to_gemini(self, body: bytes) -> bytes:
        vectors = sorted(msgspec.json.decode(body, type=_OpenAIAnswer).data, key=lambda item: item.index)
        seen = read_answer(body)
        if seen is not None:
            self._record.usage = read_usage(seen.usage)
            self._record.usage_raw = bytes(memoryview(seen.usage)) if self._record.usage is not None else None
        values = [{"values": item.embedding} for item in vectors]
        if self._ask.endpoint == _MANY:
            return msgspec.json.encode({"embeddings": values})
        return msgspec.json.encode({"embedding": values[0] if values else {"values": []}})


def _packed(values: Sequence[float]) -> str:
    """Return a vector as OpenAI packs it: 32-bit floats, little-endian, in base64."""
    return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode()


class CountExchange(Exchange):
    """How many tokens a request holds: as its provider counts where that speaks the client's protocol, else estimated.

    Nothing is generated, so nothing is billed; an estimate says so in ``x-gateway-estimated``.
    """

    async def run(self, upstreams: Upstreams, root: str, key: str | None) -> None:
        """Ask the service where it has such a call."""
        if _counts(self._channel, self._ask.dialect):
            await super().run(upstreams, root, key)
            return
        tokens = self._ask.estimated_tokens()
        self._ask.request()  # what cannot be read is refused, not counted as nothing
        body = msgspec.json.encode(_count_of(self._ask.dialect, tokens))
        self._record.settle()
        headers = self._headers([(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))])
        await self._sink.start(200, [*headers, (b"x-gateway-estimated", b"true")])
        await self._sink.end(body)

    async def _plain(self, answer: UpstreamAnswer) -> None:
        body = await self._whole(answer)
        try:
            fields = msgspec.json.decode(body, type=dict[str, Raw])
        except msgspec.MsgspecError:
            raise UpstreamFailed("the answer is not JSON", upstream_status=answer.status) from None
        if "error" in fields:
            raise UpstreamFailed("the service could not count", upstream_status=answer.status)
        await self._send_whole(body)

    async def _stream(self, answer: UpstreamAnswer, first_due: float) -> None:
        del first_due
        await self._plain(answer)


def _count_of(dialect: Dialect, tokens: int) -> dict[str, Any]:
    match dialect:
        case Dialect.GEMINI:
            return {"totalTokens": tokens}
        case Dialect.OPENAI_RESPONSES:
            return {"object": "response.input_tokens", "input_tokens": tokens}
        case _:
            return {"input_tokens": tokens}


def _counts(channel: Channel, dialect: Dialect) -> bool:
    return channel.preset.dialect is dialect
