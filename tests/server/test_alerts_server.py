"""A server whose service dies and comes back, and the people who are told by webhook and by mail."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP

from tests.fixtures.processes import Server, ServerFactory
from tests.operations.alerts.test_mail import Inbox
from tests.relay.health.conftest import Service, key_of
from tests.relay.upstream import Request, Upstream, Wire, drops, refuses, upstream

DEADLINE_S = 60.0
KEY = "sk-of-the-service-1"


class Town:
    """The server and everybody around it."""

    def __init__(self, server: Server, service: Upstream, hook: Upstream, inbox: Inbox) -> None:
        self.server = server
        self.service = service
        self.hook = hook
        self.inbox = inbox
        self.token: str | None = None

    @property
    def posted(self) -> list[tuple[str, str]]:
        """What came by webhook: event and kind."""
        return [(request.body["event"], request.body["alert"]["kind"]) for request in self.hook.seen]

    @property
    def mailed(self) -> list[str]:
        return [str(message["Subject"]) for _, message in self.inbox.taken]

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        """Call the server as its administrator."""
        if self.token is None:
            self.token = await asyncio.to_thread(self.server.sign_in)
        if method == "GET":
            return await asyncio.to_thread(self.server.get, path, self.token)
        return await asyncio.to_thread(self.server.post, path, body, self.token)

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not holds():
                await asyncio.sleep(0.05)


async def takes(request: Request, wire: Wire) -> None:
    del request
    await wire.json({})


@pytest.fixture
async def town(make_server: ServerFactory) -> AsyncIterator[Town]:
    inbox, loop = Inbox(), asyncio.get_running_loop()
    smtp = await loop.create_server(lambda: SMTP(inbox, hostname="mail.test", loop=loop), "127.0.0.1", 0)
    async with upstream(Service()) as service, upstream(takes) as hook:
        settings = {
            "TIDEMILL_GATEWAY__PROBE_INTERVAL_S": "0.5",
            "TIDEMILL_GATEWAY__BREAKER_FAILURES": "2",
            "TIDEMILL_GATEWAY__KEY_RETEST_S": "1",
            "TIDEMILL_ALERTS__WEBHOOK_URL": f"{hook.url}/alerts?token=1",
            "TIDEMILL_ALERTS__MAIL_TO": "ops@example.com",
            "TIDEMILL_ALERTS__LANGUAGE": "en",
            "TIDEMILL_MAIL__HOST": "127.0.0.1",
            "TIDEMILL_MAIL__PORT": str(smtp.sockets[0].getsockname()[1]),
            "TIDEMILL_MAIL__SENDER": "mill@example.com",
            "TIDEMILL_MAIL__TLS": "none",
        }
        server = make_server(settings)
        await asyncio.to_thread(server.start)
        yield Town(server, service, hook, inbox)
        await asyncio.to_thread(server.stop)
    smtp.close()
    await smtp.wait_closed()


async def test_people_hear_of_a_dead_service_of_a_refused_key_and_of_their_return(town: Town) -> None:
    tried = await town.call("POST", "/api/v1/admin/alerts/test")
    assert [(way["way"], way["ok"]) for way in tried["ways"]] == [("webhook", True), ("mail", True)]
    wish = {"name": "vendor", "base_url": town.service.url, "models": ["m"], "keys": [KEY]}
    channel = await town.call("POST", "/api/v1/admin/channels", wish)

    town.hook.scripts.append(refuses(503))  # the message is sent again
    town.service.otherwise = drops
    await town.until(lambda: town.posted.count(("raised", "channel_down")) == 2 and len(town.mailed) == 2)
    [alert] = (await town.call("GET", "/api/v1/admin/alerts?status=active"))["items"]
    assert (alert["kind"], alert["subject_id"]) == ("channel_down", str(channel["id"]))
    script = town.service.otherwise = Service()
    await town.until(lambda: ("recovered", "channel_down") in town.posted and len(town.mailed) == 3)

    script.refused[KEY] = (401, "")
    await town.until(lambda: ("raised", "key_disabled") in town.posted and len(town.mailed) == 4)
    assert (await town.call("GET", f"/api/v1/admin/channels/{channel['id']}"))["status"] == "auto_disabled"
    script.refused.clear()
    await town.until(lambda: ("recovered", "key_disabled") in town.posted and len(town.mailed) == 5)
    assert (await town.call("GET", f"/api/v1/admin/channels/{channel['id']}"))["status"] == "enabled"

    assert town.mailed == [
        "[Tidemill] Test: Test alert",
        "[Tidemill] Alert: Channel vendor is down",
        "[Tidemill] Recovered: Channel vendor is down",
        "[Tidemill] Alert: Key …ce-1 of channel vendor is disabled: the service refuses it",
        "[Tidemill] Recovered: Key …ce-1 of channel vendor is disabled: the service refuses it",
    ]
    assert {key_of(request) for request in town.service.seen} == {KEY}
    history = (await town.call("GET", f"/api/v1/admin/channels/{channel['id']}/events"))["items"]
    assert [event["kind"] for event in reversed(history)] == ["opened", "closed", "key_refused", "key_back"]
    child = town.server.child
    assert child is not None
    for name in ("channel.down", "channel.up", "channel.key_disabled", "channel.key_enabled"):
        assert any(name in line for line in child.log)
    assert not any(KEY in line for line in child.log)
