"""Hash and check passwords without holding up the loop.

argon2id with 19 MiB, two passes, one lane (the OWASP figures of 2024; about 25 ms), or bcrypt at cost 12 where the
settings say so. Both forms are always accepted; the one that is not in use asks to be renewed. The work runs in a
thread, two at a time: more would only take memory from the requests that are already being served.
"""

import asyncio
import re
import secrets
from functools import cache
from typing import TYPE_CHECKING, Literal

from tidemill.kernel.errors import BadInput

if TYPE_CHECKING:
    from argon2 import PasswordHasher

Scheme = Literal["argon2id", "bcrypt"]

AT_ONCE = 2
BCRYPT_ROUNDS = 12
BCRYPT_MAX_BYTES = 72
ARGON2_MEMORY_KIB = 19_456
ARGON2_PASSES = 2
_BCRYPT_FORM = re.compile(r"\$2[aby]\$\d\d\$[./0-9A-Za-z]{53}")
_ARGON2_FORM = re.compile(r"\$argon2(id|i|d)\$v=\d+\$m=\d+,t=\d+,p=\d+\$[+/0-9A-Za-z]+\$[+/0-9A-Za-z]+")


def is_hash(text: str) -> bool:
    """Tell whether ``text`` is a whole bcrypt or Argon2 hash."""
    return _BCRYPT_FORM.fullmatch(text) is not None or _ARGON2_FORM.fullmatch(text) is not None


def looks_like_hash(text: str) -> bool:
    """Tell whether ``text`` means to be a hash, whole or not."""
    return text.startswith(("$2a$", "$2b$", "$2y$", "$argon2"))


class Passwords:
    """One scheme for new hashes, both for checking."""

    def __init__(self, scheme: Scheme = "argon2id", *, bcrypt_rounds: int = BCRYPT_ROUNDS) -> None:
        self.scheme: Scheme = scheme
        self._rounds = bcrypt_rounds
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._decoy: str | None = None

    async def hash(self, password: str) -> str:
        """Return a new hash; raises BadInput for a password that bcrypt would cut."""
        if self.scheme == "bcrypt" and len(password.encode()) > BCRYPT_MAX_BYTES:
            raise BadInput.of("password", f"must have at most {BCRYPT_MAX_BYTES} bytes here")
        async with self._turn:
            return await asyncio.to_thread(self._hash, password)

    async def verify(self, stored: str | None, password: str) -> bool:
        """Tell whether ``password`` is the one behind ``stored``.

        Without a stored hash the answer is no, after the time that a real check takes.
        """
        async with self._turn:
            if self._decoy is None:
                # Made at the first check of either kind, so that its cost tells nothing.
                self._decoy = await asyncio.to_thread(self._hash, secrets.token_urlsafe(18))
            matches = await asyncio.to_thread(_check, stored or self._decoy, password)
            return matches and stored is not None

    def needs_renewal(self, stored: str) -> bool:
        """Tell whether a hash was made in another way than new ones are; bcrypt users keep theirs under bcrypt."""
        if self.scheme == "bcrypt":
            return not stored.startswith("$2")
        return not stored.startswith("$argon2id$") or _argon2().check_needs_rehash(stored)

    def _hash(self, password: str) -> str:
        if self.scheme == "argon2id":
            return _argon2().hash(password)
        import bcrypt  # noqa: PLC0415 - loaded on first use

        return bcrypt.hashpw(password.encode(), bcrypt.gensalt(self._rounds)).decode()


def _check(stored: str, password: str) -> bool:
    if not is_hash(stored):
        return False
    if stored.startswith("$argon2"):
        from argon2.exceptions import VerificationError, VerifyMismatchError  # noqa: PLC0415 - loaded on first use

        try:
            return _argon2().verify(stored, password)
        except (VerifyMismatchError, VerificationError):
            return False
    import bcrypt  # noqa: PLC0415 - loaded on first use

    # bcrypt reads 72 bytes and no more; hashes of longer passwords were made from their beginning.
    try:
        return bcrypt.checkpw(password.encode()[:BCRYPT_MAX_BYTES], stored.encode())
    except ValueError:
        return False


@cache
def _argon2() -> "PasswordHasher":
    from argon2 import PasswordHasher  # noqa: PLC0415 - loaded on first use

    return PasswordHasher(time_cost=ARGON2_PASSES, memory_cost=ARGON2_MEMORY_KIB, parallelism=1)
