"""Signatures of thought: Google's own as they are, any other's as base64 of a seal, for this field takes base64 only.

Google's SDKs send base64 in the other alphabet than the one they got, so that is evened out on the way in.
"""

import base64
import binascii

import msgspec
from msgspec import UNSET, UnsetType

from tidemill.wire.canonical_parts import GOOGLE, Issuer, Part, Reasoning, Redacted
from tidemill.wire.canonical_seal import Seal, read_seal, write_seal

# How base64 of a seal begins; the seal's own beginning is nine bytes long, so this is never cut.
_SEALED = base64.b64encode(write_seal(Seal("", ""))[:9].encode()).decode()
_STANDARD = str.maketrans("-_", "+/")


def standard_base64(data: str) -> str:
    """Return base64 in the standard alphabet."""
    return data.translate(_STANDARD) if "-" in data or "_" in data else data


def read_signature(text: str) -> Seal:
    """Return a signature and who gave it."""
    signature = standard_base64(text)
    if signature.startswith(_SEALED):
        try:
            seal = read_seal(base64.b64decode(signature + "=" * (-len(signature) % 4)).decode())
        except (binascii.Error, UnicodeDecodeError):
            seal = None
        if seal is not None:
            return seal
    return Seal(GOOGLE, signature)


def write_signature(seal: Seal) -> str:
    """Return a signature as a client of Gemini's gets it."""
    if seal.issuer == GOOGLE and not seal.sealed:
        return seal.data
    return base64.b64encode(write_seal(seal).encode()).decode()


def read_thought(text: str, signature: str | None) -> Reasoning:
    """Return a part of thinking."""
    if not signature:
        return Reasoning(text)
    seal = read_signature(signature)
    issuer, item_id = seal.issuer or UNSET, seal.item_id or UNSET
    if not seal.sealed:
        return Reasoning(text, seal.data, issuer, item_id=item_id)
    return Reasoning(text, UNSET, issuer, sealed=seal.data, item_id=item_id)


def joined(before: Part | None, part: Part) -> Reasoning | None:
    """Return thinking with the signature that follows it in a part of its own, as streams have it."""
    if not isinstance(before, Reasoning) or not isinstance(part, Reasoning) or part.text:
        return None
    if before.signature is not UNSET or before.sealed is not UNSET:
        return None
    return msgspec.structs.replace(part, text=before.text)


def seal_of(signature: str, issuer: Issuer | UnsetType, item_id: str | UnsetType, *, sealed: bool = False) -> Seal:
    """Return what stands for a signature."""
    return Seal(issuer or "", signature, item_id=item_id or "", sealed=sealed)


def thought_seal(part: Reasoning | Redacted) -> Seal | None:
    """Return what signs a part of thinking; None for what nobody signed."""
    if isinstance(part, Redacted):
        return seal_of(part.data, part.issuer, part.item_id, sealed=True)
    if part.sealed is not UNSET:
        return seal_of(part.sealed, part.issuer, part.item_id, sealed=True)
    if part.signature is UNSET or not part.signature:
        return None
    return seal_of(part.signature, part.issuer, part.item_id)
