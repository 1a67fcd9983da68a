"""Settings of the first administrator; they matter only while there is none."""

from typing import Annotated

from msgspec import Struct

from tidemill.platform.settings.doc import Doc


class AdminSettings(Struct, frozen=True, kw_only=True):
    """Who administers a fresh installation."""

    username: Annotated[str, Doc(zh="首个管理员的用户名", en="Name of the first administrator.")] = "admin"
    password: Annotated[
        str | None,
        Doc(
            zh="首个管理员的密码：明文，或 bcrypt/Argon2 哈希；缺省时随机生成并打印一次",
            en="Password of the first administrator, plain or a bcrypt/Argon2 hash; unset: random, printed once.",
            secret=True,
        ),
    ] = None
