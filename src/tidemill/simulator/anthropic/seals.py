"""Seal thinking so that it comes back unchanged or not at all: signatures and redacted blocks."""

import base64
import binascii
import hashlib
import hmac

_KEY = b"the simulator's own seal, no secret"
_OPAQUE = b"redacted:"


def signature(thinking: str) -> str:
    """Return the signature of a thinking block."""
    return base64.b64encode(hashlib.blake2b(thinking.encode(), key=_KEY, digest_size=48).digest()).decode()


def is_signed(thinking: str, sealed: str) -> bool:
    """Tell whether the signature is the one given with exactly this thinking."""
    return hmac.compare_digest(signature(thinking).encode(), sealed.encode())


def redacted(thinking: str) -> str:
    """Return opaque data that stands for thinking which is not shown."""
    return base64.b64encode(_OPAQUE + hashlib.blake2b(thinking.encode(), digest_size=32).digest()).decode()


def is_ours(data: str) -> bool:
    """Tell whether opaque data was made by ``redacted``."""
    try:
        return base64.b64decode(data, validate=True).startswith(_OPAQUE)
    except (binascii.Error, ValueError):
        return False
