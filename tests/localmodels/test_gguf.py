"""The header parser: facts of whole files, and a reason for everything else."""

import struct
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.localmodels import gguf_files
from tidemill.localmodels.errors import NotGguf
from tidemill.localmodels.gguf import read_facts

SCALARS = st.one_of(
    st.booleans(),
    st.integers(-(2**40), 2**40),
    st.floats(width=32, allow_nan=False),
    st.text(max_size=20),
)
VALUES = st.one_of(
    SCALARS,
    st.lists(st.integers(-5, 5), max_size=5),
    st.lists(st.text(max_size=8), min_size=1, max_size=5),
)
KEYS = st.text(st.characters(codec="ascii", categories=["Ll"]), min_size=1, max_size=8).map(
    lambda word: f"extra.{word}"
)
FILES = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)


def test_reads_what_a_header_says(tmp_path: Path) -> None:
    facts = read_facts(gguf_files.write(tmp_path / "tiny.gguf"))
    assert (facts.name, facts.architecture, facts.quantization) == ("Tiny", "llama", "Q4_1")
    assert (facts.context, facts.layers, facts.parameters) == (8192, 30, 64 * 32)
    # 30 layers of 3 heads, each with a key and a value of 576 / 9 numbers
    assert facts.kv_values_per_token == 30 * 3 * (64 + 64)
    assert facts.chat_template
    assert not facts.pooling
    assert facts.needed_bytes == (tmp_path / "tiny.gguf").stat().st_size


def test_head_counts_may_differ_by_layer(tmp_path: Path) -> None:
    values = dict(gguf_files.BASIC) | {"llama.attention.head_count_kv": [1, 2, 0], "llama.block_count": 3}
    facts = read_facts(gguf_files.write(tmp_path / "layers.gguf", values))
    assert facts.kv_values_per_token == 3 * 128


def test_without_a_file_type_the_largest_tensor_type_names_the_mix(tmp_path: Path) -> None:
    values = {key: value for key, value in gguf_files.BASIC.items() if key != "general.file_type"}
    path = tmp_path / "mix.gguf"
    path.write_bytes(gguf_files.encode(values, [("a", (8,), 0), ("b", (64, 64), 8)]))
    assert read_facts(path).quantization == "Q8_0"


def test_a_vocabulary_longer_than_the_first_window_is_stepped_over(tmp_path: Path) -> None:
    values = dict(gguf_files.BASIC) | {"tokenizer.ggml.tokens": ["x" * 90] * 60_000}
    assert read_facts(gguf_files.write(tmp_path / "wide.gguf", values)).chat_template


@FILES
@given(extra=st.dictionaries(KEYS, VALUES, max_size=6))
def test_unknown_keys_of_any_type_change_nothing(tmp_path: Path, extra: dict[str, object]) -> None:
    plain = read_facts(gguf_files.write(tmp_path / "plain.gguf"))
    more = read_facts(gguf_files.write(tmp_path / "more.gguf", extra | dict(gguf_files.BASIC)))
    assert (more.context, more.kv_values_per_token, more.parameters) == (
        plain.context,
        plain.kv_values_per_token,
        plain.parameters,
    )


@FILES
@given(data=st.data())
def test_every_shorter_file_is_refused(tmp_path: Path, data: st.DataObject) -> None:
    whole = gguf_files.encode(tensors=[("w", (64, 32), 8)])
    path = tmp_path / "short.gguf"
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(NotGguf):
        read_facts(path)


@FILES
@given(garbage=st.binary(max_size=400), magic=st.booleans())
def test_garbage_is_refused_and_never_anything_else(tmp_path: Path, garbage: bytes, magic: bool) -> None:  # noqa: FBT001 - drawn
    path = tmp_path / "garbage.gguf"
    path.write_bytes((b"GGUF\x03\0\0\0" if magic else b"") + garbage)
    with pytest.raises(NotGguf):
        read_facts(path)


@FILES
@given(data=st.data())
def test_a_flipped_byte_is_read_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    whole = bytearray(gguf_files.encode())
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    path = tmp_path / "flipped.gguf"
    path.write_bytes(whole)
    with suppress(NotGguf):
        assert read_facts(path).architecture


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (b"PK\x03\x04" + b"\0" * 60, "begin with GGUF"),
        (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "big-endian"),
        (b"GGUF" + struct.pack("<IQQ", 9, 0, 0), "version 9"),
        (b"GGUF" + struct.pack("<IQQ", 3, 2**60, 1), "not plausible"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 0), "general.architecture"),
        (b"", "cut short"),
    ],
)
def test_the_reason_is_told(tmp_path: Path, head: bytes, reason: str) -> None:
    path = tmp_path / "no.gguf"
    path.write_bytes(head)
    with pytest.raises(NotGguf) as refusal:
        read_facts(path)
    assert reason in refusal.value.message("en")
    assert "no.gguf" in refusal.value.message("zh")
