"""Bodies and answers of identity's routes, and the console's cookie."""

from datetime import datetime
from typing import Any

from litestar import Request
from litestar.datastructures import Cookie
from msgspec import Struct

from tidemill.identity.contracts import Role, Session, UserView
from tidemill.identity.facade import SESSION_COOKIE
from tidemill.identity.key_service import KeyChange, KeyWish
from tidemill.identity.ports import UsageSums
from tidemill.kernel import clock


class Registration(Struct):
    """Who wants an account."""

    username: str
    password: str
    email: str | None = None


class Credentials(Struct):
    """Who signs in."""

    username: str
    password: str


class StrictRegistration(Registration, forbid_unknown_fields=True):
    """As ``Registration``; a field that nobody reads is an error."""


class StrictCredentials(Credentials, forbid_unknown_fields=True):
    """As ``Credentials``; a field that nobody reads is an error."""


class PasswordChange(Struct, forbid_unknown_fields=True):
    """A new password, vouched for by the present one."""

    current_password: str
    new_password: str


class ResetRequest(Struct, forbid_unknown_fields=True):
    """Whose password is to be reset."""

    email: str


class ResetPassword(Struct, forbid_unknown_fields=True):
    """A new password, vouched for by a reset token."""

    token: str
    password: str


class UserPatch(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What an administrator changes about a user; absent stays."""

    is_active: bool | None = None
    role: Role | None = None
    group: str | None = None


class Registered(Struct):
    """The new account, on ``/api``."""

    id: int
    username: str
    is_active: bool
    is_admin: bool


class SignedInUser(Struct):
    """Who signed in, on ``/api``."""

    id: int
    username: str
    is_admin: bool


class SignedIn(Struct):
    """A session, on ``/api``."""

    access_token: str
    token_type: str
    user: SignedInUser


class Me(Struct):
    """The caller."""

    id: int
    username: str
    email: str | None
    is_active: bool
    is_admin: bool
    role: Role
    group: str
    created_at: datetime
    balance: int | float


class Account(Struct):
    """The account of a session, on ``/api/v1``; ``tokens`` is the credit balance."""

    id: int
    username: str
    email: str | None
    tokens: int | float


class AccountSession(Struct):
    """A session, on ``/api/v1``."""

    token: str
    expires_at: datetime
    user: Account


class Profile(Struct):
    """The caller with what it has and uses; ``usage`` counts since the month began (UTC)."""

    id: int
    username: str
    email: str | None
    is_active: bool
    is_admin: bool
    role: Role
    group: str
    created_at: datetime
    updated_at: datetime
    last_login_at: datetime | None
    tokens: int | float
    balance: int | float
    usage: UsageSums | None


class User(Struct):
    """A user as administrators see it."""

    id: int
    username: str
    email: str | None
    is_active: bool
    is_admin: bool
    role: Role
    group: str
    created_at: datetime
    updated_at: datetime
    last_login_at: datetime | None


class Accepted(Struct):
    """The request is taken; the answer says nothing more on purpose."""

    message: str


class KeyRequest(KeyWish, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key to be made."""


class KeyPatch(KeyChange, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change about a key; absent stays, null takes a limit away."""


def user_body(user: UserView) -> User:
    """Show a user to an administrator."""
    return User(
        id=user.id,
        username=user.username,
        email=user.email,
        is_active=user.is_active,
        is_admin=user.is_admin,
        role=user.role,
        group=user.group,
        created_at=user.created_at,
        updated_at=user.updated_at,
        last_login_at=user.last_login_at,
    )


def account_session(session: Session, balance: float) -> AccountSession:
    """Show a session on ``/api/v1``."""
    user = session.user
    return AccountSession(session.token, session.expires_at, Account(user.id, user.username, user.email, balance))


def session_cookie(request: Request[Any, Any, Any], session: Session) -> Cookie:
    """Return the console's cookie: no script reads it, no other site's request carries it."""
    lifetime_s = int((session.expires_at - clock.now()).total_seconds())
    return _cookie(request, session.token, lifetime_s)


def no_cookie(request: Request[Any, Any, Any]) -> Cookie:
    """Return what makes a browser forget the console's cookie."""
    return _cookie(request, "", 0)


def _cookie(request: Request[Any, Any, Any], value: str, max_age_s: int) -> Cookie:
    # Behind a proxy that ends TLS the request itself is plain http; the page's own origin tells.
    secure = request.url.scheme == "https" or request.headers.get("origin", "").startswith("https://")
    return Cookie(
        key=SESSION_COOKIE, value=value, path="/", max_age=max_age_s, httponly=True, samesite="strict", secure=secure
    )
