"""Secrets at rest: where keys live, and the box that seals what the product must be able to read back."""

from tidemill.platform.secrets.box import SecretBox
from tidemill.platform.secrets.errors import KeyFileUnreadable, SealBroken, SecretError, SecretRefused
from tidemill.platform.secrets.keyring import Keyring, Purpose, load_keyring

__all__ = [
    "KeyFileUnreadable",
    "Keyring",
    "Purpose",
    "SealBroken",
    "SecretBox",
    "SecretError",
    "SecretRefused",
    "load_keyring",
]
