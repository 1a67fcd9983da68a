"""Thought signatures: opaque bytes that must come back with the call they came with."""

import base64
import hashlib

_MARK = b"simulated thought:"
# What callers without a signature may send instead, as Google documents it; it is read as base64 like any other.
_EXEMPT = (b"context_engineering_is_the_way_to_go", b"skip_thought_signature_validator")


def thought_signature(text: str) -> str:
    """Return the signature of a thought, in base64."""
    return base64.b64encode(_MARK + hashlib.blake2b(text.encode(), digest_size=24).digest()).decode()


def is_accepted(sealed: bytes) -> bool:
    """Tell whether the bytes are a signature of ours, or one of the two words that stand for none."""
    return sealed.startswith(_MARK) or base64.urlsafe_b64encode(sealed).rstrip(b"=") in _EXEMPT
