"""Pure decisions: exits, back-off, memory, balance, command lines."""

import signal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.localmodels import gguf_files
from tidemill.localmodels import command, rules
from tidemill.localmodels.balance import Candidate, Picker
from tidemill.localmodels.gguf import read_facts
from tidemill.localmodels.probe import parse_metrics
from tidemill.localmodels.rules import Ending
from tidemill.localmodels.spec import ModelSpec, resolve
from tidemill.platform.settings.groups.local_models import LocalModel, LocalModels


def spec(tmp_path: Path, declared: LocalModel | None = None, size_bytes: int = 98_362_432) -> ModelSpec:
    path = gguf_files.write(tmp_path / "tiny.gguf")
    return resolve("tiny", path, size_bytes, read_facts(path), declared, LocalModels())


@pytest.mark.parametrize(
    ("code", "when", "log", "wanted"),
    [
        (0, "asked", [], Ending.STOPPED),
        (-signal.SIGILL, "loading", [], Ending.CPU),
        (-signal.SIGKILL, "memory low", [], Ending.MEMORY),
        (-signal.SIGKILL, "ready", [], Ending.CRASHED),
        (1, "loading", ["srv start: couldn't bind HTTP server socket"], Ending.PORT_TAKEN),
        (1, "loading", ["error: invalid argument: --offline"], Ending.FLAG_UNKNOWN),
        (1, "loading", ["failed to load model"], Ending.REFUSED),
        (1, "ready", [], Ending.CRASHED),
        (0, "ready", [], Ending.CRASHED),
        (-signal.SIGSEGV, "loading", [], Ending.CRASHED),
    ],
)
def test_an_exit_says_what_follows(code: int, when: str, log: list[str], wanted: Ending) -> None:
    found = rules.ending(
        code, asked=when == "asked", loading=when == "loading", log=log, memory_low=when == "memory low"
    )
    assert found is wanted


def test_exits_are_told_as_people_know_them() -> None:
    assert rules.describe_exit(1) == "exit code 1"
    assert rules.describe_exit(-11) == "signal SIGSEGV"
    assert rules.describe_exit(-99) == "signal 99"


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_back_off_grows_and_is_bounded(crashes: int, jitter: float) -> None:
    pause = rules.backoff_s(crashes, jitter)
    assert 0.8 <= pause <= rules.BACKOFF_CAP_S * 1.2 + 0.001
    assert rules.backoff_s(crashes + 1, jitter) >= pause


def test_memory_is_weights_and_cache_and_a_fixed_part(tmp_path: Path) -> None:
    one = spec(tmp_path, LocalModel(context=2048, slots=4))
    assert rules.kv_bytes(one) == 180 * (1 << 20)  # as measured for this shape at 8192 tokens
    assert rules.estimate_bytes(one) == one.size_bytes + 180 * (1 << 20) + (350 << 20)
    assert rules.estimate_bytes(one, observed_peak=5) == 5
    halved = spec(tmp_path, LocalModel(context=2048, slots=4, cache_type_k="q8_0", cache_type_v="q8_0"))
    assert rules.kv_bytes(halved) < rules.kv_bytes(one) * 0.54


def test_the_system_keeps_a_reserve() -> None:
    assert rules.reserve_bytes(4 << 30, None) == 1 << 30
    assert rules.reserve_bytes(64 << 30, None) == (64 << 30) // 10
    assert rules.reserve_bytes(64 << 30, 100) == 100_000_000


def test_a_big_file_may_load_longer() -> None:
    assert rules.load_deadline_s(1, 60) == 60
    assert rules.load_deadline_s(40_000_000_000, 60) == 800


@given(st.integers(1, 256), st.integers(0, 20))
def test_threads_share_the_cores(cores: int, instances: int) -> None:
    assert 1 <= rules.threads(cores, instances, 0) <= cores
    assert rules.threads(cores, instances, 3) == 3


def candidates(*in_flight: int, weights: tuple[int, ...] = ()) -> list[Candidate]:
    return [
        Candidate(replica=number, in_flight=busy, slots=4, weight=weights[number] if weights else 1)
        for number, busy in enumerate(in_flight)
    ]


def test_round_robin_goes_round() -> None:
    picker = Picker("round_robin")
    assert [picker.pick(candidates(3, 0, 0)) for _ in range(4)] == [0, 1, 2, 0]


def test_least_connections_prefers_the_idle_and_shares_ties() -> None:
    picker = Picker("least_connections")
    assert picker.pick(candidates(2, 0, 1)) == 1
    assert sorted(picker.pick(candidates(0, 0, 0)) for _ in range(3)) == [0, 1, 2]


def test_weights_rule_without_bursts() -> None:
    picker = Picker("weighted")
    order = [picker.pick(candidates(0, 0, 0, weights=(5, 1, 1))) for _ in range(7)]
    assert order == [0, 0, 1, 0, 2, 0, 0]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=5), st.integers(1, 4))
def test_every_weight_gets_its_share(weights: list[int], rounds: int) -> None:
    picker = Picker("weighted")
    idle = candidates(*[0] * len(weights), weights=tuple(weights))
    picks = [picker.pick(idle) for _ in range(sum(weights) * rounds)]
    assert [picks.count(replica) for replica in range(len(weights))] == [weight * rounds for weight in weights]


def test_the_command_line_follows_the_declaration(tmp_path: Path) -> None:
    declared = LocalModel(gpu_layers=12, cache_type_k="q8_0", embeddings=False, extra_args=("--jinja",), slots=2)
    words = command.arguments(spec(tmp_path, declared), 9000, 3, frozenset({"--offline"}))
    line = " ".join(words)
    assert "--host 127.0.0.1 --port 9000" in line
    assert "--ctx-size 8192 --parallel 2 --threads 3" in line
    assert "--n-gpu-layers 12 --cache-type-k q8_0 --jinja" in line
    assert "--embeddings" not in words
    assert "--offline" not in words
    assert "--sse-ping-interval 1" in line


def test_one_instance_answers_chat_and_embeddings(tmp_path: Path) -> None:
    line = " ".join(command.arguments(spec(tmp_path), 9000, 1))
    assert "--embeddings --pooling mean" in line


def test_a_model_with_its_own_pooling_keeps_it(tmp_path: Path) -> None:
    path = gguf_files.write(tmp_path / "e.gguf", {"general.architecture": "bert", "bert.pooling_type": 2})
    own = resolve("e", path, 1, read_facts(path), None, LocalModels())
    words = command.arguments(own, 9000, 1)
    assert "--embeddings" in words
    assert "--pooling" not in words
    assert words[words.index("--ubatch-size") + 1] == str(own.context)


def test_the_child_sees_nothing_of_ours() -> None:
    ours = {"PATH": "/bin", "TIDEMILL_AUTH__SECRET_KEY": "s", "LLAMA_ARG_PORT": "1", "CUDA_VISIBLE_DEVICES": "0"}
    seen = command.environment(ours, Path("/opt/llama/llama-server"), "k")
    assert seen == {"PATH": "/bin", "CUDA_VISIBLE_DEVICES": "0", "LD_LIBRARY_PATH": "/opt/llama", "LLAMA_API_KEY": "k"}


def test_metrics_are_read_without_labels() -> None:
    assert parse_metrics('# TYPE a counter\nllamacpp:a 1.5\nb{c="d"} 2\nnot-a-number x\n') == {"a": 1.5}
