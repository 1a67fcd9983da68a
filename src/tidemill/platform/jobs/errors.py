"""What can be wrong with asking for a job."""

from tidemill.kernel.errors import BadInput, TooMany


class QueueFull(TooMany):
    """The queue, or this user's share of it, holds as many waiting jobs as it may."""

    code = "queue_full"
    zh = "队列 {queue} 中等待的任务已达上限（{limit}）；请稍后再提交，或先取消不再需要的任务。"
    en = "Queue {queue} holds {limit} waiting jobs, its bound. Submit again later, or cancel what is not needed."


class PayloadTooLarge(BadInput):
    """A job's payload is bounded; large things go to the object store and the job names them."""

    code = "payload_too_large"
    zh = "任务参数有 {bytes} 字节，上限为 {limit}；请把大内容存为文件，再在参数中引用。"
    en = "The job's payload has {bytes} bytes of {limit} at most. Keep large content in a file and name it."
