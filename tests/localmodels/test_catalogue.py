"""Which models the folder and the settings make."""

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.localmodels import gguf_files
from tests.localmodels.conftest import Mill, until
from tidemill.localmodels import names
from tidemill.localmodels.catalogue import Catalogue
from tidemill.localmodels.errors import ModelFileMissing, NotGguf
from tidemill.localmodels.gguf import GgufFacts, read_facts
from tidemill.localmodels.sizes import readable
from tidemill.platform.settings.groups.local_models import LocalModel, LocalModels


def catalogue(folder: Path, **models: LocalModel) -> Catalogue:
    return Catalogue(folder, LocalModels(models=models))


@given(st.text(max_size=60))
def test_every_stem_gives_a_valid_name(stem: str) -> None:
    assert names.is_valid(names.from_stem(stem))


def test_names_come_from_stems(tmp_path: Path) -> None:
    for path in (
        "SmolLM2-135M-Instruct.gguf",
        "pub/repo/Some Model v1.Q4_K_M.GGUF",
        "other/smollm2-135m-instruct.gguf",
    ):
        gguf_files.write(tmp_path / path)
    (tmp_path / "readme.txt").write_text("no model")
    (tmp_path / ".hidden.gguf").write_bytes(gguf_files.encode())
    found = catalogue(tmp_path).scan()
    assert list(found) == ["smollm2-135m-instruct", "smollm2-135m-instruct-2", "some-model-v1.q4_k_m"]
    assert found["smollm2-135m-instruct"].path == tmp_path / "SmolLM2-135M-Instruct.gguf"


def test_a_file_that_is_no_model_is_listed_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "junk.gguf").write_bytes(b"junk")
    (tmp_path / "folder.gguf").mkdir()
    found = catalogue(tmp_path).scan()
    assert isinstance(found["junk"].problem, NotGguf)
    assert isinstance(found["folder"].problem, NotGguf)


def test_a_header_is_read_again_only_when_the_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = gguf_files.write(tmp_path / "one.gguf")
    reads: list[Path] = []
    real = read_facts

    def counted(path: Path) -> GgufFacts:
        reads.append(path)
        return real(path)

    monkeypatch.setattr("tidemill.localmodels.catalogue.read_facts", counted)
    looking = catalogue(tmp_path)
    looking.scan()
    looking.scan()
    assert len(reads) == 1
    gguf_files.write(path, dict(gguf_files.BASIC) | {"llama.context_length": 100})
    os.utime(path, ns=(1, 1))
    assert looking.scan()["one"].facts is not None
    assert len(reads) == 2


def test_projectors_are_no_models(tmp_path: Path) -> None:
    gguf_files.write(tmp_path / "mmproj.gguf", {"general.architecture": "clip"})
    assert catalogue(tmp_path).scan() == {}


def test_a_split_model_is_one_model(tmp_path: Path) -> None:
    for number in (1, 2):
        gguf_files.write(tmp_path / f"big-{number:05d}-of-00002.gguf")
    found = catalogue(tmp_path).scan()
    assert list(found) == ["big"]
    assert found["big"].size_bytes == 2 * (tmp_path / "big-00001-of-00002.gguf").stat().st_size
    (tmp_path / "big-00002-of-00002.gguf").unlink()
    assert isinstance(catalogue(tmp_path).scan()["big"].problem, NotGguf)


def test_declarations_add_to_the_folder(tmp_path: Path) -> None:
    elsewhere = gguf_files.write(tmp_path / "elsewhere" / "x.gguf")
    folder = tmp_path / "models"
    gguf_files.write(folder / "plain.gguf")
    found = catalogue(
        folder,
        plain=LocalModel(slots=2, context=512, description="mine"),
        other=LocalModel(path=str(elsewhere), idle_timeout_s=0),
        gone=LocalModel(path=str(tmp_path / "gone.gguf")),
    ).scan()
    assert (found["plain"].slots, found["plain"].context, found["plain"].run.description) == (2, 512, "mine")
    assert found["other"].path == elsewhere
    assert found["other"].idle_timeout_s == 0
    assert isinstance(found["gone"].problem, ModelFileMissing)


def test_the_context_stays_within_what_the_model_was_made_for(tmp_path: Path) -> None:
    gguf_files.write(tmp_path / "small.gguf", dict(gguf_files.BASIC) | {"llama.context_length": 1024})
    assert catalogue(tmp_path).scan()["small"].context == 1024


@pytest.mark.parametrize(
    ("size", "words"), [(0, "0 B"), (98_362_432, "98 MB"), (4_200_000_000, "4.2 GB"), (7_000_000_000, "7 GB")]
)
def test_sizes_read_as_people_write_them(size: int, words: str) -> None:
    assert readable(size) == words


async def test_a_new_file_appears_without_a_restart(mill: Mill, tmp_path: Path) -> None:
    models = await mill.open()
    told: list[tuple[str, ...]] = []
    models.subscribe(lambda: told.append(models.names()))
    assert models.names() == ()
    shutil.copy(gguf_files.write(tmp_path / "new.gguf"), mill.models / "New.gguf")
    await until(lambda: models.names() == ("new",))
    assert told[-1] == ("new",)
    (mill.models / "New.gguf").unlink()
    await until(lambda: models.names() == ())
