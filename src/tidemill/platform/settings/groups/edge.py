"""Settings of the edge: cross-origin rules, limits, logs, telemetry."""

from typing import Annotated, Literal

from msgspec import Struct

from tidemill.platform.settings.doc import Doc


class CorsSettings(Struct, frozen=True, kw_only=True):
    """Which other origins a browser may call us from."""

    origins: Annotated[
        tuple[str, ...], Doc(zh="允许的来源；* 时不带凭据", en="Allowed origins; with * no credentials are allowed.")
    ] = ("http://localhost:3000",)
    allow_credentials: Annotated[bool, Doc(zh="允许携带凭据", en="Allow credentials.")] = True
    allow_methods: Annotated[tuple[str, ...], Doc(zh="允许的方法", en="Allowed methods.")] = ("*",)
    allow_headers: Annotated[tuple[str, ...], Doc(zh="允许的请求头", en="Allowed request headers.")] = ("*",)


class LimitSettings(Struct, frozen=True, kw_only=True):
    """Bounds on what one caller may send."""

    max_body_bytes: Annotated[int, Doc(zh="普通请求体上限（字节）", en="Largest ordinary request body, bytes.")] = (
        10 * 1024 * 1024
    )
    max_upload_bytes: Annotated[int, Doc(zh="单个上传文件上限（字节）", en="Largest uploaded file, bytes.")] = (
        2 * 1024 * 1024 * 1024
    )
    max_watchers: Annotated[
        int,
        Doc(zh="单个进程同时打开的事件流与 WebSocket 上限", en="Most open event streams and WebSockets of a process."),
    ] = 25_000
    max_watchers_per_user: Annotated[int, Doc(zh="其中单个用户的上限", en="Most of them for one user.")] = 200


class LogSettings(Struct, frozen=True, kw_only=True):
    """What is logged, and how."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"], Doc(zh="日志级别", en="Least severe level that is logged.")
    ] = "info"
    format: Annotated[
        Literal["auto", "json", "text"],
        Doc(zh="日志格式；auto：终端用 text，否则 json", en="Form of a line; auto: text on a terminal, else json."),
    ] = "auto"
    file: Annotated[
        str | None, Doc(zh="日志文件（自动轮转）；缺省写标准错误", en="Log file (rotates); unset: stderr.")
    ] = None


class TelemetrySettings(Struct, frozen=True, kw_only=True):
    """How operators look in."""

    metrics_token: Annotated[
        str | None,
        Doc(
            zh="非本机访问 /metrics 所需的 Bearer 令牌；未设时非本机得到 404",
            en="Bearer token for /metrics from elsewhere than loopback; unset: 404 there.",
            secret=True,
        ),
    ] = None
