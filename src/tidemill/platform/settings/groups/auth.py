"""Settings of sign-in, sessions and API keys."""

from typing import Annotated, Literal

from msgspec import Struct

from tidemill.platform.settings.doc import Doc


class AuthSettings(Struct, frozen=True, kw_only=True):
    """How callers prove who they are."""

    secret_key: Annotated[
        str | None,
        Doc(
            zh="会话令牌的签名密钥（至少 16 个字符）；缺省时首次启动自动生成",
            en="Signs session tokens, 16 characters or more; unset: generated at the first start.",
            secret=True,
        ),
    ] = None
    data_key: Annotated[
        str | None,
        Doc(
            zh="加密已保存的上游密钥的主密钥；多实例须相同；缺省时自动生成",
            en="Seals stored upstream keys; the same on every instance; unset: generated at the first start.",
            secret=True,
        ),
    ] = None
    key_pepper: Annotated[
        str | None,
        Doc(
            zh="API 密钥哈希所用的胡椒值；多实例须相同；缺省时自动生成",
            en="Pepper of hashed API keys; the same on every instance; unset: generated at the first start.",
            secret=True,
        ),
    ] = None
    expire_minutes: Annotated[int, Doc(zh="会话有效期（分钟）", en="How long a session lasts, minutes.")] = 43_200
    password_hash: Annotated[
        Literal["argon2id", "bcrypt"],
        Doc(
            zh="新密码的哈希算法；两种哈希都能登录，argon2id 下登录时自动升级 bcrypt",
            en="Hash of new passwords; both are accepted, and argon2id upgrades bcrypt at the next sign-in.",
        ),
    ] = "argon2id"  # noqa: S105 - the name of an algorithm
    login_rate: Annotated[
        bool | Literal["on", "off"],
        Doc(
            zh="登录失败限速：15 分钟内每账号 10 次、每地址 100 次；off 仅用于测试",
            en="Limit failed sign-ins to 10 per account and 100 per address in 15 minutes; off is for tests.",
        ),
    ] = "on"
    open_registration: Annotated[bool, Doc(zh="允许任何人注册账号", en="Let anybody register an account.")] = True

    @property
    def limits_login(self) -> bool:
        """Whether failed sign-ins are limited."""
        return self.login_rate not in (False, "off")
