"""Tell who is calling, from memory alone.

Synchronous, no database, no framework: the relay's path calls it for every request. Where a credential may stand is
one list of extractors; the first one that finds something decides, because a caller who sends a bad key in one place
does not mean another one elsewhere.
"""

from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from typing import Literal, Protocol
from urllib.parse import unquote_plus, urlsplit

from msgspec import Struct

from tidemill.identity import key_format
from tidemill.identity.errors import CookieHeaderMissing, NetworkRefused
from tidemill.identity.snapshot import KnownKey, SnapshotKeeper
from tidemill.identity.tokens import SessionTokens
from tidemill.kernel import clock
from tidemill.kernel.actor import Actor
from tidemill.kernel.errors import TidemillError, TokenInvalid, Unauthenticated

SESSION_COOKIE = "tidemill_session"
WRITE_HEADER = b"x-tidemill"
SUBPROTOCOL = "bearer."
Headers = Sequence[tuple[bytes, bytes]]


class Refused(StrEnum):
    """Why a request has no actor."""

    MISSING = "missing"
    MALFORMED = "malformed"
    UNKNOWN_KEY = "unknown_key"
    EXPIRED_KEY = "expired_key"
    NETWORK = "network"
    BAD_TOKEN = "bad_token"  # noqa: S105 - a reason, not a token
    REVOKED_SESSION = "revoked_session"
    INACTIVE_USER = "inactive_user"
    COOKIE_WRITE = "cookie_write"


class AuthFailure(Struct, frozen=True):
    """No actor, and why. ``subject`` names the credential as far as it may be shown.

    ``digests`` and ``newer`` mark what another process may have written a moment ago: a well-formed key that is not
    known here (by its hashes), a session of ours that is ahead of what is known here about its user.
    """

    reason: Refused
    subject: str = ""
    user_id: int | None = None
    username: str = ""
    digests: tuple[str, ...] = ()
    newer: bool = False

    @property
    def may_be_news(self) -> bool:
        """Whether the database may know better than the snapshot."""
        return self.newer or bool(self.digests)

    def error(self) -> TidemillError:
        """Return what the caller is told."""
        match self.reason:
            case Refused.NETWORK:
                return NetworkRefused()
            case Refused.COOKIE_WRITE:
                return CookieHeaderMissing()
            case Refused.BAD_TOKEN | Refused.REVOKED_SESSION:
                return TokenInvalid()
            case _:
                return Unauthenticated()


class KeyHashes(Protocol):
    """Hashes a key under every pepper still accepted."""

    def hmac_hashes(self, text: str) -> tuple[str, ...]:
        """Return the hashes, newest first."""
        ...


class Witness(Protocol):
    """Is told what authentication decided; must not wait."""

    def key_used(self, key_id: str, client_ip: str | None) -> None:
        """Note that a key was accepted."""
        ...

    def refused(self, failure: AuthFailure, client_ip: str | None) -> None:
        """Note that a credential was not accepted (never called for a request without one)."""
        ...


class Found(Struct, frozen=True):
    """A credential and where it stood."""

    text: str
    place: Literal["header", "query", "cookie"]


class Request(Struct, frozen=True):
    """What the extractors look at."""

    headers: Headers
    query: bytes
    query_token: bool
    cookie: bool

    def header(self, name: bytes) -> str | None:
        """Return the first header of that (lower-case) name, without surrounding blanks; empty counts as absent."""
        for key, value in self.headers:
            if key == name or key.lower() == name:
                return value.decode("latin-1").strip() or None
        return None

    def parameters(self) -> Iterator[tuple[str, str]]:
        """Yield the query's parameters."""
        for pair in self.query.split(b"&"):
            name, _, value = pair.partition(b"=")
            yield unquote_plus(name.decode("latin-1")), unquote_plus(value.decode("latin-1"))


def _authorization(request: Request) -> Found | None:
    """Read ``Authorization: Bearer T`` and the bare ``Authorization: T`` of earlier clients."""
    value = request.header(b"authorization")
    if value is None:
        return None
    scheme, blank, rest = value.partition(" ")
    if not blank:
        return Found(value, "header")
    return Found(rest.strip(), "header") if scheme.lower() == "bearer" else None


def _named_header(name: bytes) -> "Callable[[Request], Found | None]":
    def extract(request: Request) -> Found | None:
        value = request.header(name)
        return Found(value, "header") if value else None

    return extract


def _key_parameter(request: Request) -> Found | None:
    """Read ``?key=`` as Gemini's clients send it; only for texts that mean to be one of our keys."""
    if b"key=" not in request.query:
        return None
    for name, value in request.parameters():
        if name == "key" and value.startswith(key_format.PREFIX):
            return Found(value, "query")
    return None


def _token_parameter(request: Request) -> Found | None:
    """Read ``?access_token=``, where the route allows it: a browser's EventSource cannot send headers."""
    if not request.query_token or b"access_token=" not in request.query:
        return None
    for name, value in request.parameters():
        if name == "access_token" and value:
            return Found(value, "query")
    return None


def _subprotocol(request: Request) -> Found | None:
    """Read ``bearer.T`` among the subprotocols of a WebSocket: a browser's cannot send headers of its own."""
    value = request.header(b"sec-websocket-protocol")
    for name in value.split(",") if value else ():
        if name.strip().startswith(SUBPROTOCOL):
            return Found(name.strip().removeprefix(SUBPROTOCOL), "header")
    return None


def _cookie(request: Request) -> Found | None:
    """Read the console's cookie, where the route allows it."""
    if not request.cookie:
        return None
    for key, value in request.headers:
        if key.lower() != b"cookie":
            continue
        for part in value.decode("latin-1").split(";"):
            name, _, text = part.strip().partition("=")
            if name == SESSION_COOKIE and text:
                return Found(text, "cookie")
    return None


# In this order; a new place for a credential is a new line here.
EXTRACTORS: tuple[Callable[[Request], Found | None], ...] = (
    _authorization,
    _named_header(b"x-api-key"),
    _named_header(b"x-goog-api-key"),
    _key_parameter,
    _token_parameter,
    _subprotocol,
    _cookie,
)


class Authenticator:
    """Turns a request's credential into an actor."""

    def __init__(
        self,
        snapshots: SnapshotKeeper,
        tokens: SessionTokens,
        hashes: KeyHashes,
        witness: Witness,
        public_origin: str | None = None,
    ) -> None:
        self._snapshots = snapshots
        self._tokens = tokens
        self._hashes = hashes
        self._witness = witness
        self._public_origin = public_origin.rstrip("/").lower() if public_origin else None
        # Keys that were recognised by their hash, by their text. Good for one snapshot only: whatever is changed about
        # a key or its owner makes another.
        self._recognised: dict[str, KnownKey] = {}
        self._recognised_in = snapshots.current

    def identify(
        self,
        headers: Headers,
        query: bytes,
        client_ip: str | None,
        *,
        query_token: bool = False,
        cookie: bool = False,
        write: bool = True,
    ) -> Actor | AuthFailure:
        """Return who is calling, or why nobody is.

        ``query_token`` allows ``?access_token=`` (SSE routes), ``cookie`` the console's cookie. ``write`` says that
        the method changes something: then a cookie alone is not enough (it needs ``X-Tidemill: 1`` and, where the
        browser says whence the request comes, our own origin). A failure that ``may_be_news`` is not yet reported to
        the witness: the caller looks again, or calls ``report``.
        """
        request = Request(headers, query, query_token, cookie)
        for extract in EXTRACTORS:
            found = extract(request)
            if found is not None:
                break
        else:
            return AuthFailure(Refused.MISSING)
        if found.place == "cookie" and write and not self._vouched(request):
            outcome: Actor | AuthFailure = AuthFailure(Refused.COOKIE_WRITE, "session")
        elif found.text.startswith(key_format.PREFIX):
            outcome = self._by_key(found.text, client_ip)
        else:
            outcome = self._by_token(found.text)
        if isinstance(outcome, AuthFailure) and not outcome.may_be_news:
            self._witness.refused(outcome, client_ip)
        return outcome

    def report(self, failure: AuthFailure, client_ip: str | None) -> None:
        """Tell the witness of a failure that turned out to be no news."""
        self._witness.refused(failure, client_ip)

    def key_limits(self, key_id: str) -> KnownKey | None:
        """Return what the relay holds a key to; None for a key that is gone."""
        return self._snapshots.current.keys_by_id.get(key_id)

    def _by_key(self, text: str, client_ip: str | None) -> Actor | AuthFailure:
        snapshot = self._snapshots.current
        if snapshot is not self._recognised_in:
            self._recognised, self._recognised_in = {}, snapshot
        known = self._recognised.get(text)
        if known is None:
            if not key_format.is_well_formed(text):
                return AuthFailure(Refused.MALFORMED, key_format.masked(text))
            digests = self._hashes.hmac_hashes(text)
            known = next((key for digest in digests if (key := snapshot.keys.get(digest)) is not None), None)
            if known is None:
                return AuthFailure(Refused.UNKNOWN_KEY, key_format.masked(text), digests=digests)
            self._recognised[text] = known  # as many as there are keys, at most
        actor = known.actor
        key_id = actor.key_id or ""
        if known.expires_at_s is not None and known.expires_at_s <= clock.unix_s():
            return AuthFailure(Refused.EXPIRED_KEY, key_id, actor.user_id, actor.username)
        owner = snapshot.users.get(actor.user_id)
        if owner is None or not owner.is_active:
            return AuthFailure(Refused.INACTIVE_USER, key_id, actor.user_id, actor.username)
        if not known.allows(client_ip):
            return AuthFailure(Refused.NETWORK, key_id, actor.user_id, actor.username)
        self._witness.key_used(key_id, client_ip)
        return actor

    def _by_token(self, text: str) -> Actor | AuthFailure:
        claims = self._tokens.read(text)
        if claims is None:
            return AuthFailure(Refused.BAD_TOKEN, "session")
        snapshot = self._snapshots.current
        user = snapshot.users.get(claims.user_id)
        if user is None:
            return AuthFailure(Refused.REVOKED_SESSION, "session", claims.user_id, newer=True)
        if not user.is_active:
            return AuthFailure(Refused.INACTIVE_USER, "session", user.user_id, user.username)
        if claims.epoch != user.epoch or claims.jti in snapshot.revoked:
            newer = claims.epoch > user.epoch
            return AuthFailure(Refused.REVOKED_SESSION, "session", user.user_id, user.username, newer=newer)
        return Actor(
            user_id=user.user_id,
            username=user.username,
            is_admin=user.is_admin,
            via="session",
            group=user.group,
            session_id=claims.jti,
            expires_at_s=claims.exp,
        )

    def _vouched(self, request: Request) -> bool:
        """Tell whether a write signed in by cookie comes from our own pages."""
        if request.header(WRITE_HEADER) != "1":
            return False
        origin = request.header(b"origin")
        if origin is None:
            return True
        if self._public_origin is not None and origin.lower() == self._public_origin:
            return True
        host = request.header(b"host")
        return host is not None and urlsplit(origin).netloc.lower() == host.lower()
