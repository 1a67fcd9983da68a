"""Read the model's name from a body before anything else is known of it, at the cost of one scan."""

from typing import Any

import msgspec


class _Named(msgspec.Struct):
    model: Any = ""


_DECODER = msgspec.json.Decoder(_Named)


def model_in(data: bytes) -> str:
    """Return the body's ``model``, empty when it has none or is no JSON object."""
    try:
        model = _DECODER.decode(data).model
    except (msgspec.DecodeError, RecursionError):
        return ""
    return model if isinstance(model, str) else ""
