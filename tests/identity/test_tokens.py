import base64
import json
import string

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.identity.tokens import SessionTokens
from tidemill.kernel import clock

KEY, OTHER = b"k" * 32, b"o" * 32
LIFETIME_S = 3600


def tokens(*keys: bytes) -> SessionTokens:
    return SessionTokens(keys or (KEY,), LIFETIME_S)


@given(
    user_id=st.integers(min_value=1, max_value=2**31),
    username=st.text(max_size=50),
    epoch=st.integers(0, 1000),
    is_admin=st.booleans(),
)
def test_reads_back_every_claim_it_issued(user_id: int, username: str, epoch: int, *, is_admin: bool) -> None:
    token, claims = tokens().issue(user_id, username, epoch, is_admin=is_admin)
    assert tokens().read(token) == claims
    assert (claims.user_id, claims.username, claims.epoch, claims.is_admin) == (user_id, username, epoch, is_admin)
    assert claims.exp - claims.iat == LIFETIME_S


def test_the_usual_library_reads_our_tokens() -> None:
    token, claims = tokens().issue(7, "阿里", 0, is_admin=True)
    read = jwt.decode(token, KEY, algorithms=["HS256"])
    assert read == {
        "user_id": 7,
        "username": "阿里",
        "is_admin": True,
        "iat": claims.iat,
        "exp": claims.exp,
        "jti": claims.jti,
        "epoch": 0,
    }


def test_we_read_the_usual_library_s_tokens() -> None:
    now = int(clock.now().timestamp())
    payload = {"user_id": 7, "username": "a", "is_admin": False, "iat": now, "exp": now + 60, "jti": "j"}
    read = tokens().read(jwt.encode(payload, KEY, "HS256"))
    assert read is not None
    assert (read.user_id, read.jti, read.epoch) == (7, "j", 0)


def test_no_other_algorithm_is_accepted() -> None:
    now = int(clock.now().timestamp())
    payload = {"user_id": 7, "username": "a", "is_admin": True, "iat": now, "exp": now + 60, "jti": "j"}
    long_key = KEY * 2
    assert tokens(long_key).read(jwt.encode(payload, long_key, "HS512")) is None
    assert tokens(long_key).read(jwt.encode(payload, "", "none")) is None
    head = base64.urlsafe_b64encode(json.dumps({"alg": "none"}).encode()).decode().rstrip("=")
    body = base64.urlsafe_b64encode(json.dumps(payload).encode()).decode().rstrip("=")
    assert tokens().read(f"{head}.{body}.") is None


def test_an_expired_token_is_worthless_from_the_second_on() -> None:
    token, _ = tokens().issue(1, "a", 0, is_admin=False)
    with clock.shifted(LIFETIME_S - 2):
        assert tokens().read(token) is not None
    with clock.shifted(LIFETIME_S + 1):
        assert tokens().read(token) is None


def test_a_token_of_another_server_is_worthless() -> None:
    token, _ = tokens(OTHER).issue(1, "a", 0, is_admin=True)
    assert tokens(KEY).read(token) is None


def test_a_rotated_key_keeps_sessions_alive() -> None:
    token, claims = tokens(KEY).issue(1, "a", 0, is_admin=False)
    assert tokens(OTHER, KEY).read(token) == claims


@given(st.data())
def test_one_altered_character_makes_a_token_worthless(data: st.DataObject) -> None:
    token, _ = tokens().issue(1, "a", 0, is_admin=False)
    position = data.draw(st.integers(0, len(token) - 1))
    wrong = data.draw(
        st.sampled_from([c for c in string.ascii_letters + string.digits + "-_." if c != token[position]])
    )
    assert tokens().read(token[:position] + wrong + token[position + 1 :]) is None


@given(st.text(max_size=200))
def test_any_other_text_is_no_token(text: str) -> None:
    assert tokens().read(text) is None


@pytest.mark.parametrize("text", ["a.b.c", "...", "", ".", "a" * 5000, "é.é.é", "a.b", "a.b.c.d"])
def test_malformed_tokens_are_refused_quietly(text: str) -> None:
    assert tokens().read(text) is None
    assert tokens().read_reset(text) is None


def test_a_reset_token_is_no_session_and_the_other_way_round() -> None:
    session, _ = tokens().issue(1, "a", 0, is_admin=True)
    reset = tokens().issue_reset(1, 0)
    assert tokens().read(reset) is None
    assert tokens().read_reset(session) is None
    assert tokens().read_reset(reset) is not None
    with clock.shifted(31 * 60):
        assert tokens().read_reset(reset) is None


def test_a_refreshed_token_belongs_to_the_same_sign_in() -> None:
    _, first = tokens().issue(1, "a", 0, is_admin=False)
    _, second = tokens().issue(1, "a", 0, is_admin=False, session_id=first.jti)
    assert second.jti == first.jti
