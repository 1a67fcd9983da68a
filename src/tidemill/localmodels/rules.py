"""Decisions about instances that need no process to be made. Pure."""

import re
import signal
from collections.abc import Sequence
from enum import Enum
from typing import Final

from tidemill.localmodels.gguf_types import CACHE_BYTES_PER_VALUE
from tidemill.localmodels.spec import ModelSpec

CRASHES_TO_FAIL: Final = 5
_REASON: Final = re.compile(r"error|fail|couldn't|cannot|unable|unknown|invalid|not supported", re.IGNORECASE)
CRASH_WINDOW_S: Final = 300.0
BACKOFF_CAP_S: Final = 60.0
# Measured with llama.cpp b10434: compute buffers and prompt cache take 200-350 MiB beside weights and KV cache.
_FIXED_BYTES: Final = 350 << 20
_LOAD_BYTES_PER_S: Final = 50_000_000
_ASSUMED_KV_SHARE: Final = 4  # where the header does not tell the heads, a quarter of the file is assumed for the cache


class Ending(Enum):
    """What an exit means for the next step."""

    STOPPED = "stopped"
    PORT_TAKEN = "port_taken"
    FLAG_UNKNOWN = "flag_unknown"
    CPU = "cpu"
    MEMORY = "memory"
    REFUSED = "refused"
    CRASHED = "crashed"


def ending(code: int, *, asked: bool, loading: bool, log: Sequence[str], memory_low: bool) -> Ending:
    """Read an exit code (negative: the signal) and the last log lines.

    A load that ends with an ordinary code and a reason would end the same way again, so it is not repeated; signals
    and silent exits are.
    """
    if asked:
        return Ending.STOPPED
    if code == -signal.SIGILL:
        return Ending.CPU
    if code == -signal.SIGKILL and memory_low:
        return Ending.MEMORY
    return _refusal("\n".join(log)) if loading and code > 0 else Ending.CRASHED


def _refusal(log: str) -> Ending:
    if "couldn't bind" in log:
        return Ending.PORT_TAKEN
    if "invalid argument:" in log:
        return Ending.FLAG_UNKNOWN
    # llama-server's logger loses its last lines in about 4 of 100 failing starts (seen with b10434): an exit without
    # a reason is tried again.
    return Ending.REFUSED if _REASON.search(log) else Ending.CRASHED


def describe_exit(code: int) -> str:
    """Return an exit code as people know it: ``exit code 1``, ``signal SIGSEGV``."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"


def backoff_s(crashes: int, jitter: float) -> float:
    """Seconds before the restart after the ``crashes``-th crash: 1, 2, 4 … 60, spread by ±20 % (jitter in [0, 1])."""
    return min(BACKOFF_CAP_S, 2.0 ** min(max(0, crashes - 1), 10)) * (0.8 + 0.4 * jitter)


def recent(crashes: Sequence[float], now: float) -> list[float]:
    """Keep the crash times that still count."""
    return [at for at in crashes if now - at < CRASH_WINDOW_S]


def load_deadline_s(size_bytes: int, least_s: float) -> float:
    """How long a load may take: a slow disk reads 50 MB/s."""
    return max(least_s, size_bytes / _LOAD_BYTES_PER_S)


def kv_bytes(spec: ModelSpec) -> int:
    """Bytes of the key-value cache of one instance, over all its slots."""
    if spec.facts is None or not spec.facts.kv_values_per_token:
        return spec.size_bytes // _ASSUMED_KV_SHARE
    # K and V are almost always of one length, so the two types are averaged.
    per_value = (CACHE_BYTES_PER_VALUE[spec.run.cache_type_k] + CACHE_BYTES_PER_VALUE[spec.run.cache_type_v]) / 2
    return int(spec.facts.kv_values_per_token * per_value * spec.context * spec.slots)


def estimate_bytes(spec: ModelSpec, observed_peak: int = 0) -> int:
    """Memory one instance needs: weights, cache and a fixed part; what was once observed counts more."""
    return observed_peak or spec.size_bytes + kv_bytes(spec) + _FIXED_BYTES


def reserve_bytes(total: int, reserve_mb: int | None) -> int:
    """Memory that stays with the rest of the machine."""
    return reserve_mb * 1_000_000 if reserve_mb is not None else max(1 << 30, total // 10)


def threads(cores: int, instances: int, declared: int) -> int:
    """CPU threads for one instance: its share of the cores. Oversubscription was the worst slow-down measured."""
    return declared or max(1, cores // max(1, instances))
