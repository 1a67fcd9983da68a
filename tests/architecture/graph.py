"""The import graph of the product, built once, and the words the architecture tests share."""

import re
from functools import cache
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "tidemill"
GROUND = frozenset({"kernel", "platform", "wire"})
COMPOSITION_ROOT = frozenset({"server", "cli"})
# What a relayed request runs through: it reaches no framework and no database, even indirectly.
HOT_PATH = re.compile(r"tidemill\.(kernel|wire)(\..+)?|tidemill\.relay\.(pipeline|plan|rules|upstreams)\w*(\..+)?")


@cache
def import_graph() -> grimp.ImportGraph:
    """Return who imports whom, imports inside functions included, outside packages as one module each."""
    return grimp.build_graph("tidemill", include_external_packages=True, cache_dir=None)


def modules() -> list[str]:
    """Return the name of every module of the product."""
    return sorted(name for name in import_graph().modules if name.split(".")[0] == "tidemill")


def context_of(module: str) -> str:
    """Return the folder right below ``tidemill`` that ``module`` lives in, empty for the package itself."""
    return module.split(".")[1] if "." in module else ""


def path_of(module: str) -> Path:
    """Return the file that ``module`` is read from."""
    base = ROOT / "src" / Path(*module.split("."))
    file = base.with_suffix(".py")
    # A folder of the same name may stand beside a module: the built console beside ``server/console.py``.
    return file if file.is_file() else base / "__init__.py"
