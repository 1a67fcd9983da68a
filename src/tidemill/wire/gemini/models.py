"""Gemini's list of models."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from tidemill.wire.canonical_fault import WireError, bad_answer
from tidemill.wire.canonical_json import encode, read_answer
from tidemill.wire.gemini.errors import read_fault

CHAT_METHODS = ("generateContent", "streamGenerateContent", "countTokens")
EMBEDDING_METHODS = ("embedContent", "batchEmbedContents", "countTokens")

_PREFIX = "models/"


class ModelCard(Struct, frozen=True, rename="camel"):
    """One model as ``/v1beta/models`` shows it; ``name`` begins with ``models/``. Limits in tokens."""

    name: str
    display_name: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    version: str | UnsetType = UNSET
    input_token_limit: int | UnsetType = UNSET
    output_token_limit: int | UnsetType = UNSET
    supported_generation_methods: Sequence[str] = CHAT_METHODS


class ModelList(Struct, frozen=True, rename="camel"):
    """A page of them; ``next_page_token`` asks for the next one."""

    models: list[ModelCard]
    next_page_token: str | UnsetType = UNSET


class _CardIn(Struct, frozen=True):
    name: str = ""


class _ListIn(Struct, frozen=True):
    models: list[_CardIn] | None = None
    error: Any = None


_lists = msgspec.json.Decoder(_ListIn)


def card(model: str, methods: Sequence[str] = CHAT_METHODS) -> ModelCard:
    """Return the card of a model by its public name."""
    return ModelCard(_PREFIX + model, model, version="1", supported_generation_methods=methods)


def encode_list(cards: list[ModelCard], next_page_token: str | UnsetType = UNSET) -> bytes:
    """Return the body of ``GET /v1beta/models``."""
    return encode(ModelList(cards, next_page_token))


def encode_card(shown: ModelCard) -> bytes:
    """Return the body of ``GET /v1beta/models/{name}``."""
    return encode(shown)


def decode_list(body: bytes) -> list[str]:
    """Return the names in an upstream's list, without their prefix; raises WireError."""
    came = read_answer(_lists.decode, body)
    if came.error:
        raise WireError(read_fault(body))
    if came.models is None:
        raise bad_answer("the upstream's answer has no models")
    return [model.name.removeprefix(_PREFIX) for model in came.models if model.name]
