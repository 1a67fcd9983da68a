"""Every error a caller may see has a code of its own and a full sentence in zh and en."""

import importlib
import re
import string
from collections import Counter
from collections.abc import Iterator

from tests.architecture.graph import COMPOSITION_ROOT, GROUND, context_of, modules
from tidemill.kernel.errors import TidemillError

CHINESE = re.compile(r"[\u4e00-\u9fff]")
SLUG = re.compile(r"[a-z][a-z0-9_]*")


def error_classes() -> list[type[TidemillError]]:
    """Return every error there is; all modules are loaded, so that no other test decides what is seen here."""
    for name in modules():
        # Alembic alone can load its environment.
        if not name.endswith(("__main__", "migrations.env")):
            importlib.import_module(name)
    return sorted({TidemillError, *below(TidemillError)}, key=lambda error: error.__qualname__)


def below(error: type[TidemillError]) -> Iterator[type[TidemillError]]:
    for child in error.__subclasses__():
        if child.__module__.startswith("tidemill."):
            yield child
            yield from below(child)


def placeholders(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}


def test_errors_live_where_others_may_import_them() -> None:
    wrong = [
        f"{error.__module__}.{error.__name__}"
        for error in error_classes()
        if context_of(error.__module__) not in GROUND | COMPOSITION_ROOT
        and not error.__module__.split(".")[-1].startswith("errors")
    ]
    assert wrong == []


def test_every_error_speaks_both_languages() -> None:
    wrong = [
        error.__name__
        for error in error_classes()
        if not CHINESE.search(error.zh) or CHINESE.search(error.en) or not error.en.rstrip().endswith((".", "}"))
    ]
    assert wrong == []


def test_both_sentences_hold_the_same_values() -> None:
    assert [error.__name__ for error in error_classes() if placeholders(error.zh) != placeholders(error.en)] == []


def test_a_code_means_one_thing() -> None:
    own = [error for error in error_classes() if "code" in vars(error)]
    codes = Counter(error.code for error in own)
    assert [code for code in codes if not SLUG.fullmatch(code)] == []
    assert [code for code, count in codes.items() if count > 1] == []


def test_an_error_that_differs_says_so_in_its_code() -> None:
    silent = [error.__name__ for error in error_classes() if "zh" in vars(error) and "code" not in vars(error)]
    assert silent == []


def test_every_status_is_an_error_status() -> None:
    lowest, highest = 400, 599
    assert [error.__name__ for error in error_classes() if not lowest <= error.status <= highest] == []
