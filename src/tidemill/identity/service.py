"""What users do for themselves: register, sign in and out, change or reset their password."""

from datetime import timedelta

from msgspec import structs

from tidemill.audit.contracts import current_origin
from tidemill.audit.facade import Refusal, Refusals, record
from tidemill.identity import repository, rules
from tidemill.identity.accounts import NewUser, add_user, as_actor, set_password
from tidemill.identity.attempts import Attempt, SignInAttempts
from tidemill.identity.contracts import Session, UserView
from tidemill.identity.errors import (
    PasswordWrong,
    RegistrationClosed,
    ResetTokenInvalid,
    SessionNeeded,
    SignInRefused,
    TooManyAttempts,
)
from tidemill.identity.house import TOPIC, House
from tidemill.identity.ports import UsageSums
from tidemill.identity.repository import UserRow
from tidemill.kernel import clock
from tidemill.kernel.actor import Actor, SystemReason, SystemScope, UserScope
from tidemill.kernel.errors import Unauthenticated

_SIGN_IN = SystemScope(SystemReason.SIGN_IN)


class IdentityService:
    """One instance serves the whole process."""

    def __init__(
        self, house: House, attempts: SignInAttempts, reset_attempts: SignInAttempts, refusals: Refusals
    ) -> None:
        self._house = house
        self._attempts = attempts
        self._resets = reset_attempts
        self._refusals = refusals

    async def register(self, username: str, password: str, email: str | None = None) -> UserView:
        """Make an ordinary account; raises RegistrationClosed, BadInput, UserExists, EmailTaken."""
        if not self._house.open_registration:
            raise RegistrationClosed
        return await add_user(self._house, _SIGN_IN, NewUser(username, password, email))

    async def register_and_sign_in(self, username: str, password: str, email: str | None = None) -> Session:
        """Make an ordinary account and its first session; raises what ``register`` does."""
        return self._house.session(await self.register(username, password, email), epoch=0)

    async def sign_in(self, username: str, password: str) -> Session:
        """Return a session.

        Raises SignInRefused, after the same work, for an unknown name, a wrong password and an inactive account, and
        TooManyAttempts once too many of those were seen for the name or the caller's address.
        """
        house = self._house
        key = rules.username_key(username[: rules.MAX_USERNAME * 4])
        attempt = self._begin(key)
        async with house.db.read() as r:
            user = await repository.by_username_key(r, _SIGN_IN, key)
        matches = await house.passwords.verify(user.password_hash if user else None, password)
        if user is None or not matches or not user.view.is_active:
            reason = "unknown_user" if user is None else "inactive_user" if matches else "wrong_password"
            await self._refuse(username, user, reason)
            raise SignInRefused
        attempt.succeeded()
        renewed = await house.passwords.hash(password) if house.passwords.needs_renewal(user.password_hash) else None
        return await self._open(user, renewed)

    async def refresh(self, actor: Actor) -> Session:
        """Exchange a session that is still valid for one with its whole life before it; the same sign-in goes on."""
        async with self._house.db.read() as r:
            user = await repository.by_id(r, actor.scope, actor.user_id)
        if actor.session_id is None:
            raise SessionNeeded
        if user is None:
            raise Unauthenticated
        return self._house.session(user.view, user.epoch, actor.session_id)

    async def sign_out(self, actor: Actor) -> None:
        """Take the caller's session back, on every instance; raises SessionNeeded for a key."""
        if actor.session_id is None:
            raise SessionNeeded
        now = clock.now()
        # A refresh may have lengthened the session up to this moment, never further.
        until = now + timedelta(seconds=self._house.tokens.lifetime_s)
        async with self._house.db.write() as w:
            await repository.revoke_session(w, actor.scope, actor.user_id, actor.session_id, now, until)
            await record(w, actor=actor, action="session.close", object_type="user", object_id=actor.user_id)
            w.changed(TOPIC)
        await self._house.snapshots.refresh()

    async def me(self, actor: Actor) -> tuple[UserView, int | float]:
        """Return the caller and its credit balance."""
        async with self._house.db.read() as r:
            user = await repository.by_id(r, actor.scope, actor.user_id)
            if user is None:
                raise Unauthenticated
            return user.view, await self._house.balances.balance(r, actor.scope, actor.user_id)

    async def usage_of_month(self, actor: Actor) -> UsageSums | None:
        """Return what the caller has used since the month began (UTC), None where nobody counts."""
        if self._house.usage is None:
            return None
        since = clock.now().replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        return await self._house.usage.usage_since(actor.scope, since)

    async def balance_of(self, user: UserView) -> int | float:
        """Return the credit balance of somebody who has just signed in."""
        async with self._house.db.read() as r:
            return await self._house.balances.balance(r, UserScope(user.id), user.id)

    async def change_password(self, actor: Actor, current: str, new: str) -> Session:
        """Set a new password and end every session; the one returned replaces the caller's.

        Raises SessionNeeded for a key, PasswordWrong (counted like a failed sign-in), BadInput for the new one.
        """
        if actor.session_id is None:
            raise SessionNeeded
        rules.refuse(rules.password_problem(new, "new_password"))
        house = self._house
        attempt = self._begin(rules.username_key(actor.username))
        async with house.db.read() as r:
            user = await repository.by_id(r, actor.scope, actor.user_id)
        if not await house.passwords.verify(user.password_hash if user else None, current) or user is None:
            raise PasswordWrong
        attempt.succeeded()
        new_hash = await house.passwords.hash(new)
        async with house.db.write() as w:
            await set_password(w, actor.scope, house, user, new_hash)
            await record(w, actor=actor, action="user.password", object_type="user", object_id=actor.user_id)
            changed = await repository.by_id(w, actor.scope, actor.user_id)
        await house.snapshots.refresh()
        if changed is None:
            raise Unauthenticated
        return house.session(changed.view, changed.epoch)

    async def ask_reset(self, email: str) -> None:
        """Send a reset token to the account of that address, if there is one; says nothing about it either way."""
        normal = rules.normal_email(email) or ""
        try:
            self._resets.begin(normal, current_origin.get().address)
        except TooManyAttempts:
            return
        async with self._house.db.write() as w:
            user = await repository.by_email(w, _SIGN_IN, rules.storable(normal))
            known = user is not None and user.view.is_active
            await record(
                w,
                actor=None,
                claimed_name=user.view.username if user else "",
                action="user.password_reset_asked",
                object_type="user",
                object_id=user.view.id if user else "",
                result="ok" if known else "refused",
            )
        if user is not None and known:
            self._house.mailer.send_reset(normal, self._house.tokens.issue_reset(user.view.id, user.epoch))

    async def reset_password(self, token: str, new: str) -> None:
        """Set a new password by token and end every session; raises ResetTokenInvalid, BadInput."""
        rules.refuse(rules.password_problem(new))
        claims = self._house.tokens.read_reset(token)
        if claims is None:
            raise ResetTokenInvalid
        new_hash = await self._house.passwords.hash(new)
        async with self._house.db.write() as w:
            user = await repository.by_id(w, _SIGN_IN, claims.reset_user_id)
            if user is None or not user.view.is_active or user.epoch != claims.epoch:
                raise ResetTokenInvalid
            await set_password(w, _SIGN_IN, self._house, user, new_hash)
            await record(
                w,
                actor=None,
                claimed_name=user.view.username,
                action="user.password_reset",
                object_type="user",
                object_id=user.view.id,
            )
        await self._house.snapshots.refresh()

    def _begin(self, key: str) -> Attempt:
        address = current_origin.get().address
        try:
            return self._attempts.begin(key, address)
        except TooManyAttempts:
            self._refusals.note(Refusal("session.open", key, "too_many_attempts", address))
            raise

    async def _refuse(self, username: str, user: UserRow | None, reason: str) -> None:
        async with self._house.db.write() as w:
            await record(
                w,
                actor=None,
                claimed_name=username,
                action="session.open",
                object_type="user",
                object_id=user.view.id if user else "",
                result="refused",
                reason=reason,
            )

    async def _open(self, user: UserRow, renewed_hash: str | None) -> Session:
        now = clock.now()
        session = self._house.session(structs.replace(user.view, last_login_at=now), user.epoch)
        scope = UserScope(user.view.id)
        async with self._house.db.write() as w:
            await repository.change(w, scope, user.view.id, {"last_login_at": now})
            if renewed_hash is not None:
                await repository.change(
                    w, scope, user.view.id, {"password_hash": renewed_hash}, only_if_hash=user.password_hash
                )
            await record(
                w,
                actor=as_actor(user.view),
                action="session.open",
                object_type="user",
                object_id=user.view.id,
            )
        known = self._house.snapshots.current.users.get(user.view.id)
        if known is None or known.epoch != user.epoch:
            # Another process made or changed this user a moment ago; the session must work here at once.
            await self._house.snapshots.refresh()
        return session
