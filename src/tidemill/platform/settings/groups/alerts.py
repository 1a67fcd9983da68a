"""Settings of alerts: where they are sent."""

from typing import Annotated, Literal

from msgspec import Struct

from tidemill.platform.settings.doc import Doc


class AlertSettings(Struct, frozen=True, kw_only=True):
    """Ways out of the house; every alert is also a row in the database, whatever stands here."""

    webhook_url: Annotated[
        str | None,
        Doc(
            zh="告警以 JSON 发往此地址；也可填 Slack、飞书、钉钉机器人的地址",
            en="Alerts are posted here as JSON; a Slack, Feishu or DingTalk robot's address will do as well.",
            secret=True,
        ),
    ] = None
    webhook_secret: Annotated[
        str | None,
        Doc(
            zh="签名密钥：请求头 X-Tidemill-Signature 为 HMAC-SHA256（时间戳 + 正文）",
            en="Signs what is posted: header X-Tidemill-Signature, HMAC-SHA256 over timestamp and body.",
            secret=True,
        ),
    ] = None
    webhook_form: Annotated[
        Literal["auto", "json", "feishu", "dingtalk"],
        Doc(
            zh="正文格式；auto 按地址识别飞书与钉钉，其余用 json（Slack 可读其中的 text）",
            en="Form of the body; auto knows Feishu and DingTalk by address, all else is json (Slack reads its text).",
        ),
    ] = "auto"
    mail_to: Annotated[
        tuple[str, ...],
        Doc(zh="接收告警邮件的地址（需设置 mail.host）", en="Who gets alerts by mail (needs mail.host)."),
    ] = ()
    language: Annotated[
        Literal["zh", "en"], Doc(zh="告警邮件与 webhook 文本的语言", en="Language of alerts sent by mail and webhook.")
    ] = "zh"
