"""What operators see of local models in ``/metrics``."""

from typing import get_args

from prometheus_client import Counter, Gauge

from tidemill.localmodels.contracts import Status
from tidemill.platform.telemetry.metrics import registry

STATUSES: tuple[Status, ...] = get_args(Status)

models = Gauge("tidemill_local_models", "Local models by what they are doing.", ["status"], registry=registry)
starts = Counter("tidemill_local_model_starts", "llama-server processes started.", registry=registry)
crashes = Counter("tidemill_local_model_crashes", "llama-server processes that ended unasked.", registry=registry)
evictions = Counter("tidemill_local_model_evictions", "Models unloaded for idleness or for another.", registry=registry)
