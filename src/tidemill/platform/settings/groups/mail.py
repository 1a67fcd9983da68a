"""Settings of outgoing mail."""

from typing import Annotated, Literal

from msgspec import Struct

from tidemill.platform.settings.doc import Doc


class MailSettings(Struct, frozen=True, kw_only=True):
    """The SMTP server that mails go out by; without a host none do."""

    host: Annotated[str | None, Doc(zh="SMTP 服务器；缺省则不发邮件", en="SMTP server; unset: no mail is sent.")] = None
    port: Annotated[
        int | None,
        Doc(
            zh="SMTP 端口；缺省按 tls 取 587、465 或 25",
            en="SMTP port; unset: 587, 465 or 25, as mail.tls has it.",
        ),
    ] = None
    user: Annotated[str | None, Doc(zh="登录名；缺省则不登录", en="Name to sign in with; unset: no sign-in.")] = None
    password: Annotated[str | None, Doc(zh="登录密码", en="Password to sign in with.", secret=True)] = None
    sender: Annotated[
        str | None,
        Doc(
            zh="发件人（From），例如 Tidemill <mill@example.com>；缺省为 mail.user",
            en="Sender (From), as in Tidemill <mill@example.com>; unset: mail.user.",
        ),
    ] = None
    tls: Annotated[
        Literal["starttls", "tls", "none"],
        Doc(
            zh="加密：starttls（先明文后升级，必须成功）、tls（直接加密）、none（不加密）",
            en="Encryption: starttls (upgraded, never skipped), tls (from the first byte) or none.",
        ),
    ] = "starttls"
    timeout_s: Annotated[
        float, Doc(zh="与服务器每一步的时限（秒）", en="Seconds each step with the server may take.")
    ] = 20.0
