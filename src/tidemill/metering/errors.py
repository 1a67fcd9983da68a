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
