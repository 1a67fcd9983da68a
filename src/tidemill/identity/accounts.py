"""Make an account and replace a password: what self-service, administration and the first start share."""

from typing import Any

from msgspec import Struct

from tidemill.audit.facade import record
from tidemill.identity import repository, rules
from tidemill.identity.contracts import UserView
from tidemill.identity.errors import EmailTaken, UserExists
from tidemill.identity.house import TOPIC, House
from tidemill.identity.repository import UserRow
from tidemill.kernel import clock
from tidemill.kernel.actor import Actor, Scope
from tidemill.platform.db import IntegrityError, Writer


class NewUser(Struct, frozen=True):
    """Who is to be made, with its password as typed."""

    username: str
    password: str
    email: str | None = None
    is_admin: bool = False
    password_is_initial: bool = False


async def add_user(house: House, scope: Scope, new: NewUser, actor: Actor | None = None) -> UserView:
    """Make an account in a transaction of its own; raises BadInput, UserExists, EmailTaken.

    ``actor`` is who makes it for somebody else; without one the new user is its own actor.
    """
    email = rules.normal_email(new.email)
    rules.refuse(rules.username_problem(new.username), rules.password_problem(new.password), rules.email_problem(email))
    password_hash = await house.passwords.hash(new.password)
    try:
        async with house.db.write() as w:
            user = await insert_user(w, scope, house, new, password_hash)
            await record(
                w,
                actor=actor or as_actor(user),
                action="user.create",
                object_type="user",
                object_id=user.id,
                details={"is_admin": user.is_admin, "group": user.group},
            )
    except IntegrityError as error:
        # Two requests at once on PostgreSQL: the slower one meets the index instead of the look-up.
        raise (EmailTaken if "email" in str(error.orig) else UserExists) from error
    await house.snapshots.refresh()
    return user


async def insert_user(w: Writer, scope: Scope, house: House, new: NewUser, password_hash: str) -> UserView:
    """Add the row and what other contexts need for it; raises UserExists or EmailTaken, or IntegrityError in a race."""
    key = rules.username_key(new.username)
    email = rules.normal_email(new.email)
    if await repository.by_username_key(w, scope, key) is not None:
        raise UserExists
    if email is not None and await repository.by_email(w, scope, email) is not None:
        raise EmailTaken
    now = clock.now()
    values: dict[str, Any] = {
        "username": new.username,
        "username_key": key,
        "password_hash": password_hash,
        "email": email,
        "is_active": True,
        "is_admin": new.is_admin,
        "group": "default",
        "password_is_initial": new.password_is_initial,
        "created_at": now,
        "updated_at": now,
    }
    user_id = await repository.add(w, scope, values)
    for opener in house.openers:
        await opener.open_account(w, scope, user_id)
    w.changed(TOPIC)
    return UserView(
        id=user_id,
        username=new.username,
        email=email,
        is_active=True,
        is_admin=new.is_admin,
        group="default",
        created_at=now,
        updated_at=now,
        last_login_at=None,
    )


async def set_password(w: Writer, scope: Scope, house: House, user: UserRow, new_hash: str) -> None:
    """Replace a password, end the user's sessions, and remove the file that held the first administrator's."""
    values = {"password_hash": new_hash, "password_is_initial": False}
    await repository.change(w, scope, user.view.id, values)
    await repository.revoke_all_sessions(w, scope, user.view.id, clock.now())
    house.forget_initial_password(w, user)
    w.changed(TOPIC)


def as_actor(user: UserView) -> Actor:
    """Return a user as the actor of what it does before it has a session."""
    return Actor(user_id=user.id, username=user.username, is_admin=user.is_admin, via="session", group=user.group)
