"""Session tokens: JWT (RFC 7519) signed with HS256 (RFC 7515), and nothing else.

Written out here because one algorithm is forty lines, and the usual library brings the whole of ``cryptography``
along (0.2 s of start and 17 MB, measured) for algorithms that must be refused anyway. Tests hold it against that
library in both directions. ``epoch`` beside the usual claims is the user's count of revocations.
"""

import base64
import hmac
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from tidemill.kernel import clock, ids

_HEADER = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').rstrip(b"=")
MAX_TOKEN_CHARACTERS = 4096
RESET_LIFETIME_S = 30 * 60


class Claims(Struct, frozen=True, kw_only=True):
    """What a session token says. Times are seconds since 1970."""

    user_id: int
    username: str
    is_admin: bool
    iat: int
    exp: int
    jti: str
    epoch: int = 0


class ResetClaims(Struct, frozen=True, kw_only=True):
    """What a reset token says. It dies with the epoch it was made under, so a used one does not work twice."""

    reset_user_id: int
    epoch: int
    exp: int


class _Header(Struct):
    alg: str
    crit: list[str] | None = None


_claims_decoder = msgspec.json.Decoder(Claims)
_reset_decoder = msgspec.json.Decoder(ResetClaims)
_header_decoder = msgspec.json.Decoder(_Header)


class SessionTokens:
    """Issues with the newest signing key, accepts all of them."""

    def __init__(self, signing_keys: Sequence[bytes], lifetime_s: int) -> None:
        self._keys = tuple(signing_keys)
        self.lifetime_s = lifetime_s

    def issue(
        self, user_id: int, username: str, epoch: int, *, is_admin: bool, session_id: str | None = None
    ) -> tuple[str, Claims]:
        """Return a fresh token and its claims.

        A refreshed token keeps its session's id, so that signing out ends every token of that sign-in.
        """
        now = int(clock.now().timestamp())
        claims = Claims(
            user_id=user_id,
            username=username,
            is_admin=is_admin,
            iat=now,
            exp=now + self.lifetime_s,
            jti=session_id or ids.uuid7(),
            epoch=epoch,
        )
        return self._sign(claims), claims

    def read(self, token: str) -> Claims | None:
        """Return the claims of a token that we signed and that has not expired, else None."""
        payload = self._verified(token)
        if payload is None:
            return None
        try:
            claims = _claims_decoder.decode(payload)
        except msgspec.MsgspecError:
            return None
        return claims if claims.exp > clock.now().timestamp() else None

    def issue_reset(self, user_id: int, epoch: int) -> str:
        """Return a token that lets its holder set a new password within 30 minutes, once."""
        expires = int(clock.now().timestamp()) + RESET_LIFETIME_S
        return self._sign(ResetClaims(reset_user_id=user_id, epoch=epoch, exp=expires))

    def read_reset(self, token: str) -> ResetClaims | None:
        """Return the claims of a reset token that is ours and still young, else None."""
        payload = self._verified(token)
        if payload is None:
            return None
        try:
            claims = _reset_decoder.decode(payload)
        except msgspec.MsgspecError:
            return None
        return claims if claims.exp > clock.now().timestamp() else None

    def _sign(self, claims: Any) -> str:
        payload = base64.urlsafe_b64encode(msgspec.json.encode(claims)).rstrip(b"=")
        signed = _HEADER + b"." + payload
        return (signed + b"." + _mac(self._keys[0], signed)).decode("ascii")

    def _verified(self, token: str) -> bytes | None:
        if len(token) > MAX_TOKEN_CHARACTERS or not token.isascii():
            return None
        signed, _, signature = token.encode("ascii").rpartition(b".")
        header, dot, payload = signed.partition(b".")
        if not dot or b"." in payload:
            return None
        if header != _HEADER and not _is_hs256(header):
            return None
        if not any(hmac.compare_digest(_mac(key, signed), signature) for key in self._keys):
            return None
        try:
            return _unpadded(payload)
        except ValueError:
            return None


def _mac(key: bytes, signed: bytes) -> bytes:
    return base64.urlsafe_b64encode(hmac.digest(key, signed, "sha256")).rstrip(b"=")


def _is_hs256(header: bytes) -> bool:
    """Accept another spelling of our own header (a token made elsewhere with the same key), no other algorithm."""
    try:
        read = _header_decoder.decode(_unpadded(header))
    except (ValueError, msgspec.MsgspecError):
        return False
    return read.alg == "HS256" and read.crit is None


def _unpadded(text: bytes) -> bytes:
    return base64.b64decode(text + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
