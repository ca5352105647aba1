"""What all measurements share: processors, memory, medians, and where results are kept."""

from __future__ import annotations

import json
import math
import os
import resource
import statistics
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

ROOT = Path(__file__).parents[1]
# What a run measured, as JSON; the report is made from it.
RAW_RESULTS = ROOT / ".benchmarks"


def pin_to_processor(number: int) -> None:
    """Keep this process on one processor, where the system can do that and there is more than one."""
    if hasattr(os, "sched_setaffinity"):
        processors = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {processors[number % len(processors)]})


def resident_bytes() -> int:
    """Return the memory that this process holds now, or the most it ever held where only that is known."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return pages * resource.getpagesize()


def percentile(values: Iterable[float], percent: float) -> float | None:
    """Return the smallest value that so many percent of the values don't exceed."""
    ordered = sorted(values)
    if not ordered:
        return None
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def medians(rounds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the median of each figure over several rounds."""
    names = [name for name in rounds[0] if isinstance(rounds[0][name], (int, float))]
    return {
        name: statistics.median(values)
        for name in names
        if (values := [each[name] for each in rounds if each.get(name) is not None])
    }


def without_settings(**further: str) -> dict[str, str]:
    """Return this process's environment without what a developer set for Airflow or a proxy."""
    own = {
        name: value
        for name, value in os.environ.items()
        if "AIRFLOW_" not in name and "PROXY" not in name.upper()
    }
    return {**own, **further}


def keep(name: str, results: Mapping[str, Any]) -> None:
    """Keep what was measured for the report."""
    RAW_RESULTS.mkdir(parents=True, exist_ok=True)
    (RAW_RESULTS / f"{name}.json").write_text(json.dumps(results, indent=1) + "\n")


def kept(name: str) -> dict[str, Any] | None:
    """Return what :func:`keep` kept, or ``None`` where that was not measured."""
    file = RAW_RESULTS / f"{name}.json"
    return json.loads(file.read_text()) if file.exists() else None


def say(words: str = "") -> None:
    """Tell whoever watches, at once also where the output goes into a file."""
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()
