from tests.identity.conftest import ALL, PASSWORD, Client, add, bearer
from tidemill.identity.admin_service import UserChange
from tidemill.identity.contracts import UserView
from tidemill.identity.facade import Identity
from tidemill.kernel import clock


async def test_registers_signs_in_looks_at_itself_and_signs_out(http: Client) -> None:
    registered = await http.post("/api/register", json={"username": "testuser", "password": "password123"})
    assert registered.status_code == 200
    body = registered.json()
    assert body == {
        "code": 200,
        "message": "注册成功",
        "data": {"id": body["data"]["id"], "username": "testuser", "is_active": True, "is_admin": False},
    }

    signed_in = await http.post("/api/login", json={"username": "TestUser", "password": "password123"})
    body = signed_in.json()
    assert (body["code"], body["message"]) == (200, "登录成功")
    assert body["data"]["token_type"] == "bearer"
    assert body["data"]["user"] == {"id": body["data"]["user"]["id"], "username": "testuser", "is_admin": False}
    http.cookies.clear()
    header = {"authorization": f"Bearer {body['data']['access_token']}"}

    me = (await http.get("/api/me", headers=header)).json()["data"]
    assert (me["username"], me["balance"], me["role"]) == ("testuser", 1000, "user")
    bare = await http.get("/api/me", headers={"authorization": body["data"]["access_token"]})
    assert bare.status_code == 200

    assert (await http.post("/api/logout", headers=header)).json()["data"] is None
    after = await http.get("/api/me", headers=header)
    assert after.status_code == 401
    assert after.json()["code"] == 401
    assert after.json()["message"] == "Token 无效"


async def test_no_credential_answers_unauthenticated_in_the_envelope(http: Client) -> None:
    answer = await http.get("/api/me")
    assert answer.status_code == 401
    assert answer.json() == {"code": 401, "message": "未认证", "detail": "未认证"}


async def test_a_taken_name_answers_1001_whatever_its_case(http: Client, alice: UserView) -> None:
    answer = await http.post("/api/register", json={"username": alice.username.upper(), "password": PASSWORD})
    assert answer.status_code == 409
    assert answer.json()["code"] == 1001
    assert isinstance(answer.json()["detail"], str)


async def test_a_taken_address_answers_1001(http: Client) -> None:
    first = {"username": "carol", "password": PASSWORD, "email": "Carol@Example.com"}
    assert (await http.post("/api/register", json=first)).status_code == 200
    second = {"username": "caroline", "password": PASSWORD, "email": "carol@example.COM"}
    answer = await http.post("/api/register", json=second)
    assert (answer.status_code, answer.json()["code"]) == (409, 1001)


BAD_REGISTRATIONS = [
    ({"username": "ab", "password": PASSWORD}, "username"),
    ({"username": "a" * 51, "password": PASSWORD}, "username"),
    ({"username": "with space", "password": PASSWORD}, "username"),
    ({"username": "nul\x00l", "password": PASSWORD}, "username"),
    ({"username": "fine", "password": "1234567"}, "password"),
    ({"username": "fine", "password": "x" * 129}, "password"),
    ({"username": "fine", "password": PASSWORD, "email": "nowhere"}, "email"),
    ({"password": PASSWORD}, "username"),
    ({"username": "fine"}, "password"),
]


async def test_a_bad_registration_names_the_field(http: Client) -> None:
    for body, field in BAD_REGISTRATIONS:
        answer = await http.post("/api/register", json=body)
        assert (answer.status_code, answer.json()["code"]) == (400, 400), body
        assert [error["field"] for error in answer.json()["errors"]] == [field], body


async def test_every_refused_sign_in_looks_the_same(http: Client, identity: Identity, alice: UserView) -> None:
    sleeper = await add(identity, "sleeper")
    await identity.administration.change(ALL, sleeper.id, UserChange(is_active=False), None)
    answers = [
        await http.post("/api/login", json={"username": name, "password": password})
        for name, password in [
            ("nobody", PASSWORD),
            (alice.username, "wrong password"),
            ("sleeper", PASSWORD),
            ("nul\x00l", PASSWORD),
            (alice.username, ""),
        ]
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert {answer.content for answer in answers} == {answers[0].content}
    assert answers[0].json()["code"] == 1003


async def test_the_eleventh_failure_is_told_to_wait(http: Client, alice: UserView) -> None:
    for _ in range(10):
        await http.post("/api/login", json={"username": alice.username, "password": "wrong"})
    answer = await http.post("/api/login", json={"username": alice.username.upper(), "password": PASSWORD})
    assert answer.status_code == 429
    assert answer.json()["code"] == 429
    assert 0 < int(answer.headers["retry-after"]) <= 900
    with clock.shifted(901):
        assert (await http.post("/api/login", json={"username": "alice", "password": PASSWORD})).status_code == 200


async def test_the_rest_surface_registers_and_signs_in(http: Client) -> None:
    body = {"username": "testuser", "password": "password123", "email": "test@example.com"}
    made = await http.post("/api/v1/auth/register", json=body)
    assert made.status_code == 201
    user = made.json()["user"]
    assert user == {"id": user["id"], "username": "testuser", "email": "test@example.com", "tokens": 1000}
    again = await http.post("/api/v1/auth/login", json={"username": "testuser", "password": "password123"})
    assert again.status_code == 200
    assert again.json()["user"] == user
    http.cookies.clear()
    for token in (made.json()["token"], again.json()["token"]):
        profile = await http.get("/api/v1/auth/profile", headers={"authorization": f"Bearer {token}"})
        assert profile.json()["group"] == "default"
        assert profile.json()["balance"] == 1000


async def test_the_rest_surface_answers_errors_as_problem_json(http: Client) -> None:
    answer = await http.post("/api/v1/auth/login", json={"username": "nobody", "password": "wrong password"})
    assert answer.status_code == 401
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert answer.json()["type"] == "urn:tidemill:sign_in_refused"
    unknown = await http.post("/api/v1/auth/login", json={"username": "a", "password": "b", "remember": True})
    assert unknown.status_code == 400
    assert unknown.json()["errors"][0]["field"] == "remember"


async def test_refresh_lengthens_the_same_sign_in(http: Client, alice: UserView) -> None:
    header = await bearer(http, alice.username)
    answer = await http.post("/api/v1/auth/refresh", headers=header)
    assert answer.status_code == 200
    http.cookies.clear()
    fresh = {"authorization": f"Bearer {answer.json()['token']}"}
    assert (await http.get("/api/me", headers=fresh)).status_code == 200
    await http.post("/api/v1/auth/logout", headers=fresh)
    assert (await http.get("/api/me", headers=fresh)).status_code == 401
    assert (await http.get("/api/me", headers=header)).status_code == 401


async def test_a_new_password_ends_every_session_but_the_one_it_answers_with(http: Client, alice: UserView) -> None:
    mine, elsewhere = await bearer(http, alice.username), await bearer(http, alice.username)
    wrong = await http.post(
        "/api/v1/auth/password", headers=mine, json={"current_password": "nope nope", "new_password": "brand new 1"}
    )
    assert (wrong.status_code, wrong.json()["type"]) == (401, "urn:tidemill:wrong_password")
    short = await http.post(
        "/api/v1/auth/password", headers=mine, json={"current_password": PASSWORD, "new_password": "short"}
    )
    assert (short.status_code, short.json()["errors"][0]["field"]) == (400, "new_password")
    changed = await http.post(
        "/api/v1/auth/password", headers=mine, json={"current_password": PASSWORD, "new_password": "brand new 1"}
    )
    assert changed.status_code == 200
    http.cookies.clear()
    assert (await http.get("/api/me", headers=mine)).status_code == 401
    assert (await http.get("/api/me", headers=elsewhere)).status_code == 401
    replaced = {"authorization": f"Bearer {changed.json()['token']}"}
    assert (await http.get("/api/me", headers=replaced)).status_code == 200
    assert (await http.post("/api/login", json={"username": "alice", "password": PASSWORD})).status_code == 401
    assert (await http.post("/api/login", json={"username": "alice", "password": "brand new 1"})).status_code == 200


async def test_the_console_s_cookie_signs_in_reads_and_vouched_writes(http: Client, alice: UserView) -> None:
    answer = await http.post("/api/login", json={"username": alice.username, "password": PASSWORD})
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("tidemill_session=")
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie.replace("Strict", "strict")
    assert "Path=/" in cookie
    assert "Secure" not in cookie
    assert (await http.get("/api/me")).json()["data"]["username"] == "alice"

    made = {"name": "from the console"}
    assert (await http.post("/api/v1/keys", json=made)).status_code == 403
    foreign = {"x-tidemill": "1", "origin": "https://evil.test"}
    assert (await http.post("/api/v1/keys", json=made, headers=foreign)).status_code == 403
    ours = {"x-tidemill": "1", "origin": "http://mill.test"}
    assert (await http.post("/api/v1/keys", json=made, headers=ours)).status_code == 201
    assert (await http.post("/api/v1/keys", json=made, headers={"x-tidemill": "1"})).status_code == 201

    left = await http.post("/api/logout", headers=ours)
    assert left.status_code == 200
    assert "Max-Age=0" in left.headers["set-cookie"]
    assert (await http.get("/api/me")).status_code == 401


async def test_the_cookie_is_secure_when_the_page_is(http: Client, alice: UserView) -> None:
    body = {"username": alice.username, "password": PASSWORD}
    answer = await http.post("/api/login", json=body, headers={"origin": "https://mill.test"})
    assert "Secure" in answer.headers["set-cookie"]


async def test_messages_follow_the_caller_s_language(http: Client) -> None:
    body = {"username": "testuser", "password": "password123"}
    answer = await http.post("/api/register", json=body, headers={"accept-language": "en-GB,en;q=0.9"})
    assert answer.json()["message"] == "Registered."
