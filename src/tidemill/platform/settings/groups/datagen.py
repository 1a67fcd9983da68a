"""Settings of the generation engine."""

from typing import Annotated

from msgspec import Struct

from tidemill.platform.settings.doc import Doc


class DatagenSettings(Struct, frozen=True, kw_only=True):
    """How training data is generated."""

    default_model: Annotated[
        str | None, Doc(zh="任务未指定模型时使用的模型", en="Model of a task that names none.")
    ] = None
    call_timeout_s: Annotated[
        float | None,
        Doc(
            zh="单次生成调用的最长秒数；不设则用渠道自己的超时",
            en="Longest time of one generation call in seconds; unset, the channel's own time-out holds.",
        ),
    ] = None
    preview_timeout_s: Annotated[float, Doc(zh="预览的最长等待秒数", en="Longest wait for a preview, seconds.")] = 120.0
    max_concurrent: Annotated[
        int, Doc(zh="单个任务并发数的上限", en="Highest max_concurrent that a task may ask for.")
    ] = 1024
    max_items: Annotated[int, Doc(zh="单个任务的最大生成条数", en="Most rows that one task may ask for.")] = 10_000_000
    commit_window_ms: Annotated[
        float,
        Doc(
            zh="成组提交的时间窗口（毫秒）：进程被杀时最多重做这段时间内完成的调用",
            en="Window of the group commit in milliseconds: what a killed process finished in it is made again.",
        ),
    ] = 20.0
    commit_rows: Annotated[int, Doc(zh="每组提交的最大条数", en="Most rows in one group commit.")] = 256
    keep_alive_s: Annotated[
        float, Doc(zh="进度流的保活间隔（秒）", en="Seconds between keep-alive comments on a progress stream.")
    ] = 15.0
