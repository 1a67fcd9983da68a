"""The list of models, in the shape of each protocol."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from tidemill.wire.canonical_parts import Dialect
from tidemill.wire.openai_models import ModelCard, encode_card, encode_list

_METHODS = ("generateContent", "streamGenerateContent", "countTokens", "embedContent", "batchEmbedContents")


def list_of(dialect: Dialect, cards: list[ModelCard]) -> bytes:
    """Return the body that lists ``cards``, all on one page."""
    if dialect is Dialect.ANTHROPIC:
        ids = [card.id for card in cards]
        ends = {"first_id": ids[0] if ids else None, "last_id": ids[-1] if ids else None}
        return msgspec.json.encode({"data": [_anthropic(card) for card in cards], "has_more": False, **ends})
    if dialect is Dialect.GEMINI:
        return msgspec.json.encode({"models": [_gemini(card) for card in cards]})
    return encode_list(cards)


def one(dialect: Dialect, card: ModelCard) -> bytes:
    """Return the body that shows one model."""
    if dialect is Dialect.ANTHROPIC:
        return msgspec.json.encode(_anthropic(card))
    if dialect is Dialect.GEMINI:
        return msgspec.json.encode(_gemini(card))
    return encode_card(card)


def _anthropic(card: ModelCard) -> dict[str, Any]:
    created = datetime.fromtimestamp(card.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"type": "model", "id": card.id, "display_name": card.id, "created_at": created}


def _gemini(card: ModelCard) -> dict[str, Any]:
    return {
        "name": f"models/{card.id}",
        "version": "001",
        "displayName": card.id,
        "supportedGenerationMethods": _METHODS,
    }
