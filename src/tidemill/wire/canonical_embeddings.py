"""Embeddings in no provider's dialect: texts go in, vectors of numbers come out in the same order."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import UNSET, Raw, Struct, UnsetType

from tidemill.wire.canonical import NO_EXTRAS
from tidemill.wire.canonical_parts import Dialect
from tidemill.wire.canonical_usage import Usage
from tidemill.wire.codec import Encoded

Tokens = tuple[int, ...]


class EmbeddingRequest(Struct, frozen=True, kw_only=True):
    """What shall be embedded. An input is a text, or its tokens for a model whose vocabulary the client knows.

    ``dimensions``: how long the vectors shall be. ``task`` and ``title`` in Gemini's words. ``base64``: the client
    wants vectors as base64 of 32-bit floats (OpenAI's SDKs do). ``single``: it asked for one and gets one, no list.
    """

    model: str
    dialect: Dialect
    inputs: tuple[str | Tokens, ...]
    dimensions: int | UnsetType = UNSET
    task: str | UnsetType = UNSET
    title: str | UnsetType = UNSET
    user: str | UnsetType = UNSET
    base64: bool = False
    single: bool = False
    extras: Mapping[str, Raw] = NO_EXTRAS


class EmbeddingAnswer(Struct, frozen=True, kw_only=True):
    """The vectors, one of each input in order."""

    model: str
    vectors: tuple[Sequence[float], ...]
    usage: Usage | UnsetType = UNSET


class EmbeddingCodec(Protocol):
    """Embeddings in one dialect, both ways; ``decode_*`` raise WireError and nothing else."""

    @property
    def dialect(self) -> Dialect:
        """Which one."""
        ...

    def path(self, model: str) -> str:
        """Return the path below an upstream's root."""
        ...

    def decode_request(self, body: bytes, *, model: str | None = None) -> EmbeddingRequest:
        """Read a client's request; ``model`` comes from the path where the dialect has it there."""
        ...

    def encode_request(self, request: EmbeddingRequest, model: str) -> Encoded:
        """Write a request for an upstream that calls the model ``model``; raises WireError for what it cannot take."""
        ...

    def decode_answer(self, body: bytes) -> EmbeddingAnswer:
        """Read an upstream's answer."""
        ...

    def encode_answer(self, answer: EmbeddingAnswer, request: EmbeddingRequest) -> bytes:
        """Write the answer to a client's ``request``."""
        ...
