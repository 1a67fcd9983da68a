"""What can go wrong with task types, in words for the caller."""

from tidemill.kernel.errors import BadInput, TidemillError


class UnknownTaskType(BadInput):
    """A task type that nobody defined; ``known`` lists the names there are."""

    code = "unknown_task_type"
    zh = "没有名为“{name}”的任务类型，可用的有：{known}。"
    en = "There is no task type named {name}. Known are: {known}."


class BrokenTaskType(TidemillError):
    """A task type folder whose files do not fit together; ``file`` names the one to mend."""

    code = "broken_task_type"
    status = 500
    zh = "任务类型文件 {file} 无法使用：{problem}。请修正该文件后重启。"
    en = "The task type file {file} cannot be used: {problem}. Mend it, then start again."
