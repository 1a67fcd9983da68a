"""What one caller is held to: its key's limits and its user's."""

from tidemill.relay.limits.contracts import Bound
from tidemill.relay.ports import NO_LIMITS, CallerLimits
from tidemill.relay.rulebook import Rulebook


def bounds_of(user_id: int, key_id: str | None, group: str, limits: CallerLimits, rules: Rulebook) -> tuple[Bound, ...]:
    """Return a caller's bounds: ``limits`` hold for its key (a session's: for its user), ``rules`` for its user."""
    of_user = rules.user_bound(user_id, group)
    if limits == NO_LIMITS:
        return () if of_user is None else (of_user,)
    name = f"user:{user_id}" if key_id is None else f"key:{key_id}"
    own = Bound(name, limits.rpm, limits.tpm, limits.max_concurrent)
    if of_user is None:
        return (own,)
    return (_tighter(own, of_user),) if key_id is None else (own, of_user)


def _tighter(one: Bound, other: Bound) -> Bound:
    return Bound(
        one.name, _least(one.rpm, other.rpm), _least(one.tpm, other.tpm), _least(one.concurrent, other.concurrent)
    )


def _least(one: int | None, other: int | None) -> int | None:
    limits = [limit for limit in (one, other) if limit is not None]
    return min(limits) if limits else None
