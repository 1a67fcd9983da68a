"""Work that outlives a request. The row in our database is the truth; engines only decide who runs it when."""

from tidemill.platform.jobs.port import (
    Handler,
    JobCancelled,
    JobContext,
    JobFailed,
    JobKind,
    JobRetry,
    Jobs,
    JobYield,
)

__all__ = ["Handler", "JobCancelled", "JobContext", "JobFailed", "JobKind", "JobRetry", "JobYield", "Jobs"]
