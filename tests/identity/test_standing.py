"""Whether a long answer may go on, from what is known of everybody."""

from typing import Any

import pytest

from tidemill.identity.contracts import KeyLimits
from tidemill.identity.snapshot import KnownKey, KnownUser, Snapshot
from tidemill.identity.standing import holds, standing
from tidemill.kernel import clock
from tidemill.kernel.actor import Actor

USER: dict[str, Any] = {
    "user_id": 7, "username": "ann", "is_active": True, "is_admin": False, "group": "default", "epoch": 3,
}  # fmt: skip
SESSION = Actor(user_id=7, username="ann", is_admin=False, via="session", session_id="s-1")
KEY = Actor(user_id=7, username="ann", is_admin=False, via="key", key_id="k-1", scopes=frozenset({"relay"}))


def known(*, revoked: frozenset[str] = frozenset(), key: Actor | None = KEY, **user: Any) -> Snapshot:
    keys = {} if key is None else {"k-1": KnownKey(key, KeyLimits(), None, None)}
    return Snapshot({7: KnownUser(**{**USER, **user})}, {}, revoked, keys)


@pytest.mark.parametrize("actor", [SESSION, KEY])
def test_it_holds_while_nothing_changes(actor: Actor) -> None:
    assert holds(known(), standing(known(), actor))


@pytest.mark.parametrize("actor", [SESSION, KEY])
@pytest.mark.parametrize("change", [{"is_active": False}, {"is_admin": True}])
def test_the_users_own_state_ends_it(actor: Actor, change: dict[str, Any]) -> None:
    assert not holds(known(**change), standing(known(), actor))
    assert not holds(Snapshot.empty(), standing(known(), actor))


def test_a_session_ends_with_its_sign_in_and_with_a_new_password() -> None:
    begun = standing(known(), SESSION)
    assert not holds(known(revoked=frozenset({"s-1"})), begun)
    assert not holds(known(epoch=4), begun)
    assert holds(known(revoked=frozenset({"another"})), begun)


def test_a_key_ends_when_it_is_gone_or_may_do_something_else() -> None:
    begun = standing(known(), KEY)
    assert not holds(known(key=None), begun)
    narrower = Actor(user_id=7, username="ann", is_admin=False, via="key", key_id="k-1")
    assert not holds(known(key=narrower), begun)
    assert holds(known(epoch=4), begun), "a new password takes back sessions, not keys"


def test_a_credential_lapses() -> None:
    lapsing = Actor(user_id=7, username="ann", is_admin=False, via="session", expires_at_s=clock.now().timestamp() + 60)
    begun = standing(known(), lapsing)
    assert holds(known(), begun)
    with clock.shifted(61):
        assert not holds(known(), begun)


def test_somebody_unknown_stands_on_nothing() -> None:
    assert not holds(known(), standing(Snapshot.empty(), SESSION))
