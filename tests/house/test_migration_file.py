"""``make migrate-create`` writes the next link of the chain."""

from pathlib import Path

import pytest

from scripts.create_migration import create, main


def test_the_next_number_follows_the_newest(tmp_path: Path) -> None:
    (tmp_path / "0007_before.py").touch()
    path = create("knowledge_bases", tmp_path)
    assert path.name == "0008_knowledge_bases.py"
    text = path.read_text(encoding="utf-8")
    assert 'revision = "0008"' in text
    assert 'down_revision = "0007"' in text
    compile(text, str(path), "exec")


@pytest.mark.parametrize("arguments", [[], [""], ["Has Spaces"], ["a", "b"]])
def test_an_odd_name_is_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert "make migrate-create name=" in capsys.readouterr().err
