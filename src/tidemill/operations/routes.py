"""The routes of operations: jobs, queues and workers, schedules."""

from collections.abc import Sequence

from litestar.types import ControllerRouterHandler

from tidemill.operations.routes_firings import HANDLERS as FIRINGS
from tidemill.operations.routes_jobs import HANDLERS as JOBS
from tidemill.operations.routes_queues import HANDLERS as QUEUES
from tidemill.operations.routes_schedules import HANDLERS as SCHEDULES

HANDLERS: Sequence[ControllerRouterHandler] = (*JOBS, *QUEUES, *SCHEDULES, *FIRINGS)
