"""The door of the data factory for whoever puts a process together: engine, task types, a run without a server."""

from tidemill.datagen.engine.mill import Mill
from tidemill.datagen.erasure import DatagenEraser
from tidemill.datagen.news import TaskChange, TaskNews
from tidemill.datagen.samples.file_on_disk import FileOnDisk
from tidemill.datagen.samples.repository_use import TaskTable
from tidemill.datagen.scheduled import START, SWEEP, ScheduledStart, register_starts, register_sweep
from tidemill.datagen.standalone import Standalone, StandaloneState
from tidemill.datagen.task_types import TaskType, load_types

__all__ = [
    "START",
    "SWEEP",
    "DatagenEraser",
    "FileOnDisk",
    "Mill",
    "ScheduledStart",
    "Standalone",
    "StandaloneState",
    "TaskChange",
    "TaskNews",
    "TaskTable",
    "TaskType",
    "load_types",
    "register_starts",
    "register_sweep",
]
