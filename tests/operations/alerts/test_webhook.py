"""Messages posted to a real local server: signed, told apart from failures, never sent where they must not go."""

import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.relay.upstream import Request, Script, Wire, drops, refuses, upstream
from tidemill.kernel import clock
from tidemill.operations.alerts.contracts import AlertView
from tidemill.operations.alerts.ports import Message, Undelivered
from tidemill.operations.alerts.webhook import Webhook, form_of, refusal_in

AT = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
ALERT = AlertView(
    id="a1",
    kind="channel_down",
    severity="critical",
    status="open",
    subject_type="channel",
    subject_id="1",
    title="渠道 a 不可用",
    text="请检查该服务。",
    details={"channel": "a"},
    raised_at=AT,
    last_seen_at=AT,
    count=1,
    sent_at=None,
    acknowledged_at=None,
    acknowledged_by=None,
    recovered_at=None,
)
RAISED = Message("raised", ALERT, "zh")


def answers(status: int = 200, body: Any = None) -> Script:
    async def script(request: Request, wire: Wire) -> None:
        del request
        await wire.json({} if body is None else body, status)

    return script


def hook(url: str, **options: Any) -> Webhook:
    given: dict[str, Any] = {"secret": "s3cret", "form": "auto", "allow_private": True, **options}
    return Webhook(url, **given)


async def test_it_posts_json_that_its_reader_can_verify() -> None:
    async with upstream(answers()) as server:
        await hook(server.url + "/in?key=1").send(RAISED)
    [request] = server.seen
    assert request.path == "/in?key=1"
    stamp = request.headers["x-tidemill-timestamp"]
    assert abs(int(stamp) - clock.unix_s()) < 60
    expected = hmac.new(b"s3cret", stamp.encode() + b"." + request.raw, hashlib.sha256).hexdigest()
    assert request.headers["x-tidemill-signature"] == f"sha256={expected}"
    body = request.body
    assert body["text"].startswith("[Tidemill] 告警: 渠道 a 不可用\n请检查该服务。\n开始：2026-11-22 08:00:00 UTC")
    assert (body["event"], body["alert"]["id"], body["alert"]["details"]) == ("raised", "a1", {"channel": "a"})


async def test_without_a_secret_nothing_claims_to_be_signed() -> None:
    async with upstream(answers()) as server:
        await hook(server.url, secret=None).send(RAISED)
    assert "x-tidemill-signature" not in server.seen[0].headers


@pytest.mark.parametrize(
    ("form", "body"),
    [
        ("feishu", {"msg_type": "text", "content": {"text": "T"}}),
        ("dingtalk", {"msgtype": "text", "text": {"content": "T"}}),
    ],
)
async def test_robots_get_the_body_that_they_read(form: str, body: Any) -> None:
    async with upstream(answers()) as server:
        await hook(server.url, form=form).send(RAISED)
    sent = server.seen[0].body
    text = sent["content"]["text"] if form == "feishu" else sent["text"]["content"]
    assert text.startswith("[Tidemill]")
    assert json.dumps(sent).replace(json.dumps(text), '"T"') == json.dumps(body)


def test_robots_are_known_by_their_address() -> None:
    assert form_of("https://open.feishu.cn/open-apis/bot/v2/hook/x") == "feishu"
    assert form_of("https://open.larksuite.com/x") == "feishu"
    assert form_of("https://oapi.dingtalk.com/robot/send?access_token=x") == "dingtalk"
    assert form_of("https://hooks.slack.com/services/T/B/X") == "json"
    assert form_of("https://evil.example/feishu.cn") == "json"
    assert [refusal_in(data) for data in (b"", b"[]", b'{"code":0}', b'{"errcode":310000}', b'{"code":19024}')] == [
        0,
        0,
        0,
        310000,
        19024,
    ]


async def test_a_robots_refusal_under_200_is_a_failure() -> None:
    async with upstream(answers(200, {"errcode": 310000, "errmsg": "no"})) as server:
        with pytest.raises(Undelivered, match="310000"):
            await hook(server.url, form="dingtalk").send(RAISED)


@pytest.mark.parametrize(
    ("script", "lasting", "pause_s"),
    [
        (refuses(500), False, 0.0),
        (refuses(429, headers=[("retry-after", "9")]), False, 9.0),
        (refuses(429, headers=[("retry-after", "99999999")]), False, 3600.0),
        (refuses(404), True, 0.0),
        (refuses(301, headers=[("location", "http://127.0.0.1:1/")]), True, 0.0),
        (drops, False, 0.0),
    ],
)
async def test_failures_tell_whether_another_try_makes_sense(script: Script, pause_s: float, *, lasting: bool) -> None:
    async with upstream(script) as server:
        with pytest.raises(Undelivered) as refused:
            await hook(server.url).send(RAISED)
    assert (refused.value.lasting, refused.value.retry_after_s) == (lasting, pause_s)
    assert server.url not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/", "http://169.254.169.254/latest", "ftp://example.com/", "http://localhost/"]
)
async def test_it_goes_nowhere_that_is_forbidden(url: str) -> None:
    with pytest.raises(Undelivered) as refused:
        await hook(url, allow_private=False).send(RAISED)
    assert refused.value.lasting


async def test_metadata_services_are_never_posted_to() -> None:
    with pytest.raises(Undelivered):
        await hook("http://169.254.169.254/latest").send(RAISED)
