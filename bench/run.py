"""Run the measurements and print them: ``python -m bench.run [NAME…] [--no-keep] [--list]``.

A measurement is a module ``bench/measure_<name>.py`` with a docstring and ``measure() -> list[Figure]``. Each runs by
itself, one after the other; with two cores, two at once would measure each other. One that takes many minutes says
``IN_ALL = False`` and runs only when it is named.
"""

import argparse
import importlib
import sys
from pathlib import Path

from bench.figures import Figure, keep, table

FOLDER = Path(__file__).parent


def names() -> list[str]:
    """Return every measurement there is."""
    return sorted(path.stem.removeprefix("measure_") for path in FOLDER.glob("measure_*.py"))


def in_all(name: str) -> bool:
    """Tell whether a run of everything includes this measurement."""
    return getattr(importlib.import_module(f"bench.measure_{name}"), "IN_ALL", True)


def measure(name: str) -> list[Figure]:
    """Run one measurement."""
    return importlib.import_module(f"bench.measure_{name}").measure()


def main(arguments: list[str]) -> int:
    """Measure, print, keep; 1 when a limit was missed."""
    parser = argparse.ArgumentParser(prog="bench.run", description=__doc__)
    parser.add_argument("name", nargs="*", help="measurements to run; none: all")
    parser.add_argument("--list", action="store_true", help="name the measurements and stop")
    parser.add_argument("--no-keep", action="store_true", help="do not write bench/results")
    options = parser.parse_args(arguments)
    if options.list:
        print(*names(), sep="\n")
        return 0
    wanted: list[str] = options.name or [name for name in names() if in_all(name)]
    unknown = set(wanted) - set(names())
    if unknown:
        parser.error(f"no such measurement: {', '.join(sorted(unknown))}; there are {', '.join(names())}")
    figures: list[Figure] = []
    for name in wanted:
        print(f"measuring {name} …", file=sys.stderr, flush=True)
        figures += measure(name)
    print(table(figures))
    if not options.no_keep:
        print(f"\nkept in {keep(figures).relative_to(FOLDER.parent)}")
    return 1 if any(figure.holds is False for figure in figures) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
