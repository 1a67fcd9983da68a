"""What people do for themselves, on both surfaces: register, sign in, sign out, look at themselves."""

from collections.abc import Sequence
from typing import Any

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from litestar.types import ControllerRouterHandler

from tidemill.identity.facade import IdentityService
from tidemill.identity.routes_shapes import (
    Accepted,
    AccountSession,
    Credentials,
    Me,
    PasswordChange,
    Profile,
    Registered,
    Registration,
    ResetPassword,
    ResetRequest,
    SignedIn,
    SignedInUser,
    StrictCredentials,
    StrictRegistration,
    account_session,
    no_cookie,
    session_cookie,
)
from tidemill.kernel.actor import Actor
from tidemill.kernel.lang import Lang
from tidemill.platform.web import Envelope, ok, signed_in

_Request = Request[Any, Any, Any]
Users = NamedDependency[IdentityService]
Caller = NamedDependency[Actor]
Language = NamedDependency[Lang]


@post("/api/register", status_code=200, tags=["sign-in"], operation_id="register")
async def register(data: JSONBody[Registration], identity: Users, lang: Language) -> Envelope[Registered]:
    """Make an account. 1001 when the name or address is taken."""
    user = await identity.register(data.username, data.password, data.email)
    message = "注册成功" if lang == "zh" else "Registered."
    return ok(Registered(user.id, user.username, user.is_active, user.is_admin), message)


@post("/api/login", status_code=200, tags=["sign-in"], operation_id="login")
async def login(
    data: JSONBody[Credentials], request: _Request, identity: Users, lang: Language
) -> Response[Envelope[SignedIn]]:
    """Sign in. 1003 for an unknown name, a wrong password and an inactive account alike; 429 after too many."""
    session = await identity.sign_in(data.username, data.password)
    user = session.user
    body = SignedIn(session.token, "bearer", SignedInUser(user.id, user.username, user.is_admin))
    message = "登录成功" if lang == "zh" else "Signed in."
    return Response(ok(body, message), status_code=200, cookies=[session_cookie(request, session)])


@get("/api/me", guards=[signed_in], tags=["sign-in"], operation_id="me")
async def me(actor: Caller, identity: Users) -> Envelope[Me]:
    """Show the caller, with its credit balance."""
    user, balance = await identity.me(actor)
    return ok(
        Me(
            id=user.id,
            username=user.username,
            email=user.email,
            is_active=user.is_active,
            is_admin=user.is_admin,
            role=user.role,
            group=user.group,
            created_at=user.created_at,
            balance=balance,
        )
    )


@post("/api/logout", status_code=200, guards=[signed_in], tags=["sign-in"], operation_id="logout")
async def logout(actor: Caller, request: _Request, identity: Users, lang: Language) -> Response[Envelope[None]]:
    """Sign out: this session's tokens are worthless from now on, on every instance."""
    await identity.sign_out(actor)
    message = "已退出登录" if lang == "zh" else "Signed out."
    return Response(Envelope[None](None, message), status_code=200, cookies=[no_cookie(request)])


@post("/api/v1/auth/register", status_code=201, tags=["sign-in"], operation_id="authRegister")
async def auth_register(
    data: JSONBody[StrictRegistration], request: _Request, identity: Users
) -> Response[AccountSession]:
    """Make an account and sign in."""
    session = await identity.register_and_sign_in(data.username, data.password, data.email)
    body = account_session(session, await identity.balance_of(session.user))
    return Response(body, status_code=201, cookies=[session_cookie(request, session)])


@post("/api/v1/auth/login", status_code=200, tags=["sign-in"], operation_id="authLogin")
async def auth_login(data: JSONBody[StrictCredentials], request: _Request, identity: Users) -> Response[AccountSession]:
    """Sign in."""
    session = await identity.sign_in(data.username, data.password)
    body = account_session(session, await identity.balance_of(session.user))
    return Response(body, status_code=200, cookies=[session_cookie(request, session)])


@post("/api/v1/auth/refresh", status_code=200, guards=[signed_in], tags=["sign-in"], operation_id="authRefresh")
async def auth_refresh(actor: Caller, request: _Request, identity: Users) -> Response[AccountSession]:
    """Exchange a session that is still valid for one with its whole life before it."""
    session = await identity.refresh(actor)
    body = account_session(session, await identity.balance_of(session.user))
    return Response(body, status_code=200, cookies=[session_cookie(request, session)])


@post("/api/v1/auth/logout", status_code=204, guards=[signed_in], tags=["sign-in"], operation_id="authLogout")
async def auth_logout(actor: Caller, request: _Request, identity: Users) -> Response[None]:
    """Sign out."""
    await identity.sign_out(actor)
    return Response(None, status_code=204, cookies=[no_cookie(request)])


@get("/api/v1/auth/profile", guards=[signed_in], tags=["sign-in"], operation_id="authProfile")
async def auth_profile(actor: Caller, identity: Users) -> Profile:
    """Show the caller with balance, group and the month's usage."""
    user, balance = await identity.me(actor)
    return Profile(
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
        tokens=balance,
        balance=balance,
        usage=await identity.usage_of_month(actor),
    )


@post("/api/v1/auth/password", status_code=200, guards=[signed_in], tags=["sign-in"], operation_id="authPassword")
async def auth_password(
    data: JSONBody[PasswordChange], actor: Caller, request: _Request, identity: Users
) -> Response[AccountSession]:
    """Change one's own password. Every session ends; the answer holds the one that replaces the caller's."""
    session = await identity.change_password(actor, data.current_password, data.new_password)
    body = account_session(session, await identity.balance_of(session.user))
    return Response(body, status_code=200, cookies=[session_cookie(request, session)])


@post("/api/v1/auth/forgot", status_code=202, tags=["sign-in"], operation_id="authForgot")
async def auth_forgot(data: JSONBody[ResetRequest], identity: Users, lang: Language) -> Accepted:
    """Ask for a password reset. The answer is the same whether the address is known or not."""
    await identity.ask_reset(data.email)
    if lang == "zh":
        return Accepted("若该邮箱属于某个账号，重置方式将会送达；未收到请联系管理员。")
    return Accepted(
        "If the address belongs to an account, a reset is on its way. If none arrives, ask the administrator."
    )


@post("/api/v1/auth/reset", status_code=204, tags=["sign-in"], operation_id="authReset")
async def auth_reset(data: JSONBody[ResetPassword], identity: Users) -> None:
    """Set a new password by reset token (30 minutes, once). Every session ends."""
    await identity.reset_password(data.token, data.password)


HANDLERS: Sequence[ControllerRouterHandler] = (
    register,
    login,
    me,
    logout,
    auth_register,
    auth_login,
    auth_refresh,
    auth_logout,
    auth_profile,
    auth_password,
    auth_forgot,
    auth_reset,
)
