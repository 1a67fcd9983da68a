"""The door of operations: what a process is put together from, and what others raise alerts with."""

from tidemill.operations.alerts.contracts import AlertKind, AlertWish, Words
from tidemill.operations.alerts.ports import Ways
from tidemill.operations.alerts.sending import FORGET as FORGET_ALERTS
from tidemill.operations.alerts.sending import AlertSender, register_alerts
from tidemill.operations.alerts.service import Alerts, OpenAlert
from tidemill.operations.alerts.ways import open_ways
from tidemill.operations.erasure import OperationsEraser
from tidemill.operations.job_service import JobService
from tidemill.operations.ports import JobKeeper, Owners, Schedulable, StatusSource
from tidemill.operations.queue_service import QueueService
from tidemill.operations.schedule_service import ScheduleService, SystemSchedule
from tidemill.operations.status_service import StatusService

__all__ = [
    "FORGET_ALERTS",
    "AlertKind",
    "AlertSender",
    "AlertWish",
    "Alerts",
    "JobKeeper",
    "JobService",
    "OpenAlert",
    "OperationsEraser",
    "Owners",
    "QueueService",
    "Schedulable",
    "ScheduleService",
    "StatusService",
    "StatusSource",
    "SystemSchedule",
    "Ways",
    "Words",
    "open_ways",
    "register_alerts",
]
