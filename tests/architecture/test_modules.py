"""Every module says why it exists; tasks are owned; nothing is named for what it might hold one day."""

import ast
import subprocess
import sys

from tests.architecture.graph import HOT_PATH, ROOT, modules, path_of

VAGUE = {"utils", "util", "helpers", "helper", "common", "manager", "managers", "misc"}
TASK_OWNER = "tidemill.platform.tasks"
SPAWNERS = {"create_task", "ensure_future"}
FORMER_CLOCKS = {("datetime", "now"), ("datetime", "utcnow"), ("time", "time"), ("time", "monotonic")}


def tree(module: str) -> ast.Module:
    return ast.parse(path_of(module).read_text(encoding="utf-8"))


def calls(module: str) -> list[tuple[str, str, int]]:
    """Return (object, attribute, line) of every ``object.attribute(...)`` in ``module``."""
    return [
        (node.func.value.id, node.func.attr, node.lineno)
        for node in ast.walk(tree(module))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name)
    ]


def test_every_module_opens_with_why_it_exists() -> None:
    assert [name for name in modules() if not ast.get_docstring(tree(name))] == []


def test_no_module_has_a_vague_name() -> None:
    assert [name for name in modules() if VAGUE & set(name.split("."))] == []


def test_tasks_are_spawned_by_their_owner() -> None:
    wrong = [
        f"{module}:{line}"
        for module in modules()
        if not module.startswith(TASK_OWNER)
        for thing, verb, line in calls(module)
        if thing in {"asyncio", "loop"} and verb in SPAWNERS
    ]
    assert wrong == []


def test_time_comes_from_the_kernels_clock() -> None:
    wrong = [
        f"{module}:{line}"
        for module in modules()
        if module != "tidemill.kernel.clock"
        for thing, verb, line in calls(module)
        if (thing, verb) in FORMER_CLOCKS
    ]
    assert wrong == []


def test_the_raw_path_loads_no_framework() -> None:
    """The graph does not see what a package's ``__init__`` pulls in; the interpreter does."""
    wanted = [name for name in modules() if HOT_PATH.fullmatch(name)]
    assert "tidemill.kernel.errors" in wanted
    frameworks = {"sqlalchemy", "litestar", "alembic"}
    script = f"import sys, {', '.join(wanted)}; print(*sorted({frameworks!r} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == []
