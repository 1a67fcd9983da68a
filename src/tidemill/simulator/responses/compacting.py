"""Compact a conversation: the user's messages stay as they are, what was answered goes into one sealed item.

The item stands for what it seals wherever it comes back; who holds it cannot read it.
"""

import base64
import binascii
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from tidemill.simulator.openai.errors import bad

_MARK = b"simulated compaction:"
_MOST_BYTES = 16 * 1024 * 1024
_KEPT = frozenset({"user", "system", "developer"})
_items = msgspec.json.Decoder(list[dict[str, Any]])


def compacted(items: Iterable[Mapping[str, Any]], name: str) -> list[dict[str, Any]]:
    """Return the items that stand for a conversation from now on."""
    kept: list[dict[str, Any]] = []
    sealed: list[Mapping[str, Any]] = []
    for item in items:
        if item["type"] == "message" and item["role"] in _KEPT:
            kept.append(_message(item, f"msg_{name}_{len(kept)}"))
        else:
            sealed.append(item)
    seal = base64.b64encode(_MARK + zlib.compress(msgspec.json.encode(sealed))).decode()
    return [*kept, {"id": f"cmp_{name}", "type": "compaction", "encrypted_content": seal}]


def _message(item: Mapping[str, Any], spare_id: str) -> dict[str, Any]:
    content = item["content"]
    parts = [{"type": "input_text", "text": content}] if isinstance(content, str) else content
    return {"id": spare_id, **item, "status": "completed", "content": parts}


def expanded(items: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the items with what the sealed ones among them stand for; raises Refused for a seal of somebody else."""
    out: list[dict[str, Any]] = []
    for item in items:
        out += _opened(item["encrypted_content"]) if item["type"] == "compaction" else [dict(item)]
    return out


def _opened(seal: str) -> list[dict[str, Any]]:
    try:
        packed = base64.b64decode(seal, validate=True).partition(_MARK)[2]
        return _items.decode(zlib.decompressobj().decompress(packed, _MOST_BYTES))
    except (binascii.Error, zlib.error, msgspec.DecodeError, ValueError, RecursionError):
        told = "The encrypted content could not be verified. Reason: it could not be decrypted or parsed."
        raise bad(told, code="invalid_encrypted_content", param="input") from None
