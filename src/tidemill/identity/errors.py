"""What identity refuses.

TidemillError
├── UserExists (1001), EmailTaken (1001)
├── UserNotFound (1002)
├── SignInRefused, PasswordWrong (1003)
├── TooManyAttempts
├── RegistrationClosed, SessionNeeded, AdministratorNeeded
├── LastAdministrator
├── KeyNotFound, KeyNotActive
├── NetworkRefused, CookieHeaderMissing
├── ResetTokenInvalid
└── FirstAdministratorImpossible
"""

from tidemill.kernel.errors import BadInput, Conflict, Forbidden, NotFound, TidemillError, TooMany, Unauthenticated


class UserExists(Conflict):
    """The name is taken (names differ by more than case)."""

    code = "user_exists"
    envelope_code = 1001
    zh = "用户名已存在，请换一个。"
    en = "That user name is taken. Choose another."


class EmailTaken(Conflict):
    """The address belongs to another account."""

    code = "email_taken"
    envelope_code = 1001
    zh = "该邮箱已被其他账号使用，请换一个。"
    en = "That email address belongs to another account. Use another."


class UserNotFound(NotFound):
    """No user with this id."""

    code = "user_not_found"
    envelope_code = 1002
    zh = "用户不存在，请检查编号。"
    en = "No such user. Check the id."


class SignInRefused(Unauthenticated):
    """Unknown user, wrong password and inactive account alike."""

    code = "sign_in_refused"
    envelope_code = 1003
    zh = "用户名或密码错误"
    en = "The user name or the password is wrong."


class PasswordWrong(Unauthenticated):
    """The present password, asked for again before a change, is wrong."""

    code = "wrong_password"
    envelope_code = 1003
    zh = "当前密码错误，请重新输入。"
    en = "The current password is wrong. Enter it again."


class TooManyAttempts(TooMany):
    """Too many failed sign-ins for this account or from this address."""

    code = "too_many_attempts"
    zh = "登录失败次数过多，请稍后再试。"
    en = "Too many failed sign-ins. Wait, then try again."


class RegistrationClosed(Forbidden):
    """``auth.open_registration`` is off."""

    code = "registration_closed"
    zh = "本站未开放注册，请联系管理员开通账号。"
    en = "Registration is closed here. Ask the administrator for an account."


class SessionNeeded(Forbidden):
    """Something that an API key may not do."""

    code = "session_needed"
    zh = "API 密钥不能执行此操作，请登录后再试。"
    en = "An API key may not do this. Sign in first."


class LastAdministrator(Conflict):
    """The only active administrator can neither go nor give up the role."""

    code = "last_administrator"
    zh = "这是最后一位管理员；请先指定另一位管理员。"
    en = "This is the last administrator. Appoint another one first."


class KeyNotFound(NotFound):
    """No key with this id, or not the caller's."""

    code = "key_not_found"
    zh = "API 密钥不存在，请检查编号。"
    en = "No such API key. Check the id."


class KeyNotActive(Conflict):
    """A key that is revoked cannot be changed."""

    code = "key_not_active"
    zh = "该 API 密钥已吊销，不能修改；请新建一个。"
    en = "That API key is revoked and cannot be changed. Create a new one."


class NetworkRefused(Forbidden):
    """A key used from outside the networks it is allowed from."""

    code = "network_refused"
    zh = "该 API 密钥不允许从此地址使用；请检查密钥的允许网络。"
    en = "This API key may not be used from this address. Check its allowed networks."


class CookieHeaderMissing(Forbidden):
    """A write that only a cookie vouches for, without what a foreign page cannot send."""

    code = "cookie_header_missing"
    zh = "用 Cookie 登录的写请求须带请求头 X-Tidemill: 1 且来自本站。"
    en = "A write signed in by cookie needs the header X-Tidemill: 1 and must come from this site."


class ResetTokenInvalid(BadInput):
    """A reset token that is unknown, used or older than 30 minutes."""

    code = "reset_token_invalid"
    zh = "重置链接无效或已过期，请重新申请。"
    en = "The reset token is not valid any more. Ask for a new one."


class FirstAdministratorImpossible(TidemillError):
    """The configured first administrator cannot be made; ``reason`` says why."""

    code = "first_administrator_impossible"
    zh = "无法创建首个管理员：{reason}。请修改 admin.username 或 admin.password 后重新启动。"
    en = "The first administrator cannot be made: {reason}. Change admin.username or admin.password and start again."
