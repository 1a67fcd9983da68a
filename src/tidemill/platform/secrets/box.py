"""Seal what must be readable again, hash what must only be recognised.

A provider's key has to be sent on, so it is sealed: AES-256-GCM, random 96-bit nonce, and the place where it is
stored as associated data, so a sealed text copied to another row does not open there. One of our own API keys has
only to be recognised, so it is hashed: HMAC-SHA-256 under a pepper that the database does not hold (a 178-bit random
key needs no slow hash; 3 µs).
"""

import base64
import binascii
import hashlib
import hmac
import os

from tidemill.platform.secrets.errors import SealBroken
from tidemill.platform.secrets.keyring import Keyring, derived

_FORMAT = "tm1"
_NONCE_BYTES = 12
_KEY_NAME_DIGITS = 8


class SecretBox:
    """Seals and hashes with the newest key of a ring; opens and recognises with all of them."""

    def __init__(self, keyring: Keyring) -> None:
        data = [derived(key, "tidemill data") for key in keyring.data]
        peppers = [derived(key, "tidemill pepper") for key in keyring.pepper]
        self._data = {_name(key): key for key in data}
        self._sealing = _name(data[0])
        self._peppers = tuple((_name(key), key) for key in peppers)

    def seal(self, text: str, *, bound_to: str) -> str:
        """Return ``text`` sealed for the place ``bound_to`` (for example ``channel_key:7``), as printable ASCII."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - loaded on first use

        nonce = os.urandom(_NONCE_BYTES)
        body = nonce + AESGCM(self._data[self._sealing]).encrypt(nonce, text.encode(), bound_to.encode())
        return f"{_FORMAT}.{self._sealing}.{base64.urlsafe_b64encode(body).decode()}"

    def open(self, sealed: str, *, bound_to: str) -> str:
        """Return the text that was sealed for ``bound_to``; raises SealBroken for anything else."""
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - loaded on first use
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - loaded on first use

        try:
            form, key_name, packed = sealed.split(".")
            body = base64.b64decode(packed, altchars=b"-_", validate=True)
        except (ValueError, binascii.Error):
            raise SealBroken("not a sealed text") from None
        key = self._data.get(key_name)
        if form != _FORMAT or key is None:
            raise SealBroken(f"sealed by the unknown key {key_name[:_KEY_NAME_DIGITS]}")
        try:
            return AESGCM(key).decrypt(body[:_NONCE_BYTES], body[_NONCE_BYTES:], bound_to.encode()).decode()
        except (InvalidTag, ValueError):
            raise SealBroken("altered, or moved from the place it was sealed for") from None

    def needs_resealing(self, sealed: str) -> bool:
        """Tell whether ``sealed`` was made with an older key than the one in use."""
        return not sealed.startswith(f"{_FORMAT}.{self._sealing}.")

    def hmac_hash(self, text: str) -> str:
        """Return the hash to store for ``text``: ``<pepper name>.<64 hex digits>``."""
        return self.hmac_hashes(text)[0]

    def hmac_hashes(self, text: str) -> tuple[str, ...]:
        """Return the hash of ``text`` under every pepper still accepted, newest first, for looking it up."""
        data = text.encode()
        return tuple(f"{name}.{hmac.digest(pepper, data, 'sha256').hex()}" for name, pepper in self._peppers)


def _name(key: bytes) -> str:
    """Return a short public name of a key, so that stored values say which one made them."""
    return hashlib.sha256(b"tidemill key name" + key).hexdigest()[:_KEY_NAME_DIGITS]
