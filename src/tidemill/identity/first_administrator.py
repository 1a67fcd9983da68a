"""Make the first administrator, once.

Runs at every boot and does nothing while there is an administrator. With a configured password (plain, or a whole
bcrypt or Argon2 hash) that one holds; otherwise a random one is printed once and kept in a file that only its owner
can read, until it is changed.
"""

import os
import secrets
from collections.abc import Callable
from pathlib import Path

from tidemill.audit.facade import record
from tidemill.identity import repository, rules
from tidemill.identity.accounts import NewUser, insert_user
from tidemill.identity.errors import FirstAdministratorImpossible, UserExists
from tidemill.identity.house import House
from tidemill.identity.passwords import is_hash, looks_like_hash
from tidemill.kernel.actor import SystemReason, SystemScope
from tidemill.platform.db import IntegrityError

_BOOT = SystemScope(SystemReason.BOOT)
# No look-alikes: this one is read from a terminal and typed.
_READABLE = "abcdefghjkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_GENERATED_CHARACTERS = 20


async def ensure_first_administrator(
    house: House, username: str, configured: str | None, say: Callable[[str], None]
) -> bool:
    """Make the administrator if there is none; returns whether it was made.

    ``say`` gets the one line with the generated password. Raises FirstAdministratorImpossible when the configured
    name or password cannot be used; two processes that start at once make one administrator.
    """
    async with house.db.read() as r:
        if await repository.administrator_exists(r, _BOOT):
            return False
    generated = None if configured else "".join(secrets.choice(_READABLE) for _ in range(_GENERATED_CHARACTERS))
    password_hash = await _hash_of(house, username, generated or configured or "")
    new = NewUser(username, "", is_admin=True, password_is_initial=generated is not None)
    try:
        async with house.db.write() as w:
            if await repository.administrator_exists(w, _BOOT):
                return False
            user = await insert_user(w, _BOOT, house, new, password_hash)
            details = {"is_admin": True, "configured": generated is None}
            await record(w, actor=None, action="user.create", object_type="user", object_id=user.id, details=details)
            if generated is not None:
                # Before the commit: an administrator whose password nobody knows would be worse than a stale file.
                _write_private(house.password_file, generated + "\n")
    except (UserExists, IntegrityError) as error:
        # On PostgreSQL another process may have made it after we looked: then its name is taken, and all is well.
        async with house.db.read() as r:
            if await repository.administrator_exists(r, _BOOT):
                return False
        if isinstance(error, UserExists):
            raise FirstAdministratorImpossible(
                reason=f"an ordinary user is already called {username} / 普通用户已占用该用户名"
            ) from None
        raise
    if generated is not None:
        say(f"administrator: {username} password: {generated}")
    await house.snapshots.refresh()
    return True


async def _hash_of(house: House, username: str, password: str) -> str:
    problem = rules.username_problem(username)
    if problem is not None:
        raise FirstAdministratorImpossible(reason=f"admin.username {problem.message}")
    if is_hash(password):
        return password
    if looks_like_hash(password):
        raise FirstAdministratorImpossible(reason="admin.password is not a whole hash / 密码哈希不完整")
    problem = rules.password_problem(password)
    if problem is not None:
        raise FirstAdministratorImpossible(reason=f"admin.password {problem.message}")
    return await house.passwords.hash(password)


def _write_private(path: Path, text: str) -> None:
    """Replace ``path`` by a file of mode 0600, so that it is never readable by others and never half written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
