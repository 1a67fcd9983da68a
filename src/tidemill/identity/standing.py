"""What a long answer's caller stands on: rights that may end before the answer does.

A request is over before its credential can be taken back; an event stream is not. Whoever keeps one open asks now and
then, from memory, whether what was true at its beginning still is.
"""

from msgspec import Struct

from tidemill.identity.snapshot import Snapshot
from tidemill.kernel import clock
from tidemill.kernel.actor import Actor


class Standing(Struct, frozen=True):
    """A caller as found at the beginning; ``epoch`` is the count of the user's revocations then."""

    actor: Actor
    epoch: int


def standing(snapshot: Snapshot, actor: Actor) -> Standing:
    """Note what ``actor``, who was just found in ``snapshot``, stands on."""
    user = snapshot.users.get(actor.user_id)
    return Standing(actor, -1 if user is None else user.epoch)


def holds(snapshot: Snapshot, begun: Standing) -> bool:
    """Tell whether the credential is neither taken back nor lapsed, and the user's rights are the same."""
    actor = begun.actor
    user = snapshot.users.get(actor.user_id)
    if user is None or not user.is_active or user.is_admin != actor.is_admin:
        return False
    if actor.expires_at_s is not None and actor.expires_at_s <= clock.now().timestamp():
        return False
    if actor.key_id is not None:
        known = snapshot.keys_by_id.get(actor.key_id)
        return known is not None and known.actor == actor
    return user.epoch == begun.epoch and actor.session_id not in snapshot.revoked
