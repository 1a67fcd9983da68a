"""What a list shows of a model, in the caller's language."""

from collections.abc import Sequence
from typing import Final

from msgspec import structs

from tidemill.kernel import clock
from tidemill.kernel.lang import Lang
from tidemill.localmodels import admission
from tidemill.localmodels.contracts import InstanceView, LocalModelView, Status
from tidemill.localmodels.ground import Phase
from tidemill.localmodels.instance import Instance
from tidemill.localmodels.memory import resident_bytes
from tidemill.localmodels.model_state import ModelState
from tidemill.localmodels.records import Record
from tidemill.localmodels.sizes import readable

_WORDS: Final[dict[Phase, Status]] = {
    Phase.STARTING: "starting",
    Phase.READY: "running",
    Phase.BACKOFF: "starting",
    Phase.DRAINING: "stopping",
    Phase.STOPPING: "stopping",
    Phase.STOPPED: "available",
    Phase.FAILED: "failed",
}
_DETAILS: Final[dict[str, tuple[str, str]]] = {
    "available": ("就绪，收到请求时自动启动", "Ready to start; a request that names it starts it."),
    "in_line": ("排队等待端口或内存", "Waits in line for a port or memory."),
    "loading": ("正在加载", "Loading."),
    "backoff": ("崩溃后将在 {seconds} 秒内重启", "Restarts within {seconds} s after a crash."),
    "running": ("运行中，直到手动停止", "Running until it is stopped by hand."),
    "on_demand": ("运行中，空闲 {seconds} 秒后卸载", "Running; unloads after {seconds} idle s."),
    "unhealthy": ("健康检查未通过，暂不接收请求", "Fails its health check and gets no requests for now."),
    "draining": ("等待进行中的请求结束", "Waits for requests in flight to end."),
    "stopping": ("正在停止", "Stopping."),
    "failed": ("启动失败，请查看 error", "Failed; see error."),
}


def view(state: ModelState, lang: Lang) -> LocalModelView:
    """Return what is shown of ``state``. Reads each process's memory, about 0.1 ms for an instance."""
    spec, facts = state.spec, state.spec.facts
    instances = tuple(_instance(one) for one in state.instances)
    first = instances[0] if instances else None
    problem = spec.problem or state.failure
    sizes = [one.rss_bytes for one in instances if one.rss_bytes is not None]
    return LocalModelView(
        name=spec.name,
        description=spec.run.description or (facts.name if facts else ""),
        status=state.status,
        detail=_detail(state, lang),
        size=readable(spec.size_bytes),
        size_bytes=spec.size_bytes,
        architecture=facts.architecture if facts else "",
        quantization=facts.quantization if facts else "",
        context=spec.context,
        slots=state.slots,
        port=first.port if first else None,
        pid=first.pid if first else None,
        rss_bytes=sum(sizes) if sizes else None,
        in_flight=state.in_flight,
        error=problem.message(lang) if problem else None,
        embeddings=spec.run.embeddings,
        parameters=facts.parameters if facts else 0,
        context_trained=facts.context if facts else 0,
        chat_template=facts.chat_template if facts else False,
        memory_estimate_bytes=admission.needed_bytes(state),
        queued=len(state.waiters),
        pinned=state.pinned,
        instances=instances,
    )


def with_records(shown: LocalModelView, records: Sequence[Record]) -> LocalModelView:
    """Return ``shown`` with what other processes run of it; requests in flight there are not known here."""
    instances = tuple(
        InstanceView(
            port=record.port,
            pid=record.pid,
            status="running" if record.ready else "starting",
            healthy=record.ready,
            in_flight=0,
            slots=record.slots,
            rss_bytes=resident_bytes(record.pid),
        )
        for record in records
        if record.name == shown.name
    )
    if not instances:
        return shown
    return structs.replace(
        shown,
        status="running" if any(one.healthy for one in instances) else "starting",
        detail="",
        port=instances[0].port,
        pid=instances[0].pid,
        rss_bytes=sum(one.rss_bytes or 0 for one in instances),
        slots=sum(one.slots for one in instances),
        instances=instances,
    )


def _instance(one: Instance) -> InstanceView:
    return InstanceView(
        port=one.port,
        pid=one.pid,
        status=_WORDS[one.phase],
        healthy=one.healthy,
        in_flight=one.in_flight,
        slots=one.spec.slots,
        rss_bytes=resident_bytes(one.pid) if one.pid is not None else None,
    )


def _detail(state: ModelState, lang: Lang) -> str:
    key, seconds = _situation(state)
    zh, en = _DETAILS[key]
    return (zh if lang == "zh" else en).format(seconds=f"{seconds:.0f}")


def _situation(state: ModelState) -> tuple[str, float]:
    """Return the key of the sentence and the seconds in it."""
    status = state.status
    if status == "starting":
        crashed = [one for one in state.live if one.phase is Phase.BACKOFF]
        if crashed:
            return "backoff", max(1.0, crashed[0].restart_at - clock.monotonic())
        return ("loading", 0.0) if state.live else ("in_line", 0.0)
    if status == "running":
        if not any(one.healthy for one in state.live):
            return "unhealthy", 0.0
        resident = state.pinned or state.spec.idle_timeout_s <= 0
        return ("running", 0.0) if resident else ("on_demand", state.spec.idle_timeout_s)
    if status == "stopping":
        draining = any(one.phase is Phase.DRAINING for one in state.instances)
        return ("draining" if draining else "stopping"), 0.0
    return status, 0.0
