"""Alerts by webhook: one signed POST a message.

``X-Tidemill-Timestamp`` holds seconds since 1970, ``X-Tidemill-Signature`` ``sha256=`` and the hexadecimal HMAC-SHA256
of ``{timestamp}.`` and the body under ``alerts.webhook_secret``. The body's ``text`` is what Slack shows (Slack:
docs.slack.dev/messaging/sending-messages-using-incoming-webhooks); Feishu (open.feishu.cn, custom bots) and DingTalk
(open.dingtalk.com, custom robots) want bodies of their own and tell failures under HTTP 200.
"""

import asyncio
import hashlib
import hmac
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import msgspec

from tidemill import __version__
from tidemill.kernel import clock
from tidemill.kernel.errors import BadInput
from tidemill.operations.alerts.ports import Message, Undelivered
from tidemill.operations.alerts.wording import headline, paragraph
from tidemill.platform.http import check_address, open_session

if TYPE_CHECKING:
    from aiohttp import ClientResponse

Form = Literal["json", "feishu", "dingtalk"]
TIMEOUT_S = 15.0
_MAX_ANSWER_BYTES = 64 * 1024
_OK = range(200, 300)
# Answers after which trying again makes sense; every other refusal stays one.
_PASSING = frozenset({408, 409, 425, 429})
_SERVER = 500
_MOST_WAIT_S = 3600.0
_FEISHU = (".feishu.cn", ".larksuite.com")
_DINGTALK = (".dingtalk.com",)


class Webhook:
    """One address that alerts are posted to."""

    def __init__(
        self, url: str, *, secret: str | None, form: Literal["auto", "json", "feishu", "dingtalk"], allow_private: bool
    ) -> None:
        self._url = url
        self._secret = secret
        self._form: Form = form_of(url) if form == "auto" else form
        self._allow_private = allow_private

    async def send(self, message: Message) -> None:
        """Post a message; raises Undelivered. Redirects are not followed."""
        try:
            # Robots carry their token in the query, which other addresses must not have.
            check_address(self._url.partition("?")[0], allow_private=self._allow_private, field="alerts.webhook_url")
        except BadInput as error:
            raise Undelivered(str(error.detail), lasting=True) from error
        body = msgspec.json.encode(body_of(message, self._form))
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await self._post(body)
        except TimeoutError:
            raise Undelivered(f"the webhook did not answer within {TIMEOUT_S:.0f} s") from None

    async def _post(self, body: bytes) -> None:
        import aiohttp  # noqa: PLC0415 - loaded on first use

        headers = {"content-type": "application/json", "user-agent": f"tidemill/{__version__}", **self._signed(body)}
        # A session a message: alerts are rare, and nothing is left open between them.
        session = open_session(allow_private=self._allow_private)
        try:
            async with session.post(self._url, data=body, headers=headers, allow_redirects=False) as answer:
                await self._judge(answer)
        except (OSError, ValueError, aiohttp.ClientError) as error:
            raise Undelivered(f"the webhook cannot be reached: {type(error).__name__}") from error
        finally:
            await session.close()

    def _signed(self, body: bytes) -> dict[str, str]:
        if not self._secret:
            return {}
        stamp = str(int(clock.unix_s()))
        return {
            "x-tidemill-timestamp": stamp,
            "x-tidemill-signature": f"sha256={signature(self._secret, stamp, body)}",
        }

    async def _judge(self, answer: "ClientResponse") -> None:
        if answer.status not in _OK:
            lasting = answer.status < _SERVER and answer.status not in _PASSING
            raise Undelivered(
                f"the webhook answered {answer.status}", lasting=lasting, retry_after_s=_pause_s(answer.headers)
            )
        if self._form == "json":
            return
        data = await answer.content.read(_MAX_ANSWER_BYTES)
        code = refusal_in(data)
        if code:
            raise Undelivered(f"the robot refused the message with code {code}")


def signature(secret: str, stamp: str, body: bytes) -> str:
    """Return the hexadecimal HMAC-SHA256 that a receiver compares with."""
    return hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def form_of(url: str) -> Form:
    """Tell by its address what a robot wants to read."""
    host = "." + (urlsplit(url).hostname or "").lower()
    if host.endswith(_FEISHU):
        return "feishu"
    return "dingtalk" if host.endswith(_DINGTALK) else "json"


def body_of(message: Message, form: Form) -> dict[str, Any]:
    """Return what is posted."""
    text = f"{headline(message)}\n{paragraph(message)}"
    match form:
        case "feishu":
            return {"msg_type": "text", "content": {"text": text}}
        case "dingtalk":
            return {"msgtype": "text", "text": {"content": text}}
        case "json":
            return {"text": text, "event": message.event, "alert": msgspec.to_builtins(message.alert)}


def refusal_in(data: bytes) -> int:
    """Return the code of a failure that a robot tells under HTTP 200; 0: it took the message."""
    try:
        answer = msgspec.json.decode(data, type=dict[str, Any])
    except msgspec.MsgspecError:
        return 0
    code = answer.get("errcode", answer.get("code", 0))
    return code if isinstance(code, int) else 0


def _pause_s(headers: Any) -> float:
    told = str(headers.get("retry-after", ""))
    return min(float(told), _MOST_WAIT_S) if told.isascii() and told.isdigit() else 0.0
