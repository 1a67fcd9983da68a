"""What can go wrong with generation tasks.

TidemillError
├── NotFound ── TaskNotFound (2001)
├── Conflict ── TaskNotRunning, TaskNotResumable
├── BadInput ── StartRefused
└── Unavailable ── PreviewTimedOut
"""

from collections.abc import Sequence

from tidemill.kernel.errors import BadInput, Conflict, FieldProblem, NotFound, Unavailable
from tidemill.kernel.lang import Lang


class TaskNotFound(NotFound):
    """No such task for this caller."""

    code = "task_not_found"
    envelope_code = 2001
    zh = "任务 {task_id} 不存在，请检查任务编号。"
    en = "There is no task {task_id}. Check the id in the list of tasks."


class TaskNotRunning(Conflict):
    """Only a running task can be stopped."""

    code = "task_not_running"
    zh = "任务当前状态为 {status}，无需停止。"
    en = "The task is {status}; only a running task can be stopped."


class TaskNotResumable(Conflict):
    """A running or finished task has nothing to resume."""

    code = "task_not_resumable"
    zh = "任务当前状态为 {status}，只有已停止、失败或等待处理的任务可以继续。"
    en = "The task is {status}; only a stopped or failed one, or one that waits for you, can be resumed."


class StartRefused(BadInput):
    """Fields of a start request that cannot be; each problem is in the caller's language."""

    code = "task_refused"
    zh = "任务参数有误：{problems}"
    en = "The task cannot start: {problems}"

    @classmethod
    def because(cls, problems: Sequence[FieldProblem]) -> "StartRefused":
        """Name every field at once."""
        text = "; ".join(f"{problem.field}: {problem.message}" for problem in problems)
        return cls(text, fields=problems, problems=text)


class PreviewTimedOut(Unavailable):
    """The services did not answer a preview in time."""

    code = "preview_timed_out"
    zh = "模型服务在 {seconds} 秒内没有给出预览（{reason}），请检查模型后重试。"
    en = "The model services gave no preview within {seconds} s ({reason}). Check the model, then try again."


# What is wrong with one field, in both languages.
_PROBLEMS: dict[str, tuple[str, str]] = {
    "range": ("须在 {low} 到 {high} 之间", "must be between {low} and {high}"),
    "unknown_type": (
        "没有名为 {value} 的任务类型，可选：{known}",
        "there is no task type {value}; choose one of {known}",
    ),
    "empty_file": ("文件没有数据行，请换一个文件", "the file has no rows; choose another"),
    "no_model": (
        "没有可用模型，请先添加渠道或启动本地模型，或在此指定模型",
        "no model is active; add a channel or start a local model, then name it here",
    ),
    "unserved": (
        "模型 {value} 不存在或没有可用渠道",
        "there is no model {value}, or no channel carries it",
    ),
    "one_of": ("{value} 不可用，可选：{known}", "{value} is not one of {known}"),
    "too_many": ("最多 {limit} 个", "at most {limit} entries"),
    "too_long": ("每项最多 {limit} 个字符", "at most {limit} characters each"),
    "blank": ("不能为空", "must not be blank"),
    "too_large": (
        "共 {total} 条，超过上限 {limit}；请减少样本、轮次或变体数",
        "makes {total} rows, more than the limit of {limit}; use fewer samples, rounds or variants",
    ),
    "amount": ("须为大于 0 的数字（积分）", "must be a number above 0 (credits)"),
    "other_state": (
        "状态文件中是 {value}；请换一个 --out，或删除状态文件重新开始",
        "the state file says {value}; choose another --out, or delete the state file to begin anew",
    ),
    "raise_budget": ("预算已用完，请给出高于 {spent} 的新预算", "the budget is spent; send one above {spent}"),
}


def problem(lang: Lang, field: str, code: str, **values: object) -> FieldProblem:
    """Return one field's problem in the caller's language."""
    zh, en = _PROBLEMS[code]
    return FieldProblem(field, (zh if lang == "zh" else en).format(**values))
