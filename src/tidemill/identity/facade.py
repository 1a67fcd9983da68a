"""The door of identity: build it, start it, ask it who is calling."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec import Struct

from tidemill.audit.facade import AuditLog, Refusals
from tidemill.identity import first_administrator, repository_snapshot
from tidemill.identity.accounts import NewUser
from tidemill.identity.admin_service import UserAdministration
from tidemill.identity.attempts import SignInAttempts
from tidemill.identity.authenticator import SESSION_COOKIE, Authenticator, AuthFailure, Headers, Refused
from tidemill.identity.books import FLUSH_INTERVAL_S, Books
from tidemill.identity.house import TOPIC, House
from tidemill.identity.key_service import KeyService, KeyWish
from tidemill.identity.passwords import Passwords
from tidemill.identity.ports import (
    AccountOpener,
    BalanceReader,
    NoMail,
    PasswordMailer,
    StartingBalance,
    UsageReader,
    UserDataEraser,
)
from tidemill.identity.repository import UserSearch
from tidemill.identity.repository_keys import KeySearch
from tidemill.identity.second_look import SecondLook
from tidemill.identity.service import IdentityService
from tidemill.identity.snapshot import KnownKey, Snapshot, SnapshotKeeper
from tidemill.identity.standing import Standing, holds, standing
from tidemill.identity.tokens import SessionTokens
from tidemill.kernel import clock
from tidemill.kernel.actor import Actor, SystemReason, SystemScope
from tidemill.platform.db import Database
from tidemill.platform.secrets import Keyring, SecretBox
from tidemill.platform.settings.groups.admin import AdminSettings
from tidemill.platform.settings.groups.auth import AuthSettings
from tidemill.platform.tasks import TaskOwner
from tidemill.platform.telemetry import get_logger

__all__ = [
    "SESSION_COOKIE",
    "AuthFailure",
    "Authenticator",
    "Identity",
    "IdentityService",
    "KeySearch",
    "KeyService",
    "KeyWish",
    "KnownKey",
    "Neighbours",
    "NewUser",
    "Refused",
    "Standing",
    "UserAdministration",
    "UserSearch",
]

# About 1 ms of work; more of it goes to a thread.
ROWS_ON_THE_LOOP = 400
_SNAPSHOT = SystemScope(SystemReason.SNAPSHOT)
log = get_logger(__name__)


class Neighbours(Struct, frozen=True, kw_only=True):
    """What other contexts give to identity; the defaults stand until they do."""

    balances: BalanceReader = StartingBalance()
    usage: UsageReader | None = None
    mailer: PasswordMailer = NoMail()
    openers: Sequence[AccountOpener] = ()
    erasers: Sequence[UserDataEraser] = ()


class Identity:
    """All of identity for one process.

    ``users`` serves people, ``administration`` administrators, ``keys`` API keys, ``audit`` the log; ``authenticator``
    tells who calls, from ``snapshots``. Until ``start`` (or ``load``) nobody is known.
    """

    def __init__(
        self,
        db: Database,
        *,
        auth: AuthSettings,
        data_dir: Path,
        keyring: Keyring,
        box: SecretBox,
        neighbours: Neighbours | None = None,
        public_url: str | None = None,
    ) -> None:
        beside = neighbours or Neighbours()
        self._db = db
        self.snapshots = SnapshotKeeper(self._load)
        tokens = SessionTokens(keyring.signing, auth.expire_minutes * 60)
        self._house = House(
            db=db,
            passwords=Passwords(auth.password_hash),
            tokens=tokens,
            snapshots=self.snapshots,
            balances=beside.balances,
            usage=beside.usage,
            mailer=beside.mailer,
            openers=beside.openers,
            erasers=beside.erasers,
            data_dir=data_dir,
            open_registration=auth.open_registration,
        )
        refusals = Refusals()
        self.audit = AuditLog(db, refusals)
        self._books = Books(db, refusals, self.audit)
        self._second_look = SecondLook(db, self.snapshots)
        self.authenticator = Authenticator(self.snapshots, tokens, box, self._books, public_url)
        self.users = IdentityService(
            self._house,
            SignInAttempts(limited=auth.limits_login),
            SignInAttempts(limited=auth.limits_login),
            refusals,
        )
        self.administration = UserAdministration(self._house)
        self.keys = KeyService(self._house, box)

    async def ensure_first_administrator(self, admin: AdminSettings, say: Callable[[str], None]) -> bool:
        """Make the first administrator if there is none; ``say`` gets the line with a generated password."""
        return await first_administrator.ensure_first_administrator(self._house, admin.username, admin.password, say)

    async def identify(
        self,
        headers: Headers,
        query: bytes,
        client_ip: str | None,
        *,
        query_token: bool = False,
        cookie: bool = False,
        write: bool = True,
    ) -> Actor | AuthFailure:
        """Return who is calling, or why nobody is (see ``Authenticator.identify``).

        From memory; only a credential that another process may have made a moment ago is looked up, once.
        """
        ask = self.authenticator.identify
        found = ask(headers, query, client_ip, query_token=query_token, cookie=cookie, write=write)
        if isinstance(found, Actor) or not found.may_be_news:
            return found
        try:
            if await self._second_look.has_news(found):
                found = ask(headers, query, client_ip, query_token=query_token, cookie=cookie, write=write)
        except Exception as error:
            # A fallback beside the snapshot: with the database away, what memory knows still decides.
            log.warning("identity.second_look_failed", exc_info=error)
        if isinstance(found, AuthFailure) and found.may_be_news:
            self.authenticator.report(found, client_ip)
        return found

    def standing(self, actor: Actor) -> Standing:
        """Note what a caller who begins a long answer stands on."""
        return standing(self.snapshots.current, actor)

    def holds(self, begun: Standing) -> bool:
        """Tell whether a long answer may go on; from memory, about a microsecond."""
        return holds(self.snapshots.current, begun)

    async def load(self) -> None:
        """Read the snapshot once; enough for a command."""
        await self.snapshots.refresh()

    async def start(self, tasks: TaskOwner) -> None:
        """Read the snapshot, then follow every change and keep the books in the background."""
        self._db.subscribe(TOPIC, self.snapshots.mark_stale)
        await self.load()
        tasks.spawn("identity.follow", self.snapshots.follow(_not_loaded))
        tasks.spawn("identity.books", self._keep_books())

    async def flush(self) -> None:
        """Write what is counted and not yet written; call before the database closes."""
        await self._books.flush()

    async def _load(self) -> Snapshot:
        async with self._db.read() as r:
            rows = await repository_snapshot.read(r, _SNAPSHOT, clock.now())
        if len(rows) <= ROWS_ON_THE_LOOP:
            return repository_snapshot.build(rows)
        return await asyncio.to_thread(repository_snapshot.build, rows)

    async def _keep_books(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_INTERVAL_S)
            try:
                await self._books.flush()
            except Exception as error:
                # The edge of a background loop: what could not be written was given back and goes with the next.
                log.warning("identity.books_not_written", exc_info=error)


def _not_loaded(error: Exception) -> None:
    log.error("identity.snapshot_not_loaded", exc_info=error)
