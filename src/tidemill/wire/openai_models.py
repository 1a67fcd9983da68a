"""OpenAI's list of models."""

import msgspec
from msgspec import Struct


class ModelCard(Struct, frozen=True):
    """One model as ``/v1/models`` shows it; ``created`` in Unix seconds."""

    id: str
    created: int
    owned_by: str
    object: str = "model"


class ModelList(Struct, frozen=True):
    """All of them."""

    data: list[ModelCard]
    object: str = "list"


def encode_list(cards: list[ModelCard]) -> bytes:
    """Return the body of ``GET /v1/models``."""
    return msgspec.json.encode(ModelList(cards))


def encode_card(card: ModelCard) -> bytes:
    """Return the body of ``GET /v1/models/{id}``."""
    return msgspec.json.encode(card)
