"""The text of an API key: ``sk-tm-``, 30 random characters, 6 of checksum.

The checksum is CRC-32 of what precedes it, in base62, so that a scanner (or we, before any look-up) can tell a real
key from a typing error without asking anybody. 30 base62 characters are 178 bits of chance.
"""

import re
import secrets
import zlib

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
PREFIX = "sk-tm-"
RANDOM_CHARACTERS = 30
CHECK_CHARACTERS = 6
KEY_LENGTH = len(PREFIX) + RANDOM_CHARACTERS + CHECK_CHARACTERS
SHOWN_PREFIX_LENGTH = len(PREFIX) + 4
_FORM = re.compile(rf"{PREFIX}[0-9A-Za-z]{{{RANDOM_CHARACTERS + CHECK_CHARACTERS}}}", re.ASCII)


def new_key() -> str:
    """Make a key."""
    return with_checksum(PREFIX + "".join(secrets.choice(ALPHABET) for _ in range(RANDOM_CHARACTERS)))


def with_checksum(body: str) -> str:
    """Return ``body`` with its six characters of checksum."""
    rest = zlib.crc32(body.encode("ascii"))
    digits: list[str] = []
    for _ in range(CHECK_CHARACTERS):
        rest, digit = divmod(rest, len(ALPHABET))
        digits.append(ALPHABET[digit])
    return body + "".join(reversed(digits))


def is_well_formed(key: str) -> bool:
    """Tell whether ``key`` has the form and the checksum of one of ours; says nothing about whether it is known."""
    return _FORM.fullmatch(key) is not None and with_checksum(key[:-CHECK_CHARACTERS]) == key


def shown_prefix(key: str) -> str:
    """Return the part of a key that may be shown at its front."""
    return key[:SHOWN_PREFIX_LENGTH]


def masked(text: str) -> str:
    """Return a credential shortened so that it can be recognised but not used."""
    return f"{text[:SHOWN_PREFIX_LENGTH]}…{text[-4:]}" if len(text) >= KEY_LENGTH else f"{text[:4]}…"
