"""What can go wrong in metering."""

from tidemill.kernel.errors import TidemillError


class MeteringError(TidemillError):
    """Root of this context's errors."""

    code = "metering_failed"


class JournalMoved(MeteringError):
    """Another pump advanced the same journal file; the batch is rolled back and read again from its mark."""

    code = "usage_journal_moved"
    status = 409
    zh = "用量日志 {file} 已由另一进程写入，将从其进度继续。"
    en = "Another process took in the usage journal {file}; going on from its mark."


class CallNotFound(MeteringError):
    """No such call, or somebody else's."""

    code = "call_not_found"
    status = 404
    zh = "调用 {id} 不存在；刚结束的调用约半秒后可见，较旧的可能已清理。"
    en = "There is no call {id}. A call shows half a second after its end; old ones may have been cleared away."
