"""Carry one provider's signatures through a client that speaks another's dialect, and know them when they come back.

A client sends back what it got without looking into it, so the place for a signature holds a small JSON text that
names the issuer. Without it a signature would go to a provider that did not give it, which answers 400, and Gemini
refuses the second turn of a call whose signature is gone.
"""

import msgspec
from msgspec import Struct

from tidemill.wire.canonical_json import MALFORMED
from tidemill.wire.canonical_parts import Issuer

_PREFIX = "tidemill:"


class Seal(Struct, frozen=True, omit_defaults=True):
    """A signature (or sealed thinking) of ``issuer``; ``call``: the id of the call of a tool that it signs."""

    issuer: Issuer
    data: str
    call: str = ""
    item_id: str = ""
    sealed: bool = False


_seals = msgspec.json.Decoder(Seal)


def write_seal(seal: Seal) -> str:
    """Return a text that fits where a signature goes."""
    return _PREFIX + msgspec.json.encode(seal).decode()


def read_seal(text: str) -> Seal | None:
    """Return what ``write_seal`` wrote; None for a signature of the dialect's own."""
    if not text.startswith(_PREFIX):
        return None
    try:
        return _seals.decode(text[len(_PREFIX) :])
    except MALFORMED:
        return None
