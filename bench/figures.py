"""What a measurement gives back, and how it is told and kept.

A figure alone says more about the machine than about us; so each one that can carries a baseline measured in the same
run, on the same machine, a moment before or after, and its ratio to it.
"""

import os
import platform
import statistics
import subprocess
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from tidemill.kernel import clock

RESULTS = Path(__file__).parent / "results"


class Figure(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One measured value. ``samples`` are the repetitions whose median ``value`` is."""

    name: str
    value: float
    unit: str
    samples: Sequence[float] = ()
    baseline: float | None = None
    baseline_name: str = ""
    limit: float | None = None
    """What the value (or, with ``limits_ratio``, the ratio) must not exceed."""
    limits_ratio: bool = False
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """The value over its baseline, None without one."""
        return self.value / self.baseline if self.baseline else None

    @property
    def holds(self) -> bool | None:
        """Whether the limit is kept, None when there is none."""
        if self.limit is None:
            return None
        compared = self.ratio if self.limits_ratio else self.value
        return compared is not None and compared <= self.limit


class Run(Struct, frozen=True, kw_only=True):
    """Everything that one run measured, and where."""

    at: datetime
    revision: str
    machine: dict[str, str]
    figures: list[Figure]


def median_of(samples: Iterable[float]) -> tuple[float, tuple[float, ...]]:
    """Return the median and the samples it stands for."""
    kept = tuple(samples)
    return statistics.median(kept), kept


def machine() -> dict[str, str]:
    """Return what a reader must know about the machine to judge the figures."""
    return {
        "system": platform.platform(),
        "processors": str(os.cpu_count()),
        "processor": _processor(),
        "python": platform.python_version(),
        "load": f"{os.getloadavg()[0]:.2f}",
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.is_file():
        return platform.processor()
    lines = cpuinfo.read_text(encoding="utf-8").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def _revision() -> str:
    done = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def keep(figures: list[Figure]) -> Path:
    """Write the run as JSON below ``bench/results`` and return the file."""
    run = Run(at=clock.now().replace(microsecond=0), revision=_revision(), machine=machine(), figures=figures)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{run.at:%Y%m%dT%H%M%SZ}-{run.revision}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(run), indent=1) + b"\n")
    return path


def table(figures: Iterable[Figure]) -> str:
    """Return the figures as a Markdown table."""
    lines = [
        "| measurement | value | baseline | ratio | limit | |",
        "| --- | ---: | ---: | ---: | ---: | --- |",
    ]
    for figure in figures:
        ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
        baseline = "" if figure.baseline is None else f"{_number(figure.baseline)} {figure.baseline_name}"
        limit = "" if figure.limit is None else f"{'ratio ' if figure.limits_ratio else ''}{_number(figure.limit)}"
        verdict = {None: "", True: "kept", False: "**missed**"}[figure.holds]
        lines.append(
            f"| {figure.name} | {_number(figure.value)} {figure.unit} | {baseline} | {ratio} | {limit} | {verdict} |"
        )
        if figure.note:
            lines.append(f"| ↳ {figure.note} | | | | | |")
    return "\n".join(lines)


def _number(value: float) -> str:
    large, medium = 100, 1
    if abs(value) >= large:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= medium else f"{value:.3f}"
