"""A context is entered through its door; frameworks stay in the rooms built for them; nothing goes round in circles."""

import re
from collections.abc import Iterable, Iterator

import grimp
import pytest

from tests.architecture.graph import COMPOSITION_ROOT, GROUND, HOT_PATH, context_of, import_graph, modules

DOORS = re.compile(r"(facade|contracts|errors)(_\w+)?")
# The composition root builds services and mounts routes; repositories, rules and engines stay inside.
ROOT_DOORS = re.compile(rf"{DOORS.pattern}|ports|routes(_\w+)?|jobs|tables|(\w+_)?service|asgi|app")
ROOMS = {
    "sqlalchemy": re.compile(r"tidemill\.platform\.db(\..+)?|tidemill\.(.+\.)?(tables|repository(_\w+)?)"),
    "alembic": re.compile(r"tidemill\.platform\.db(\..+)?"),
    "litestar": re.compile(r"tidemill\.(platform\.web|server)(\..+)?|tidemill\.(.+\.)?routes(_\w+)?"),
}


def imports_across_contexts() -> Iterator[tuple[str, str]]:
    graph = import_graph()
    for importer in modules():
        for imported in sorted(graph.find_modules_directly_imported_by(importer)):
            inside = imported.startswith("tidemill.") and context_of(imported) not in GROUND
            if inside and context_of(imported) != context_of(importer):
                yield importer, imported


def test_contexts_are_entered_through_their_doors() -> None:
    wrong = [
        f"{importer} reaches into {imported}"
        for importer, imported in imports_across_contexts()
        if not (ROOT_DOORS if context_of(importer) in COMPOSITION_ROOT else DOORS).fullmatch(imported.split(".")[-1])
        and context_of(imported) not in COMPOSITION_ROOT
        # A program of its own that one command starts; it has no callers to keep out.
        and (context_of(importer), context_of(imported)) != ("cli", "simulator")
    ]
    assert wrong == []


@pytest.mark.parametrize("package", sorted(ROOMS))
def test_frameworks_stay_in_their_rooms(package: str) -> None:
    graph = import_graph()
    if package not in graph.modules:
        return
    importers = graph.find_modules_that_directly_import(package)
    assert sorted(name for name in importers if not ROOMS[package].fullmatch(name)) == []


def test_the_hot_path_reaches_no_framework_even_indirectly() -> None:
    graph = import_graph()
    wrong: list[str] = []
    for module in filter(HOT_PATH.fullmatch, modules()):
        reached = graph.find_upstream_modules(module)
        for package in sorted(ROOMS.keys() & reached):
            chain = graph.find_shortest_chain(module, package) or ()
            wrong.append(" -> ".join(chain))
    assert wrong == []


def circles(graph: grimp.ImportGraph, names: Iterable[str]) -> list[str]:
    """Return each way round: a module, what it imports, and the chain from there back to it."""
    found: list[str] = []
    for name in names:
        for imported in sorted(graph.find_modules_directly_imported_by(name)):
            back = graph.find_shortest_chain(imported, name)
            if back:
                found.append(" -> ".join((name, *back)))
    return found


def test_no_module_imports_itself_by_a_detour() -> None:
    assert circles(import_graph(), modules()) == []


def test_a_detour_would_be_seen() -> None:
    graph = grimp.ImportGraph()
    for importer, imported in (("a", "b"), ("b", "c"), ("c", "a"), ("c", "d")):
        graph.add_import(importer=importer, imported=imported)
    assert circles(graph, ["a", "d"]) == ["a -> b -> c -> a"]
