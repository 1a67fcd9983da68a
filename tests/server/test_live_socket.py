"""The WebSocket of a running server: who gets in, what is answered, and how it ends."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest

from tests.fixtures.processes import Server, ServerFactory
from tests.server.live_clients import PATH, bare, bearer, signed_in, talking
from tidemill.server.live import closing
from tidemill.server.live.bounds import MAX_FRAME_BYTES

FRONT = "http://front.example"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    factory = ServerFactory(tmp_path_factory.mktemp("sockets"))
    yield factory({"TIDEMILL_CORS__ORIGINS": FRONT, "TIDEMILL_LIMITS__MAX_WATCHERS_PER_USER": "20"}).start()
    factory.close()


@pytest.fixture(scope="module")
def admin(running: Server) -> str:
    return running.sign_in()


def registered(server: Server, name: str) -> str:
    """Return the token of a new user."""
    return str(server.post("/api/v1/auth/register", {"username": name, "password": "a-Password-1"})["token"])


def key_of(server: Server, token: str, **fields: Any) -> dict[str, Any]:
    """Return a new API key with its secret."""
    made: dict[str, Any] = server.post("/api/v1/keys", {"name": "k", "scopes": ["relay"], **fields}, token)
    return made


# --- getting in


async def test_a_header_signs_in_and_the_greeting_says_who_and_what(running: Server, admin: str) -> None:
    async with talking(running, admin) as talk:
        ready = await talk.hear()
        assert (ready["v"], ready["type"], ready["seq"]) == (1, "ready", 1)
        assert ready["data"]["username"] == "admin"
        assert ready["data"]["topics"] == ["alerts", "jobs", "notices", "tasks", "usage"]
        assert ready["data"]["may_watch_all"] is True
    async with bare(running, admin) as peer:
        assert "x-request-id: " in peer.head
        assert "x-content-type-options: nosniff" in peer.head


async def test_a_subprotocol_signs_in_and_is_not_echoed(running: Server, admin: str) -> None:
    async with talking(running, protocols=("tidemill.v1", f"bearer.{admin}")) as talk:
        assert talk.ws.protocol == "tidemill.v1"
        assert (await talk.hear())["type"] == "ready"


async def test_the_first_frame_signs_in_and_its_id_comes_back(running: Server, admin: str) -> None:
    async with talking(running) as talk:
        await talk.say("auth", {"token": admin}, id="first")
        ready = await talk.hear()
        assert (ready["type"], ready["id"]) == ("ready", "first")


async def test_a_key_watches_what_its_scopes_cover(running: Server, admin: str) -> None:
    relay, datagen = (key_of(running, admin, scopes=[scope])["key"] for scope in ("relay", "datagen"))
    async with talking(running, relay) as talk:
        assert "tasks" not in (await talk.hear())["data"]["topics"]
        await talk.say("subscribe", {"topics": ["tasks"]}, id="1")
        refused = await talk.hear()
        assert (refused["type"], refused["id"], refused["data"]["code"]) == ("error", "1", "forbidden")
        assert refused["data"]["retryable"] is False
    async with talking(running, datagen) as talk:
        assert "tasks" in (await talk.hear())["data"]["topics"]


@pytest.mark.parametrize(
    ("origin", "code"),
    [("own", None), (FRONT, None), ("http://evil.example", closing.FORBIDDEN), (None, closing.FORBIDDEN)],
)
async def test_a_cookie_counts_from_our_own_pages_alone(
    running: Server, admin: str, origin: str | None, code: int | None
) -> None:
    sent = running.base_url if origin == "own" else origin
    headers = {"Cookie": f"tidemill_session={admin}", **({"Origin": sent} if sent else {})}
    async with talking(running, headers=headers) as talk:
        if code is None:
            assert (await talk.hear())["type"] == "ready"
        else:
            assert await talk.closed() == code
            assert talk.heard[0]["data"]["code"] == "origin_refused"


async def test_an_own_token_counts_from_any_page(running: Server, admin: str) -> None:
    async with talking(running, admin, headers={"Origin": "http://evil.example"}) as talk:
        assert (await talk.hear())["type"] == "ready"


async def test_whoever_is_not_signed_in_is_told_so_in_their_language(running: Server) -> None:
    async with talking(running, "not-a-token", headers={"Accept-Language": "zh"}) as talk:
        assert await talk.closed() == closing.NOT_SIGNED_IN
        assert talk.heard[0]["data"]["message"] == "Token 无效"
    for frame in ({"type": "auth", "data": {"token": "wrong"}}, {"type": "subscribe"}, {"type": "auth"}):
        async with talking(running) as talk:
            await talk.ws.send_json({"v": 1, **frame})
            assert await talk.closed() == closing.NOT_SIGNED_IN
    async with talking(running) as talk:
        assert await talk.closed() == closing.NO_AUTH_IN_TIME


async def test_there_is_no_other_websocket(running: Server, admin: str) -> None:
    async with aiohttp.ClientSession() as session:
        for path in ("/api/v1/other", "/healthz", "/"):
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await session.ws_connect(running.base_url + path, headers=bearer(admin))
            assert caught.value.status == 403
        async with session.get(running.base_url + PATH, headers=bearer(admin)) as answer:
            assert answer.status == 404


# --- talking


async def test_topics_are_taken_and_given_back(running: Server, admin: str) -> None:
    async with signed_in(running, admin) as talk:
        await talk.say("subscribe", {"topics": ["jobs", "usage"]}, id="a")
        first = await talk.hear()
        assert (first["type"], first["id"], first["data"]["topics"]) == ("subscribed", "a", ["jobs", "usage"])
        await talk.say("subscribe", {"topics": ["tasks"], "all": True})
        assert (await talk.hear())["data"] == {**first["data"], "topics": ["jobs", "tasks", "usage"], "all": True} | {
            "after": talk.heard[-1]["data"]["after"]
        }
        await talk.say("unsubscribe", {"topics": ["jobs", "never-heard-of"]})
        assert (await talk.hear())["data"]["topics"] == ["tasks", "usage"]
        await talk.say("unsubscribe")
        assert (await talk.hear())["data"]["topics"] == []
        await talk.say("subscribe")
        assert (await talk.hear())["data"]["topics"] == ["alerts", "jobs", "notices", "tasks", "usage"]
        assert [frame["seq"] for frame in talk.heard] == list(range(1, len(talk.heard) + 1))


async def test_wrong_frames_are_answered_and_the_socket_lives_on(running: Server, admin: str) -> None:
    async with signed_in(running, admin) as talk:
        for kind, data, code in (
            ("nonsense", None, "unknown_frame"),
            ("subscribe", {"topics": ["secrets"]}, "bad_input"),
            ("subscribe", {"topics": "jobs"}, "bad_input"),
            ("resume", {"after": "1"}, "not_watching"),
            ("resume", {}, "bad_input"),
        ):
            await talk.say(kind, data, id=kind)
            answer = await talk.hear()
            assert (answer["type"], answer["id"], answer["data"]["code"]) == ("error", kind, code)
        await talk.say("subscribe", {"topics": ["jobs"], "after": "yesterday"})
        assert [(await talk.hear())["type"] for _ in range(2)] == ["subscribed", "error"]
        await talk.say("ping", id="p")
        pong = await talk.hear()
        assert (pong["type"], pong["id"], pong["data"]["after"].isdigit()) == ("pong", "p", True)


async def test_a_user_may_not_watch_everybody(running: Server) -> None:
    async with signed_in(running, registered(running, "wally")) as talk:
        await talk.say("subscribe", {"topics": ["jobs"], "all": True})
        assert (await talk.hear())["data"]["code"] == "administrator_required"


@pytest.mark.parametrize(
    "text", ["{", "[]", "null", '{"v":2,"type":"ping"}', '{"v":1}', '{"v":1,"type":""}', '{"type":"ping","id":7}', "\0"]
)
async def test_what_is_no_frame_ends_it(running: Server, admin: str, text: str) -> None:
    async with signed_in(running, admin) as talk:
        await talk.ws.send_str(text)
        assert await talk.closed() == closing.BAD_FRAME


async def test_binary_frames_and_bad_utf8_end_it(running: Server, admin: str) -> None:
    async with signed_in(running, admin) as talk:
        await talk.ws.send_bytes(b'{"v":1,"type":"ping"}')
        assert await talk.closed() == closing.BAD_FRAME
    async with bare(running, admin) as peer:
        peer.frame(1, b"\xff\xfe")
        assert await peer.close_code() == 1007


@pytest.mark.parametrize("pieces", [1, 4])
async def test_a_giant_frame_ends_it_whole_or_in_pieces(running: Server, admin: str, pieces: int) -> None:
    async with bare(running, admin) as peer:
        piece = b"x" * (MAX_FRAME_BYTES // pieces + 1)
        for number in range(pieces):
            peer.frame(1 if number == 0 else 0, piece, fin=number == pieces - 1)
        assert await peer.close_code() == 1009


async def test_a_frame_may_come_in_pieces(running: Server, admin: str) -> None:
    async with bare(running, admin) as peer:
        await peer.read_frame()
        peer.frame(1, b'{"v":1,"ty', fin=False)
        peer.frame(0, b'pe":"ping"}')
        opcode, payload = await peer.read_frame()
        assert (opcode, json.loads(payload)["type"]) == (1, "pong")


async def test_a_flood_of_frames_ends_it(running: Server, admin: str) -> None:
    async with signed_in(running, admin) as talk:
        for _ in range(300):
            await talk.say("ping")
        assert await talk.closed() == closing.POLICY


# --- ending


async def test_signing_out_ends_the_socket_of_that_session(running: Server) -> None:
    token = registered(running, "olga")
    other = str(running.post("/api/v1/auth/login", {"username": "olga", "password": "a-Password-1"})["token"])
    async with signed_in(running, token) as talk, signed_in(running, other) as stays:
        running.post("/api/v1/auth/logout", {}, token)
        assert await talk.closed() == closing.NOT_SIGNED_IN
        await stays.say("ping")
        assert (await stays.hear())["type"] == "pong"


async def test_a_revoked_key_ends_its_sockets(running: Server, admin: str) -> None:
    made = key_of(running, admin)
    async with signed_in(running, made["key"]) as talk:
        running.post(f"/api/v1/keys/{made['id']}/revoke", {}, admin)
        assert await talk.closed() == closing.NOT_SIGNED_IN


async def test_a_newer_credential_keeps_it_open(running: Server) -> None:
    token = registered(running, "rita")
    newer = str(running.post("/api/v1/auth/login", {"username": "rita", "password": "a-Password-1"})["token"])
    async with signed_in(running, token) as talk:
        await talk.say("auth", {"token": newer}, id="again")
        assert (await talk.hear())["id"] == "again"
        running.post("/api/v1/auth/logout", {}, token)
        async with asyncio.timeout(4):
            while True:  # two looks at everybody's rights
                await talk.say("ping")
                await talk.hear()
                await asyncio.sleep(0.5)
                if len(talk.heard) > 6:
                    break
        await talk.say("auth", {"token": registered(running, "mallory")})
        assert await talk.closed() == closing.FORBIDDEN


async def test_too_many_of_one_user_are_put_off(running: Server) -> None:
    token = registered(running, "manny")
    async with aiohttp.ClientSession() as session:
        sockets = [await session.ws_connect(running.base_url + PATH, headers=bearer(token)) for _ in range(20)]
        for socket in sockets:
            assert (await socket.receive()).type is aiohttp.WSMsgType.TEXT
        async with talking(running, token) as talk:
            assert await talk.closed() == closing.TRY_LATER
            assert talk.heard[0]["data"]["retryable"] is True
        async with session.get(f"{running.base_url}/api/v1/events", headers=bearer(token)) as answer:
            assert (answer.status, answer.headers["retry-after"]) == (429, "5")
            assert (await answer.json(content_type=None))["type"] == "urn:tidemill:too_many_watchers"


async def test_figures_of_sockets(running: Server, admin: str) -> None:
    async with signed_in(running, admin) as talk:
        async with aiohttp.ClientSession() as session, session.get(f"{running.base_url}/metrics") as answer:
            text = await answer.text()
        assert 'tidemill_live_watchers{kind="ws"}' in text
        assert 'tidemill_http_requests_total{method="GET",status="101",surface="ws"}' in text
        await talk.say("ping")
        await talk.hear()


async def test_a_stopping_server_sends_everybody_away(make_server: ServerFactory) -> None:
    server = make_server().start()
    token = server.sign_in()
    async with signed_in(server, token) as talk, bare(server, token):
        # The second one reads nothing and says nothing: the server does not wait for it.
        stopping = asyncio.create_task(asyncio.to_thread(server.stop))
        assert await talk.closed() == closing.GOING_AWAY
        async with asyncio.timeout(15):
            assert await stopping == 0
