"""The root of every error that a caller may see.

Each context draws its own tree below ``TidemillError``. An error carries a stable code, an HTTP status and one
sentence in zh and en that says what to do next; the surface it leaves by decides the envelope.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

from msgspec import Struct

from tidemill.kernel.lang import Lang


class FieldProblem(Struct, frozen=True):
    """One field of the caller's input and what is wrong with it."""

    field: str
    message: str


class TidemillError(Exception):
    """An expected failure.

    ``zh`` and ``en`` may hold ``{placeholders}`` that are filled from keyword ``values``. ``detail`` adds what only
    this occurrence knows; it is shown to the caller, so it never holds secrets.
    """

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    envelope_code: ClassVar[int | None] = None
    zh: ClassVar[str] = "服务器内部错误，请稍后重试；若持续出现，请把请求编号告诉管理员。"
    en: ClassVar[str] = "Something failed on our side. Try again; if it stays, give the administrator the request id."

    def __init__(
        self,
        detail: str = "",
        *,
        fields: Sequence[FieldProblem] = (),
        retry_after_s: float | None = None,
        **values: Any,
    ) -> None:
        self.detail = detail
        self.fields = tuple(fields)
        self.retry_after_s = retry_after_s
        self.values = values
        super().__init__(self.message("en") + (f" ({detail})" if detail else ""))

    def message(self, lang: Lang) -> str:
        """Return the sentence for the caller in ``lang``."""
        return (self.zh if lang == "zh" else self.en).format_map(_Blanks(self.values))

    def problems(self, lang: Lang) -> tuple[FieldProblem, ...]:
        """Return the fields to mend; a kind of error that has its own sentences tells them in ``lang``."""
        del lang
        return self.fields


class _Blanks(dict[str, Any]):
    """Leave a placeholder visible rather than fail while an error is being reported."""

    def __missing__(self, key: str) -> str:
        return "{" + key + "}"


class BadInput(TidemillError):
    """The request is understood and wrong; ``fields`` name what to mend."""

    code = "bad_input"
    status = 400
    zh = "请求有误，请按提示修改后重试。"
    en = "The request is not valid. Mend the named fields and send it again."

    @classmethod
    def of(cls, field: str, message: str) -> "BadInput":
        """Name one field and what is wrong with it."""
        return cls(f"{field}: {message}", fields=[FieldProblem(field, message)])


class Unauthenticated(TidemillError):
    """No credential, or one that is not valid (any more)."""

    code = "unauthenticated"
    status = 401
    zh = "未认证"
    en = "Not signed in. Sign in, or send a valid API key."


class TokenInvalid(Unauthenticated):
    """A session token that is malformed, expired or revoked."""

    code = "token_invalid"
    zh = "Token 无效"
    en = "The token is not valid any more. Sign in again."


class Forbidden(TidemillError):
    """Known caller, missing right."""

    code = "forbidden"
    status = 403
    zh = "没有权限，请使用具备所需权限的账号或密钥。"
    en = "Not allowed. Use an account or key with the right scope."


class AdministratorRequired(Forbidden):
    """An administration route called by somebody else."""

    code = "administrator_required"
    zh = "需要管理员权限"
    en = "An administrator is needed for this."


class NotFound(TidemillError):
    """Nothing there, or nothing there for this caller."""

    code = "not_found"
    status = 404
    zh = "未找到，请检查地址或编号。"
    en = "Not found. Check the address or the id."


class MethodNotAllowed(TidemillError):
    """The path exists, the method does not."""

    code = "method_not_allowed"
    status = 405
    zh = "该地址不支持此请求方法，请查看接口文档。"
    en = "This address does not take that method. See the API reference."


class Conflict(TidemillError):
    """The state of things does not allow it now."""

    code = "conflict"
    status = 409
    zh = "当前状态不允许此操作，请刷新后重试。"
    en = "The present state does not allow this. Reload and try again."


class TooLarge(TidemillError):
    """A body or file past its limit."""

    code = "too_large"
    status = 413
    zh = "内容过大，请减小后重试。"
    en = "Too large. Send less at a time."


class TooMany(TidemillError):
    """Past a rate limit; ``retry_after_s`` says when to come back."""

    code = "too_many_requests"
    status = 429
    zh = "请求过于频繁，请稍后再试。"
    en = "Too many requests. Wait, then try again."


class Unavailable(TidemillError):
    """Something this request needs is away for now."""

    code = "unavailable"
    status = 503
    zh = "服务暂时不可用，请稍后重试。"
    en = "Not available right now. Try again shortly."


class StorageFull(TidemillError):
    """No room is left where the data lives; nothing was kept of this request."""

    code = "storage_full"
    status = 507
    zh = "存储空间不足，本次内容未保存；请清理磁盘后重试。"
    en = "The disk is full and nothing of this request was kept. Free some space, then try again."
