"""What can go wrong with jobs, queues and schedules.

TidemillError
├── NotFound ── JobNotFound, WorkNotFound, QueueNotFound, ScheduleNotFound
├── Conflict ── JobNotCancellable, JobNotReplayable, JobNotDiscardable, JobNotEditable,
│               ScheduleNameTaken, TooManySchedules, SystemScheduleStays
└── BadInput ── ScheduleRefused
"""

from collections.abc import Sequence

from msgspec import Struct

from tidemill.kernel.errors import BadInput, Conflict, FieldProblem, NotFound
from tidemill.kernel.lang import Lang


class JobNotFound(NotFound):
    """No such job for this caller."""

    code = "job_not_found"
    zh = "任务 {job_id} 不存在，请检查编号；结束较久的任务会被清理。"
    en = "There is no job {job_id}. Check the id; jobs that ended long ago are removed."


class WorkNotFound(NotFound):
    """Nothing long-running of that id for this caller."""

    code = "work_not_found"
    zh = "没有编号为 {task_id} 的任务，请检查编号。"
    en = "There is no task or job {task_id}. Check the id."


class QueueNotFound(NotFound):
    """No job type uses a queue of that name."""

    code = "queue_not_found"
    zh = "没有名为 {name} 的队列；可用的队列：{known}。"
    en = "There is no queue {name}. There are: {known}."


class JobNotCancellable(Conflict):
    """It has ended."""

    code = "job_not_cancellable"
    zh = "任务当前状态为 {status}，只有等待或运行中的任务可以取消；死信请用丢弃。"
    en = "The job is {status}; only a waiting or running one can be cancelled. Discard a dead letter instead."


class JobNotReplayable(Conflict):
    """Only dead letters are replayed."""

    code = "job_not_replayable"
    zh = "任务当前状态为 {status}，只有 dead 或 failed 的任务可以重放。"
    en = "The job is {status}; only a dead or failed one can be replayed."


class JobNotDiscardable(Conflict):
    """Only dead letters are discarded."""

    code = "job_not_discardable"
    zh = "任务当前状态为 {status}，只有 dead 或 failed 的任务可以丢弃；等待或运行中的请取消。"
    en = "The job is {status}; only a dead or failed one can be discarded. Cancel one that waits or runs."


class JobNotEditable(Conflict):
    """It runs, or has ended well."""

    code = "job_not_editable"
    zh = "任务当前状态为 {status}，只有等待中或 dead、failed 的任务可以修改；请先取消或等待其结束。"
    en = "The job is {status}; only a waiting, dead or failed one can be changed. Cancel it first, or wait for its end."


class ScheduleNotFound(NotFound):
    """No such schedule for this caller."""

    code = "schedule_not_found"
    zh = "定时任务 {schedule_id} 不存在，请检查编号。"
    en = "There is no schedule {schedule_id}. Check the id."


class ScheduleNameTaken(Conflict):
    """Its owner has one of that name."""

    code = "schedule_name_taken"
    zh = "已有名为 {name} 的定时任务，请换一个名称。"
    en = "There is a schedule named {name} already. Choose another name."


class TooManySchedules(Conflict):
    """An owner has as many as one may have."""

    code = "too_many_schedules"
    zh = "每个用户最多 {limit} 个定时任务；请先删除不再需要的。"
    en = "A user has at most {limit} schedules. Delete one that is not needed first."


class SystemScheduleStays(Conflict):
    """The program needs it."""

    code = "system_schedule_stays"
    zh = "系统定时任务 {name} 不能删除，也不能更换名称或参数；可以停用它或修改时间。"
    en = "{name} belongs to the program: it cannot be deleted, renamed or given another payload. Disable or re-time it."


class ScheduleFault(Struct, frozen=True):
    """One field of a schedule and, by code, what is wrong with it; ``values`` fill the sentence."""

    field: str
    code: str
    values: dict[str, object] = {}


# What is wrong with one field, in both languages.
_FAULTS: dict[str, tuple[str, str]] = {
    "blank": ("不能为空", "must not be blank"),
    "too_long": ("最多 {limit} 个字符", "at most {limit} characters"),
    "cron": (
        "不是有效的五段 cron 表达式（{reason}）；例如 0 3 * * * 表示每天 3 点",
        "is not a cron expression of five fields ({reason}); 0 3 * * * is every day at three",
    ),
    "never": ("50 年内不会触发，请修改", "would not fire within 50 years; change it"),
    "zone": ("没有名为 {value} 的时区；例如 Asia/Shanghai", "there is no time zone {value}; Asia/Shanghai is one"),
    "one_time": ("cron 与 run_at 须且只能给出一个", "give either cron or run_at, and not both"),
    "zoneless": ("须带时区，例如 2027-01-01T03:00:00Z", "needs a zone: 2027-01-01T03:00:00Z"),
    "past": ("须晚于当前时间", "must lie ahead"),
    "type": ("没有可定时的类型 {value}；可选：{known}", "nothing of type {value} can be scheduled; choose of {known}"),
    "user": ("没有编号为 {value} 的可用用户", "there is no active user {value}"),
}


class ScheduleRefused(BadInput):
    """Fields of a schedule that cannot be; each is named in the caller's language."""

    code = "schedule_refused"
    zh = "定时任务有误：{problems}"
    en = "The schedule cannot be kept: {problems}"

    def __init__(self, faults: Sequence[ScheduleFault]) -> None:
        self.faults = tuple(faults)
        super().__init__(problems=_listed(self.problems("en")))

    def message(self, lang: Lang) -> str:
        """Name the fields in ``lang``."""
        return (self.zh if lang == "zh" else self.en).format(problems=_listed(self.problems(lang)))

    def problems(self, lang: Lang) -> tuple[FieldProblem, ...]:
        """Return one problem a field."""
        return tuple(
            FieldProblem(fault.field, _FAULTS[fault.code][lang != "zh"].format(**fault.values)) for fault in self.faults
        )


def _listed(problems: Sequence[FieldProblem]) -> str:
    return "; ".join(f"{problem.field}: {problem.message}" for problem in problems)


class AlertNotFound(NotFound):
    """No such alert."""

    code = "alert_not_found"
    zh = "告警 {id} 不存在，请刷新列表。"
    en = "There is no alert {id}. Reload the list."
