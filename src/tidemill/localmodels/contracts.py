"""The words of local models that others may use: a running service, and what a list shows."""

from typing import Literal

from msgspec import Struct

Status = Literal["available", "starting", "running", "stopping", "failed"]


class LocalService(Struct, frozen=True, kw_only=True):
    """One ready llama-server, for as long as a lease on it is held.

    ``base_url`` ends in ``/v1``; ``api_key`` is the process's own random key, never to be shown. The model takes
    ``slots`` requests at once over all its instances, each with up to ``context`` tokens.
    """

    name: str
    base_url: str
    api_key: str
    port: int
    pid: int
    slots: int
    context: int


class InstanceView(Struct, frozen=True, kw_only=True):
    """One process of a model; ``healthy`` is false while its health check fails and it gets no requests."""

    port: int
    pid: int | None
    status: Status
    healthy: bool
    in_flight: int
    slots: int
    rss_bytes: int | None


class LocalModelView(Struct, frozen=True, kw_only=True):
    """One model of the catalogue and what it is doing.

    ``detail`` is a sentence about the status, ``error`` the last failure with its log lines (None: none). ``slots`` and
    ``in_flight`` add up over the instances; ``port`` and ``pid`` are the first instance's. ``context`` is what one
    request may use, in tokens, ``context_trained`` what the model was made for. ``pinned`` models were started by hand
    and stay until they are stopped; others are unloaded when idle.
    """

    name: str
    description: str
    status: Status
    detail: str
    size: str
    size_bytes: int
    architecture: str
    quantization: str
    context: int
    slots: int
    port: int | None
    pid: int | None
    rss_bytes: int | None
    in_flight: int
    error: str | None
    embeddings: bool
    parameters: int
    context_trained: int
    chat_template: bool
    memory_estimate_bytes: int
    queued: int
    pinned: bool
    instances: tuple[InstanceView, ...] = ()


class LogPage(Struct, frozen=True, kw_only=True):
    """The tail of a model's log. Ask again with ``after=next`` for what came since."""

    name: str
    lines: list[str]
    next: int


class InstanceMetrics(Struct, frozen=True, kw_only=True):
    """The numbers that one llama-server counts of itself, by their own names without the ``llamacpp:`` prefix."""

    port: int
    pid: int | None
    values: dict[str, float]


class ModelMetrics(Struct, frozen=True, kw_only=True):
    """Every answering instance's numbers, and what we count ourselves."""

    name: str
    status: Status
    in_flight: int
    queued: int
    served: int
    crashes: int
    instances: tuple[InstanceMetrics, ...]
