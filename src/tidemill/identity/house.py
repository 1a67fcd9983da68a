"""The tools that identity's services share, made once in the facade."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct

from tidemill.identity.contracts import Session, UserView
from tidemill.identity.passwords import Passwords
from tidemill.identity.ports import AccountOpener, BalanceReader, PasswordMailer, UsageReader, UserDataEraser
from tidemill.identity.repository import UserRow
from tidemill.identity.snapshot import SnapshotKeeper
from tidemill.identity.tokens import SessionTokens
from tidemill.platform.db import Database, Writer

# Rung with every change that authentication must hear of.
TOPIC = "identity"
PASSWORD_FILE = "initial-admin-password"  # noqa: S105 - the name of a file


class House(Struct, frozen=True, kw_only=True):
    """What the services work with. ``erasers`` and ``openers`` are the other contexts' parts of an account."""

    db: Database
    passwords: Passwords
    tokens: SessionTokens
    snapshots: SnapshotKeeper
    balances: BalanceReader
    usage: UsageReader | None
    mailer: PasswordMailer
    openers: Sequence[AccountOpener]
    erasers: Sequence[UserDataEraser]
    data_dir: Path
    open_registration: bool

    @property
    def password_file(self) -> Path:
        """Where the first administrator's generated password stands until it is changed."""
        return self.data_dir / PASSWORD_FILE

    def forget_initial_password(self, w: Writer, user: UserRow) -> None:
        """Remove the password file once this transaction has replaced the password that stands in it."""
        if user.password_is_initial:
            w.after_commit(lambda: self.password_file.unlink(missing_ok=True))

    def session(self, user: UserView, epoch: int, session_id: str | None = None) -> Session:
        """Issue a token for ``user``, valid while its count of revocations stays at ``epoch``."""
        token, claims = self.tokens.issue(user.id, user.username, epoch, is_admin=user.is_admin, session_id=session_id)
        return Session(token, datetime.fromtimestamp(claims.exp, tz=UTC), user)
