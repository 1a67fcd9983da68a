"""What identity needs from the contexts above it; joined in wiring, run in the caller's transaction."""

import logging
from datetime import datetime
from typing import Protocol

from msgspec import Struct

from tidemill.kernel.actor import Scope
from tidemill.platform.db import Reader, Writer


class BalanceReader(Protocol):
    """Tells a user's credit."""

    async def balance(self, r: Reader, scope: Scope, user_id: int) -> int | float:
        """Return the credit balance of ``user_id``."""
        ...


class UsageSums(Struct, frozen=True):
    """What a user has used since some moment."""

    requests: int
    request_tokens: int
    response_tokens: int
    total_tokens: int


class UsageReader(Protocol):
    """Tells what a user has used."""

    async def usage_since(self, scope: Scope, since: datetime) -> UsageSums:
        """Return the sums of ``scope``'s calls that began at ``since`` (a full hour) or later."""
        ...


class AccountOpener(Protocol):
    """Does what a new user needs elsewhere, in the transaction that makes the user."""

    async def open_account(self, w: Writer, scope: Scope, user_id: int) -> None:
        """Prepare things for ``user_id``."""
        ...


class UserDataEraser(Protocol):
    """Deletes what a user owns elsewhere, in the transaction that deletes the user.

    Called before the user's row goes, so rows that refer to it must be gone or anonymous afterwards. Work outside
    the database (objects, vectors) is queued as a job in the same transaction or done in ``w.after_commit``.
    """

    async def erase(self, w: Writer, scope: Scope, user_id: int) -> None:
        """Delete everything of ``user_id``."""
        ...


class PasswordMailer(Protocol):
    """Sends a password reset to its owner."""

    def send_reset(self, email: str, token: str) -> None:
        """Hand the message over for sending; does not wait and does not fail the caller."""
        ...


STARTING_BALANCE = 1000


class StartingBalance:
    """The balance while nothing is metered: every user has what a new user gets."""

    async def balance(self, r: Reader, scope: Scope, user_id: int) -> int | float:
        """Return 1000."""
        del r, scope, user_id
        return STARTING_BALANCE


class NoMail:
    """Where no mail is set up, an administrator makes the token: ``tidemill users passwd --reset-token NAME``."""

    def send_reset(self, email: str, token: str) -> None:
        """Log that somebody waits; neither the address nor the token."""
        del email, token
        logging.getLogger("tidemill.identity").warning(
            "a password reset was asked for and mail is not set up; see the audit log for the account"
        )
