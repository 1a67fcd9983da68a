"""The lines a task writes into its event stream, in both languages."""

from typing import Any

_LINES: dict[str, tuple[str, str]] = {
    "started": ("开始处理，共 {total} 条。", "Started: {total} rows to make."),
    "went_on": ("继续处理，还剩 {left} 条，共 {total} 条。", "Went on: {left} of {total} rows to go."),
    "joined": ("又有一个进程加入处理，现共 {hands} 个。", "Another process has joined; {hands} are at work now."),
    "paused": ("已暂停：{zh}", "Paused: {en}"),
    "unpaused": ("服务恢复，继续处理。", "The services are back; going on."),
    "finished": (
        "处理完成：通过 {accepted}，低于阈值 {below_threshold}，待人工确认 {needs_review}，失败 {failed}。",
        "Finished: accepted {accepted}, below threshold {below_threshold}, to review {needs_review}, failed {failed}.",
    ),
    "stopped": ("任务已停止，已生成的数据保留。", "Stopped; what was made is kept."),
    "failed": ("任务失败：{reason}", "Failed: {reason}"),
}

_PAUSES: dict[str, tuple[str, str]] = {
    "no_channel": (
        "没有可用的模型服务，服务启用后将自动继续。",
        "No service carries the model right now; the task goes on by itself when one does.",
    ),
    "no_service": (
        "全部模型服务不可用（{reason}），恢复后将自动继续。",
        "Every model service is down ({reason}); the task goes on by itself when one is back.",
    ),
    "budget_spent": (
        "预算已用完（{spent} 积分），提高预算后点击继续。",
        "The budget is spent ({spent} credits); raise it and resume.",
    ),
    "mostly_failing": (
        "最近 {window} 条中多数因同一原因失败（{kind}：{reason}），请检查后点击继续。",
        "Most of the last {window} items failed for one reason ({kind}: {reason}); look into it, then resume.",
    ),
    "storage_full": (
        "磁盘已满，清理空间后将自动继续。",
        "The disk is full; the task goes on by itself when there is room.",
    ),
}

# Pauses that end only when the owner resumes the task.
FOR_THE_OWNER = frozenset({"budget_spent", "mostly_failing"})


def log_line(code: str, **values: object) -> dict[str, Any]:
    """Return a line of the event log."""
    zh, en = _LINES[code]
    return {"code": code, "zh": zh.format(**values), "en": en.format(**values)}


def pause(code: str, **values: object) -> dict[str, Any]:
    """Return what ``tasks.paused`` holds: the code, and why in both languages."""
    zh, en = _PAUSES[code]
    return {"code": code, "zh": zh.format(**values), "en": en.format(**values)}
