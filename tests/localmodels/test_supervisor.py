"""The state machine, against fake llama-servers."""

import asyncio
import os
import signal
import socket
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.localmodels.conftest import Mill, chat, is_alive, until, until_status
from tidemill.kernel import clock
from tidemill.localmodels import process, rules
from tidemill.localmodels.contracts import LocalModelView
from tidemill.localmodels.errors import (
    CpuNotSupported,
    LocalModelBusy,
    LocalModelFailed,
    LocalModelNotFound,
    LocalModelStopped,
    NotGguf,
    PortRangeExhausted,
    ServerBinaryMissing,
)
from tidemill.platform.settings.groups.local_models import LocalModel
from tidemill.platform.telemetry.metrics import registry


async def test_start_answers_at_once_and_stop_ends_the_process(mill: Mill) -> None:
    mill.model("one", load_s=0.3)
    models = await mill.open()
    assert models.get("one").status == "available"
    assert (await models.start("one")).status == "starting"
    running = await until_status(models, "one", "running")
    assert running.pid is not None
    assert is_alive(running.pid)
    assert running.pinned
    assert (await models.start("one", wait=True)).pid == running.pid
    stopped = await models.stop("one", wait=True)
    assert (stopped.status, stopped.pid, stopped.port) == ("available", None, None)
    assert not is_alive(running.pid)
    assert (await models.stop("one", wait=True)).status == "available"
    assert len(mill.starts("one")) == 1


async def test_secrets_go_by_environment_and_nothing_else_of_ours(mill: Mill, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMILL_AUTH__SECRET_KEY", "never")
    monkeypatch.setenv("OPENAI_API_KEY", "never")
    mill.model("one")
    models = await mill.open()
    async with models.lease("one") as service:
        started = mill.starts("one")[0]
        assert service.api_key not in " ".join(started["argv"])
        assert not [name for name in started["env"] if name.startswith(("TIDEMILL", "OPENAI"))]
        assert models.logs("one").lines[0].startswith("tidemill: ")
        assert not any(service.api_key in line for line in models.logs("one").lines)


async def test_many_cold_requests_share_one_load(mill: Mill) -> None:
    mill.model("one", load_s=0.3, chat_s=0.02)
    models = await mill.open(slots=2)
    answers = await asyncio.gather(*(chat(models, "one") for _ in range(12)))
    assert len({answer["port"] for answer in answers}) == 1
    assert len(mill.starts("one")) == 1
    assert not models.get("one").pinned


async def test_no_more_requests_than_slots_at_a_time(mill: Mill) -> None:
    mill.model("one")
    models = await mill.open(slots=2)
    async with models.lease("one"), models.lease("one"):
        third = asyncio.ensure_future(chat(models, "one"))
        await until(lambda: models.get("one").queued == 1)
        assert models.get("one").in_flight == 2
    assert (await third)["model"] == "one"


async def test_a_full_queue_says_when_to_come_back(mill: Mill) -> None:
    mill.model("one", load_s=30)
    models = await mill.open(queue_limit=2, stop_grace_s=0)
    waiting = [asyncio.ensure_future(chat(models, "one")) for _ in range(2)]
    await until(lambda: models.get("one").queued == 2)
    with pytest.raises(LocalModelBusy) as refusal:
        await chat(models, "one")
    assert refusal.value.retry_after_s is not None
    await models.stop("one", wait=True)
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [LocalModelStopped, LocalModelStopped]


async def test_waiting_has_an_end(mill: Mill) -> None:
    mill.model("one")
    models = await mill.open(slots=1, queue_timeout_s=0.2)
    async with models.lease("one"):
        with pytest.raises(LocalModelBusy):
            await chat(models, "one")
    assert models.get("one").queued == 0
    await chat(models, "one")


async def test_a_caller_who_leaves_gives_its_turn_up(mill: Mill) -> None:
    mill.model("one", load_s=0.3)
    models = await mill.open(slots=1)
    first = asyncio.ensure_future(chat(models, "one"))
    second = asyncio.ensure_future(chat(models, "one"))
    await until(lambda: models.get("one").queued == 2)
    first.cancel()
    assert (await second)["model"] == "one"
    await until(lambda: models.get("one").in_flight == 0)
    assert models.get("one").queued == 0


async def test_an_idle_model_is_unloaded_and_a_pinned_one_stays(mill: Mill) -> None:
    mill.model("idle")
    mill.model("pinned")
    models = await mill.open(idle_timeout_s=0.3)
    await chat(models, "idle")
    await models.start("pinned", wait=True)
    await until_status(models, "idle", "available")
    assert models.get("pinned").status == "running"
    await chat(models, "idle")
    assert len(mill.starts("idle")) == 2


async def test_a_crash_restarts_after_a_pause(mill: Mill) -> None:
    mill.model("one")
    models = await mill.open()
    before = await models.start("one", wait=True)
    assert before.pid is not None
    os.kill(before.pid, signal.SIGSEGV)
    waiting = await until_status(models, "one", "starting")
    assert "estarts within" in waiting.detail
    after = await until_status(models, "one", "running")
    assert after.pid != before.pid
    assert (await models.metrics("one")).crashes == 1


async def test_crashing_five_times_is_failed_until_started_by_hand(mill: Mill, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "BACKOFF_CAP_S", 0.01)
    mill.model("one", exits=[-signal.SIGSEGV] * 5, say="assertion failed: n_tokens > 0")
    models = await mill.open()
    with pytest.raises(LocalModelFailed) as failure:
        await chat(models, "one")
    assert "SIGSEGV" in failure.value.message("en")
    assert "assertion failed" in failure.value.message("zh")
    shown = models.get("one", "zh")
    assert shown.status == "failed"
    assert "assertion failed" in (shown.error or "")
    with pytest.raises(LocalModelFailed):
        await chat(models, "one")
    assert len(mill.starts("one")) == 5
    assert (await models.start("one", wait=True)).status == "running"


async def test_a_refused_load_is_not_repeated(mill: Mill) -> None:
    mill.model("one", exits=[1], say="unknown model architecture: 'x'")
    models = await mill.open()
    with pytest.raises(LocalModelFailed, match="unknown model architecture"):
        await models.start("one", wait=True)
    assert len(mill.starts("one")) == 1
    assert models.get("one").status == "failed"


async def test_an_unsupported_cpu_is_named(mill: Mill) -> None:
    mill.model("one", exits=[-signal.SIGILL])
    models = await mill.open()
    with pytest.raises(CpuNotSupported, match="server_binary"):
        await chat(models, "one")
    assert len(mill.starts("one")) == 1


async def test_an_older_binary_is_started_without_what_it_lacks(mill: Mill) -> None:
    mill.model("one", refuse_flag="--sse-ping-interval")
    models = await mill.open()
    assert (await models.start("one", wait=True)).status == "running"
    first, second = mill.starts("one")
    assert "--sse-ping-interval" in first["argv"]
    assert "--sse-ping-interval" not in second["argv"]


async def test_a_load_that_hangs_fails_in_time(mill: Mill) -> None:
    mill.model("one", load_s=60)
    models = await mill.open(load_timeout_s=0.3)
    with pytest.raises(LocalModelFailed, match="ready in time"):
        await models.start("one", wait=True)


async def test_a_server_that_ignores_sigterm_is_killed(mill: Mill, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        process.ServerProcess.end,
        "__defaults__",
        (((signal.SIGTERM, 0.1), (signal.SIGTERM, 0.1), (signal.SIGKILL, 5.0)),),
    )
    mill.model("one", ignore_term=True)
    models = await mill.open()
    pid = (await models.start("one", wait=True)).pid
    assert pid is not None
    await models.stop("one", wait=True)
    assert not is_alive(pid)
    assert any("SIGKILL" in line for line in models.logs("one").lines)


async def test_a_stop_waits_for_requests_in_flight(mill: Mill) -> None:
    mill.model("one", chat_s=0.4)
    models = await mill.open()
    await models.start("one", wait=True)
    request = asyncio.ensure_future(chat(models, "one"))
    await until(lambda: models.get("one").in_flight == 1)
    assert (await models.stop("one")).status == "stopping"
    assert (await request)["model"] == "one"
    await until_status(models, "one", "available")


async def test_a_start_during_a_stop_starts_again(mill: Mill) -> None:
    mill.model("one", chat_s=0.3)
    models = await mill.open()
    await models.start("one", wait=True)
    request = asyncio.ensure_future(chat(models, "one"))
    await until(lambda: models.get("one").in_flight == 1)
    await models.stop("one")
    assert (await models.start("one")).status == "starting"
    assert (await models.start("one", wait=True)).status == "running"
    await request
    assert len(mill.starts("one")) == 2


async def test_a_taken_port_is_passed_over(mill: Mill) -> None:
    mill.model("one")
    settings = mill.settings()
    with socket.socket() as other:
        other.bind(("127.0.0.1", settings.local_models.port_min))
        other.listen()
        models = await mill.open(settings=settings)
        assert (await models.start("one", wait=True)).port == settings.local_models.port_min + 1


async def test_a_port_lost_in_the_last_moment_is_passed_over(mill: Mill) -> None:
    mill.model("one", exits=[1], say="srv start: couldn't bind HTTP server socket")
    models = await mill.open()
    started = await models.start("one", wait=True)
    assert started.status == "running"
    ports = [call["argv"][call["argv"].index("--port") + 1] for call in mill.starts("one")]
    assert len(set(ports)) == 2


async def test_a_range_used_up_is_a_clear_error(mill: Mill) -> None:
    for name in ("a", "b", "c"):
        mill.model(name)
    models = await mill.open(ports=2)
    await models.start("a", wait=True)
    await models.start("b", wait=True)
    with pytest.raises(PortRangeExhausted) as refusal:
        await models.start("c")
    assert refusal.value.status == 409
    assert models.get("c").status == "available"
    with pytest.raises(PortRangeExhausted):
        await chat(models, "c")
    await models.stop("a", wait=True)
    assert (await models.start("c", wait=True)).status == "running"


async def test_unknown_names_and_broken_files(mill: Mill) -> None:
    mill.models.joinpath("junk.gguf").write_bytes(b"junk")
    models = await mill.open()
    with pytest.raises(LocalModelNotFound):
        models.get("nobody")
    with pytest.raises(LocalModelNotFound):
        await models.start("nobody")
    with pytest.raises(NotGguf):
        await models.start("junk")
    with pytest.raises(NotGguf):
        await chat(models, "junk")
    assert models.get("junk").status == "failed"
    assert models.names() == ()


async def test_a_missing_binary_says_what_to_install(mill: Mill) -> None:
    mill.model("one")
    mill.binary.unlink()
    models = await mill.open()
    with pytest.raises(ServerBinaryMissing, match=r"tidemill\[local\]"):
        await models.start("one", wait=True)
    assert models.get("one").status == "failed"


async def test_a_binary_of_another_kind_is_told(mill: Mill) -> None:
    mill.model("one")
    mill.binary.write_text("this is no program\n")
    models = await mill.open()
    with pytest.raises(LocalModelFailed):
        await models.start("one", wait=True)


async def test_a_sick_instance_gets_nothing_and_is_replaced(mill: Mill) -> None:
    path = mill.model("one")
    models = await mill.open()
    before = await models.start("one", wait=True)
    sick = path.with_name(path.name + ".sick")
    sick.touch()
    await until(lambda: len(mill.starts("one")) == 2, "a second start")
    sick.unlink()
    after = await until_status(models, "one", "running")
    assert after.pid != before.pid
    assert any("health" in line or "ended" in line for line in models.logs("one").lines)


async def test_a_sick_replica_is_taken_out_and_brought_back(mill: Mill) -> None:
    path = mill.model("one")
    models = await mill.open(health_interval_s=0.5)
    await models.start("one", wait=True)
    sick = path.with_name(path.name + ".sick")
    sick.touch()
    await until(lambda: not models.get("one").instances[0].healthy)
    request = asyncio.ensure_future(chat(models, "one"))
    await until(lambda: models.get("one").queued == 1)
    sick.unlink()
    assert (await request)["model"] == "one"
    assert len(mill.starts("one")) == 1


async def test_replicas_share_the_requests(mill: Mill) -> None:
    mill.model("one")
    models = await mill.open(models={"one": LocalModel(replicas=2, slots=2)})
    await models.start("one", wait=True)
    await until(lambda: [one.status for one in models.get("one").instances] == ["running", "running"])
    async with AsyncExitStack() as stack:
        ports = [(await stack.enter_async_context(models.lease("one"))).port for _ in range(4)]
        assert models.get("one").slots == 4
        assert models.get("one").in_flight == 4
    assert [ports.count(port) for port in set(ports)] == [2, 2]


async def test_replicas_beyond_the_range_are_left_out(mill: Mill) -> None:
    mill.model("one")
    models = await mill.open(ports=2, models={"one": LocalModel(replicas=3)})
    await models.start("one", wait=True)
    await until(lambda: [one.status for one in models.get("one").instances] == ["running", "running"])
    assert any("no room for instance 3" in line for line in models.logs("one").lines)


async def test_autostart_starts_with_the_server(mill: Mill) -> None:
    mill.model("one")
    models = await mill.open(models={"one": LocalModel(autostart=True)})
    shown: LocalModelView = await until_status(models, "one", "running")
    assert shown.pinned


async def test_metrics_are_the_servers_own(mill: Mill) -> None:
    mill.model("one")
    models = await mill.open()
    await chat(models, "one")
    metrics = await models.metrics("one")
    assert metrics.instances[0].values == {"requests_processing": 1.0}
    assert metrics.served == 1


async def test_the_log_is_kept_in_a_file_too(mill: Mill) -> None:
    mill.model("one")
    models = await mill.open()
    await models.start("one", wait=True)
    page = models.logs("one", 1)
    assert len(page.lines) == 1
    await models.stop("one", wait=True)
    more = models.logs("one", 100, page.next)
    assert any("ended with" in line for line in more.lines)
    file = Path(mill.data_dir) / "logs" / "local-models" / "one.log"
    assert "fake server for one.gguf" in file.read_text()


async def test_shutting_down_leaves_nobody(mill: Mill) -> None:
    mill.model("a")
    mill.model("b", load_s=30)
    models = await mill.open()
    running = await models.start("a", wait=True)
    await models.start("b")
    await until(lambda: models.get("b").pid is not None)
    loading = models.get("b").pid
    waiting = asyncio.ensure_future(chat(models, "b"))
    await until(lambda: models.get("b").queued == 1)
    began = clock.monotonic()
    await models.shut_down()
    assert clock.monotonic() - began < 5
    assert running.pid is not None
    assert loading is not None
    assert not is_alive(running.pid)
    assert not is_alive(loading)
    with pytest.raises(LocalModelStopped):
        await waiting
    assert models.list() == []


async def test_operators_see_what_models_do(mill: Mill) -> None:
    mill.model("one")
    models = await mill.open()
    before = registry.get_sample_value("tidemill_local_model_starts_total")
    assert before is not None
    await models.start("one", wait=True)
    assert registry.get_sample_value("tidemill_local_models", {"status": "running"}) == 1
    assert registry.get_sample_value("tidemill_local_model_starts_total") == before + 1
    await models.stop("one", wait=True)
    assert registry.get_sample_value("tidemill_local_models", {"status": "running"}) == 0
