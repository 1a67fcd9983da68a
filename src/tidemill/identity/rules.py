"""Pure decisions about names, passwords, addresses and what a key may hold."""

import ipaddress
import re
import unicodedata
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation

from tidemill.identity.contracts import KEY_SCOPES
from tidemill.kernel.errors import BadInput, FieldProblem

MIN_USERNAME, MAX_USERNAME = 3, 50
MIN_PASSWORD, MAX_PASSWORD = 8, 128
MAX_EMAIL = 254
MAX_KEY_NAME = 100
MAX_LIST = 100
MAX_BUDGET = Decimal(1_000_000_000)
NANO = 1_000_000_000
_EMAIL = re.compile(r"[^@\s\x00-\x1f]+@[^@\s\x00-\x1f]+\.[^@\s\x00-\x1f]+")


def username_key(username: str) -> str:
    """Return what two names must not share: the name without case and with one form for each character."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", storable(username)).casefold())


def storable(text: str) -> str:
    """Return a text that may be compared on any database: PostgreSQL takes no NUL character."""
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}")


def username_problem(username: str) -> FieldProblem | None:
    """Say what is wrong with a new user name: 3–50 characters, none of them blank or invisible."""
    if not MIN_USERNAME <= len(username) <= MAX_USERNAME:
        return FieldProblem("username", f"must have {MIN_USERNAME} to {MAX_USERNAME} characters")
    if any(character.isspace() or unicodedata.category(character)[0] == "C" for character in username):
        return FieldProblem("username", "must not hold spaces or invisible characters")
    return None


def password_problem(password: str, field: str = "password") -> FieldProblem | None:
    """Say what is wrong with a new password: 8–128 characters."""
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        return FieldProblem(field, f"must have {MIN_PASSWORD} to {MAX_PASSWORD} characters")
    if "\x00" in password:
        return FieldProblem(field, "must not hold a NUL character")
    return None


def normal_email(email: str | None) -> str | None:
    """Return the address as it is kept and compared: without surrounding blanks and without case; empty is none."""
    plain = (email or "").strip().lower()
    return plain or None


def email_problem(email: str | None) -> FieldProblem | None:
    """Say what is wrong with an address that is to be kept."""
    if email is not None and (len(email) > MAX_EMAIL or not _EMAIL.fullmatch(email)):
        return FieldProblem("email", "is not an email address")
    return None


def refuse(*problems: FieldProblem | None) -> None:
    """Raise BadInput with those problems that there are."""
    found = [problem for problem in problems if problem is not None]
    if found:
        raise BadInput("; ".join(f"{problem.field}: {problem.message}" for problem in found), fields=found)


def checked_key_name(name: str) -> str:
    """Return a key's name without surrounding blanks; raises BadInput unless it has 1–100 characters."""
    plain = name.strip()
    if not 1 <= len(plain) <= MAX_KEY_NAME:
        raise BadInput.of("name", f"must have 1 to {MAX_KEY_NAME} characters")
    return plain


def checked_scopes(scopes: Sequence[str], *, owner_is_admin: bool) -> list[str]:
    """Return the scopes in their usual order, each once; raises BadInput for an unknown, empty or too powerful list."""
    unknown = sorted(set(scopes) - set(KEY_SCOPES))
    if unknown:
        raise BadInput.of("scopes", f"{', '.join(unknown)}: no such scope; there are {', '.join(KEY_SCOPES)}")
    if not scopes:
        raise BadInput.of("scopes", "must name at least one scope")
    if "admin" in scopes and not owner_is_admin:
        raise BadInput.of("scopes", "admin: only an administrator's key may hold it")
    return [scope for scope in KEY_SCOPES if scope in scopes]


def checked_names(field: str, names: Sequence[str] | None) -> list[str] | None:
    """Return a list of names, each once; None stays None (all). Raises BadInput for blanks or more than 100."""
    if names is None:
        return None
    plain = list(dict.fromkeys(name.strip() for name in names))
    if len(plain) > MAX_LIST or any(not name or len(name) > MAX_EMAIL for name in plain):
        raise BadInput.of(field, f"must be at most {MAX_LIST} names, none of them empty")
    return plain


def checked_networks(networks: Sequence[str] | None) -> list[str] | None:
    """Return networks in CIDR form; a single address is a network of one. Raises BadInput naming ``networks``."""
    if networks is None:
        return None
    if len(networks) > MAX_LIST:
        raise BadInput.of("networks", f"must be at most {MAX_LIST} networks")
    try:
        return list(dict.fromkeys(str(ipaddress.ip_network(text.strip(), strict=False)) for text in networks))
    except ValueError as error:
        raise BadInput.of("networks", f"{error}; write them like 10.0.0.0/8 or 2001:db8::/32") from None


def checked_budget(budget: float | str | None) -> int | None:
    """Return a budget of credits as nano-credits (1e-9); raises BadInput unless it is a number from 0 to 1e9."""
    if budget is None:
        return None
    try:
        amount = Decimal(str(budget))
    except InvalidOperation:
        raise BadInput.of("budget", "must be a number of credits") from None
    if not amount.is_finite() or not 0 <= amount <= MAX_BUDGET:
        raise BadInput.of("budget", f"must be between 0 and {MAX_BUDGET}")
    return int((amount * NANO).to_integral_value())


def shown_budget(budget_nano: int | None) -> str | None:
    """Return nano-credits as decimal text in credits, without trailing zeros."""
    if budget_nano is None:
        return None
    whole, nano = divmod(budget_nano, NANO)
    return f"{whole}.{nano:09d}".rstrip("0").rstrip(".")


def checked_limit(field: str, limit: int | None) -> int | None:
    """Return a rate or concurrency limit; raises BadInput unless it is positive."""
    if limit is not None and not 1 <= limit <= 2_000_000_000:  # noqa: PLR2004 - fits a 32-bit column
        raise BadInput.of(field, "must be a positive whole number")
    return limit
