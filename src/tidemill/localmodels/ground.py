"""What every instance stands on, and where one can be."""

from collections.abc import Callable
from enum import Enum
from pathlib import Path

from msgspec import Struct

from tidemill.localmodels.memory import MemoryFacts
from tidemill.localmodels.port_claims import PortClaims
from tidemill.localmodels.probe import Probe
from tidemill.localmodels.records import Records
from tidemill.platform.settings.groups.local_models import LocalModels
from tidemill.platform.tasks import TaskOwner


class Phase(Enum):
    """Where an instance is."""

    STARTING = "starting"
    READY = "ready"
    BACKOFF = "backoff"
    DRAINING = "draining"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"


class Ground(Struct, frozen=True, kw_only=True):
    """What every instance stands on."""

    settings: LocalModels
    ports: PortClaims
    probe: Probe
    records: Records
    tasks: TaskOwner
    find_binary: Callable[[], Path]
    read_memory: Callable[[], MemoryFacts]
    environment: dict[str, str]
