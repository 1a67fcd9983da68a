"""The door of operations: what a process is put together from."""

from tidemill.operations.erasure import OperationsEraser
from tidemill.operations.job_service import JobService
from tidemill.operations.ports import JobKeeper, Owners, Schedulable, StatusSource
from tidemill.operations.queue_service import QueueService
from tidemill.operations.schedule_service import ScheduleService, SystemSchedule
from tidemill.operations.status_service import StatusService

__all__ = [
    "JobKeeper",
    "JobService",
    "OperationsEraser",
    "Owners",
    "QueueService",
    "Schedulable",
    "ScheduleService",
    "StatusService",
    "StatusSource",
    "SystemSchedule",
]
