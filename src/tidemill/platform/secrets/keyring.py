"""Find the server's keys, or make them at the first start.

Three purposes, three files below ``<data_dir>/secrets`` (folder 0700, files 0600): ``signing.key`` for session
tokens, ``data.key`` for sealed texts, ``pepper.key`` for hashed API keys. A file holds one key a line; the first
line is used for new work, every line is still accepted, so a rotation is a line put on top. A value from the
settings comes before the file's lines and keeps what the file made readable; with one configured no file is made.
"""

import base64
import binascii
import hmac
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, get_args

from msgspec import Struct

from tidemill.platform.secrets.errors import KeyFileUnreadable, SecretRefused

Purpose = Literal["signing", "data", "pepper"]

KEY_BYTES = 32
MIN_CONFIGURED_CHARACTERS = 16
_LINE_PREFIX = "base64:"
# Values that examples, tutorials and earlier systems ship with. Compared without case, spaces, "-" and "_".
_PLACEHOLDERS = (
    "changeme",
    "changethis",
    "yoursecretkey",
    "yourjwtsecret",
    "yoursecret",
    "supersecret",
    "secretkey",
    "placeholder",
    "replaceme",
    "replacethis",
    "insertyour",
    "defaultsecret",
    "examplesecret",
)


class Keyring(Struct, frozen=True):
    """The keys of one server, newest first; each tuple has at least one."""

    signing: tuple[bytes, ...]
    data: tuple[bytes, ...]
    pepper: tuple[bytes, ...]

    def __repr__(self) -> str:
        return f"Keyring(signing={len(self.signing)}, data={len(self.data)}, pepper={len(self.pepper)})"


def load_keyring(folder: Path, configured: Mapping[Purpose, str | None] | None = None) -> Keyring:
    """Return the keys kept in ``folder``, making those that are missing.

    ``configured`` holds the settings' own values. Two processes that start at once agree on one key.
    Raises SecretRefused for a placeholder or short value, KeyFileUnreadable for a damaged file.
    """
    values = configured or {}
    keys = {purpose: _keys_of(folder, purpose, values.get(purpose)) for purpose in get_args(Purpose)}
    return Keyring(signing=keys["signing"], data=keys["data"], pepper=keys["pepper"])


def check_configured(setting: str, value: str) -> None:
    """Refuse a secret that anybody could guess; raises SecretRefused naming ``setting``."""
    plain = value.strip().lower().translate({ord(c): None for c in " -_"})
    guessable = any(placeholder in plain for placeholder in _PLACEHOLDERS) or len(set(plain)) < 4  # noqa: PLR2004 - "xxxxxxxx"
    if guessable or len(value.strip()) < MIN_CONFIGURED_CHARACTERS:
        raise SecretRefused(setting=setting, minimum=MIN_CONFIGURED_CHARACTERS)


def _keys_of(folder: Path, purpose: Purpose, configured: str | None) -> tuple[bytes, ...]:
    path = folder / f"{purpose}.key"
    if configured:
        check_configured(_SETTING_OF[purpose], configured)
        kept = _read(path) if path.exists() else ()
        return (configured.strip().encode(), *kept)
    if not path.exists():
        _make(path)
    return _read(path)


_SETTING_OF: Mapping[Purpose, str] = {
    "signing": "auth.secret_key",
    "data": "auth.data_key",
    "pepper": "auth.key_pepper",
}


def _read(path: Path) -> tuple[bytes, ...]:
    try:
        lines = [line.strip() for line in path.read_text(encoding="ascii").splitlines()]
        keys = tuple(_decode(line) for line in lines if line and not line.startswith("#"))
    except (OSError, ValueError):
        raise KeyFileUnreadable(path=str(path)) from None
    if not keys:
        raise KeyFileUnreadable(path=str(path))
    return keys


def _decode(line: str) -> bytes:
    if not line.startswith(_LINE_PREFIX):
        raise ValueError(line[:8])
    try:
        key = base64.b64decode(line.removeprefix(_LINE_PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error
    if len(key) != KEY_BYTES:
        raise ValueError("wrong length")
    return key


def _make(path: Path) -> None:
    """Write a fresh key so that it appears whole, once: the link fails where another process was first."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    text = _LINE_PREFIX + base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode() + "\n"
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        return
    finally:
        draft.unlink()


def derived(key: bytes, purpose: str) -> bytes:
    """Return 32 bytes for one use of ``key`` (HKDF-SHA-256, RFC 5869, no salt, one block)."""
    extracted = hmac.digest(bytes(KEY_BYTES), key, "sha256")
    return hmac.digest(extracted, purpose.encode() + b"\x01", "sha256")
