"""Who is calling, from memory: no database behind any of this."""

from datetime import UTC, datetime
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from tidemill.identity.authenticator import Authenticator, AuthFailure, Refused
from tidemill.identity.contracts import KeyLimits
from tidemill.identity.key_format import new_key
from tidemill.identity.snapshot import KnownKey, KnownUser, Snapshot, SnapshotKeeper
from tidemill.identity.tokens import SessionTokens
from tidemill.kernel import clock
from tidemill.kernel.actor import Actor
from tidemill.platform.secrets import Keyring, SecretBox

BOX = SecretBox(Keyring(signing=(b"s" * 32,), data=(b"d" * 32,), pepper=(b"p" * 32,)))
TOKENS = SessionTokens((b"s" * 32,), 864_000)
KEY, EXPIRING, FENCED, ORPHAN = new_key(), new_key(), new_key(), new_key()
ALICE = KnownUser(1, "alice", is_active=True, is_admin=True, group="vip", epoch=3)
SLEEPER = KnownUser(2, "sleeper", is_active=False, is_admin=False, group="default", epoch=0)
SOON = datetime.now(UTC).timestamp() + 86_400


def known(user: KnownUser, key_id: str, *, expires: float | None = None, networks: list[str] | None = None) -> KnownKey:
    actor = Actor(
        user_id=user.user_id,
        username=user.username,
        is_admin=user.is_admin,
        via="key",
        scopes=frozenset({"relay"}),
        group=user.group,
        key_id=key_id,
        models=frozenset({"m"}),
    )
    nets = None if networks is None else tuple(ip_network(text) for text in networks)
    return KnownKey(actor, KeyLimits(rpm=5), expires, nets)


KEYS = {
    BOX.hmac_hash(KEY): known(ALICE, "k1"),
    BOX.hmac_hash(EXPIRING): known(ALICE, "k2", expires=SOON),
    BOX.hmac_hash(FENCED): known(ALICE, "k3", networks=["10.0.0.0/8", "2001:db8::/32"]),
    BOX.hmac_hash(ORPHAN): known(SLEEPER, "k4"),
}
SNAPSHOT = Snapshot({1: ALICE, 2: SLEEPER}, KEYS, frozenset({"revoked"}), {})


class Notes:
    def __init__(self) -> None:
        self.used: list[tuple[str, str | None]] = []
        self.failures: list[AuthFailure] = []

    def key_used(self, key_id: str, client_ip: str | None) -> None:
        self.used.append((key_id, client_ip))

    def refused(self, failure: AuthFailure, client_ip: str | None) -> None:
        del client_ip
        self.failures.append(failure)


async def _never() -> Snapshot:
    raise AssertionError("authentication must not load anything")


def made(notes: Notes | None = None) -> Authenticator:
    keeper = SnapshotKeeper(_never)
    keeper.current = SNAPSHOT
    return Authenticator(keeper, TOKENS, BOX, notes or Notes(), "https://mill.example")


def token(user: KnownUser = ALICE, *, epoch: int | None = None, jti: str | None = None) -> str:
    chosen = user.epoch if epoch is None else epoch
    return TOKENS.issue(user.user_id, "an older name", chosen, is_admin=False, session_id=jti)[0]


def headers(**values: str) -> list[tuple[bytes, bytes]]:
    return [(name.replace("_", "-").encode(), value.encode()) for name, value in values.items()]


def reason(found: Actor | AuthFailure) -> Refused:
    assert isinstance(found, AuthFailure)
    return found.reason


PLACES: list[tuple[dict[str, str], str]] = [
    ({"authorization": "Bearer @"}, ""),
    ({"authorization": "bearer   @"}, ""),
    ({"authorization": "@"}, ""),
    ({"x_api_key": "@"}, ""),
    ({"x_goog_api_key": "@"}, ""),
    ({"authorization": "Basic dTpw", "x_api_key": "@"}, ""),
    ({}, "a=1&access_token=@"),
    ({"cookie": "a=b; tidemill_session=@"}, ""),
]


@pytest.mark.parametrize("credential", [KEY, token()], ids=["key", "session"])
@pytest.mark.parametrize(("sent", "query"), PLACES)
def test_finds_a_credential_wherever_it_may_stand(sent: dict[str, str], query: str, credential: str) -> None:
    given_headers = headers(**{name: value.replace("@", credential) for name, value in sent.items()})
    asked = query.replace("@", credential).encode()
    found = made().identify(given_headers, asked, "127.0.0.1", query_token=True, cookie=True, write=False)
    assert isinstance(found, Actor)
    assert found.username == "alice"


def test_a_key_in_the_query_is_gemini_s_way_and_only_for_keys() -> None:
    assert isinstance(made().identify([], f"alt=sse&key={KEY}".encode(), None), Actor)
    assert reason(made().identify([], f"key={token()}".encode(), None)) is Refused.MISSING
    assert reason(made().identify([], b"key=files/7", None)) is Refused.MISSING


def test_query_token_and_cookie_count_only_where_allowed() -> None:
    assert reason(made().identify([], f"access_token={token()}".encode(), None)) is Refused.MISSING
    assert reason(made().identify(headers(cookie=f"tidemill_session={token()}"), b"", None)) is Refused.MISSING


def test_the_first_credential_decides() -> None:
    found = made().identify(headers(authorization="Bearer nonsense", x_api_key=KEY), b"", None)
    assert reason(found) is Refused.BAD_TOKEN


def test_a_key_brings_its_limits_and_a_session_all_rights() -> None:
    by_key = made().identify(headers(x_api_key=KEY), b"", None)
    by_session = made().identify(headers(authorization=token(jti="j1")), b"", None)
    assert isinstance(by_key, Actor)
    assert isinstance(by_session, Actor)
    assert (by_key.via, by_key.key_id, by_key.models, by_key.group) == ("key", "k1", frozenset({"m"}), "vip")
    assert (by_key.may("relay"), by_key.may("datagen"), by_key.may_administer) == (True, False, False)
    assert (by_session.via, by_session.session_id, by_session.models) == ("session", "j1", None)
    # Name and role are today's, not those of the day the token was made.
    assert (by_session.username, by_session.may_administer) == ("alice", True)


@pytest.mark.parametrize(
    ("credential", "expected"),
    [
        ("sk-tm-short", Refused.MALFORMED),
        (KEY[:-1] + ("0" if KEY[-1] != "0" else "1"), Refused.MALFORMED),
        (new_key(), Refused.UNKNOWN_KEY),
        (ORPHAN, Refused.INACTIVE_USER),
        (FENCED, Refused.NETWORK),
        ("sk-proj-somebody-elses", Refused.BAD_TOKEN),
        (token(epoch=2), Refused.REVOKED_SESSION),
        (token(jti="revoked"), Refused.REVOKED_SESSION),
        (token(SLEEPER), Refused.INACTIVE_USER),
        (TOKENS.issue(99, "gone", 0, is_admin=True)[0], Refused.REVOKED_SESSION),
    ],
    # Credentials are made anew in each test process; the names of the tests must be the same in all.
    ids=[
        "short key",
        "wrong checksum",
        "unknown key",
        "key of nobody",
        "key from elsewhere",
        "foreign key",
        "old session",
        "revoked session",
        "session of a sleeper",
        "session of nobody",
    ],
)
def test_says_why_a_credential_is_refused_and_tells_the_witness(credential: str, expected: Refused) -> None:
    notes = Notes()
    door = made(notes)
    found = door.identify(headers(authorization=f"Bearer {credential}"), b"", "192.0.2.1")
    assert reason(found) is expected
    assert isinstance(found, AuthFailure)
    if found.may_be_news:
        assert notes.failures == []
        door.report(found, "192.0.2.1")
    assert notes.failures == [found]
    assert notes.used == []
    assert credential not in found.subject
    assert found.error().status == (403 if expected is Refused.NETWORK else 401)


def test_only_what_another_process_may_have_written_is_worth_a_second_look() -> None:
    def looks_again(credential: str) -> bool:
        found = made().identify(headers(authorization=credential), b"", None)
        return isinstance(found, AuthFailure) and found.may_be_news

    assert looks_again(new_key())
    assert looks_again(token(epoch=ALICE.epoch + 1))
    assert looks_again(TOKENS.issue(99, "new", 0, is_admin=False)[0])
    for stale in ("sk-tm-short", "rubbish", token(epoch=ALICE.epoch - 1), token(jti="revoked"), token(SLEEPER), ORPHAN):
        assert not looks_again(stale)


def test_no_credential_at_all_is_nothing_to_write_down() -> None:
    notes = Notes()
    assert reason(made(notes).identify([], b"", None)) is Refused.MISSING
    assert notes.failures == []


def test_a_key_ends_when_its_time_comes_without_a_reload() -> None:
    assert isinstance(made().identify(headers(x_api_key=EXPIRING), b"", None), Actor)
    with clock.shifted(86_401):
        assert reason(made().identify(headers(x_api_key=EXPIRING), b"", None)) is Refused.EXPIRED_KEY


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("10.9.8.7", True),
        ("::ffff:10.9.8.7", True),
        ("2001:db8::1", True),
        ("11.0.0.1", False),
        ("2001:db9::1", False),
        ("unix", False),
        (None, False),
    ],
)
def test_a_fenced_key_works_only_inside_its_networks(address: str | None, *, allowed: bool) -> None:
    found = made().identify(headers(x_api_key=FENCED), b"", address)
    assert isinstance(found, Actor) is allowed


def test_each_use_of_a_key_is_counted() -> None:
    notes = Notes()
    made(notes).identify(headers(x_api_key=KEY), b"", "192.0.2.1")
    assert notes.used == [("k1", "192.0.2.1")]


@pytest.mark.parametrize(
    ("extra", "allowed"),
    [
        ({}, False),
        ({"x_tidemill": "0"}, False),
        ({"x_tidemill": "1"}, True),
        ({"x_tidemill": "1", "origin": "http://mill.local:8080", "host": "mill.local:8080"}, True),
        ({"x_tidemill": "1", "origin": "https://mill.example", "host": "10.0.0.5:8080"}, True),
        ({"x_tidemill": "1", "origin": "https://evil.example", "host": "mill.local:8080"}, False),
        ({"x_tidemill": "1", "origin": "null", "host": "mill.local:8080"}, False),
        ({"origin": "http://mill.local:8080", "host": "mill.local:8080"}, False),
    ],
)
def test_a_write_by_cookie_needs_what_a_foreign_page_cannot_send(extra: dict[str, str], *, allowed: bool) -> None:
    given_headers = headers(cookie=f"tidemill_session={token()}", **extra)
    found = made().identify(given_headers, b"", None, cookie=True, write=True)
    assert isinstance(found, Actor) is allowed
    if not allowed:
        assert reason(found) is Refused.COOKIE_WRITE
    assert isinstance(made().identify(given_headers, b"", None, cookie=True, write=False), Actor)


def test_a_write_by_header_needs_no_more() -> None:
    given_headers = headers(authorization=f"Bearer {token()}", origin="https://evil.example", host="mill.local")
    assert isinstance(made().identify(given_headers, b"", None, cookie=True, write=True), Actor)


header_lists = st.lists(
    st.tuples(
        st.sampled_from([b"authorization", b"Authorization", b"x-api-key", b"x-goog-api-key", b"cookie", b"origin"]),
        st.binary(max_size=80),
    ),
    max_size=6,
)


@given(header_lists, st.binary(max_size=120), st.text(max_size=20))
def test_nothing_a_caller_sends_lets_a_stranger_in_or_breaks(
    sent: list[tuple[bytes, bytes]], query: bytes, address: str
) -> None:
    found = made().identify(sent, query, address, query_token=True, cookie=True)
    assert isinstance(found, AuthFailure)


class CountingHashes:
    """Hashes, and counts how often it was asked to."""

    def __init__(self) -> None:
        self.asked = 0

    def hmac_hashes(self, text: str) -> tuple[str, ...]:
        self.asked += 1
        return BOX.hmac_hashes(text)


def test_a_key_is_hashed_once_a_snapshot_and_judged_at_every_call() -> None:
    keeper, hashes, notes = SnapshotKeeper(_never), CountingHashes(), Notes()
    keeper.current = SNAPSHOT
    door = Authenticator(keeper, TOKENS, hashes, notes)
    for _ in range(5):
        assert isinstance(door.identify(headers(x_api_key=EXPIRING), b"", None), Actor)
        assert isinstance(door.identify(headers(x_api_key=FENCED), b"", "10.1.2.3"), Actor)
        assert reason(door.identify(headers(x_api_key=FENCED), b"", "192.0.2.1")) is Refused.NETWORK
    assert hashes.asked == 2
    assert len(notes.used) == 10, "every use is counted"
    with clock.shifted(2 * 86_400):
        assert reason(door.identify(headers(x_api_key=EXPIRING), b"", None)) is Refused.EXPIRED_KEY


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (Snapshot({1: ALICE}, {}, frozenset(), {}), Refused.UNKNOWN_KEY),
        (
            Snapshot({1: structs.replace(ALICE, is_active=False)}, KEYS, frozenset(), {}),
            Refused.INACTIVE_USER,
        ),
        (
            Snapshot({1: ALICE}, {BOX.hmac_hash(KEY): known(ALICE, "k1", networks=["10.0.0.0/8"])}, frozenset(), {}),
            Refused.NETWORK,
        ),
        (
            Snapshot({1: ALICE}, {BOX.hmac_hash(KEY): known(ALICE, "k1", expires=1.0)}, frozenset(), {}),
            Refused.EXPIRED_KEY,
        ),
    ],
    ids=["revoked", "owner put to sleep", "fenced in", "expiry moved"],
)
def test_what_is_changed_about_a_known_key_holds_from_the_next_snapshot_on(
    changed: Snapshot, expected: Refused
) -> None:
    keeper = SnapshotKeeper(_never)
    keeper.current = SNAPSHOT
    door = Authenticator(keeper, TOKENS, BOX, Notes())
    assert isinstance(door.identify(headers(x_api_key=KEY), b"", "192.0.2.1"), Actor)
    keeper.current = changed
    assert reason(door.identify(headers(x_api_key=KEY), b"", "192.0.2.1")) is expected
