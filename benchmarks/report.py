"""What was measured last, as tables and one picture, made from the figures that a run has kept."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
from typing import TYPE_CHECKING, Any

from benchmarks.measuring import ROOT, kept, say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

FOLDER = ROOT / "benchmarks"
TABLES = FOLDER / "results.md"
PICTURE = FOLDER / "results.png"

CONTESTANTS = {
    "http_sensor": "HttpSensorTrigger",
    "dbt_cloud": "DbtCloudRunJobTrigger",
    "databricks": "DatabricksExecutionTrigger",
    "shared_session": "one shared aiohttp session",
    "pictory": "VideoJobTrigger (ours)",
}
WAYS = {
    "http_sensor": "HttpSensor, deferrable",
    "pictory": "VideoJobSensor (ours)",
}
FILES = {
    "bare": "bare DAG",
    "pictory": "GenerateVideoOperator and VideoJobSensor (ours)",
    "http": "HttpOperator and HttpSensor",
    "dbt_cloud": "dbt Cloud operator and sensor",
    "databricks": "Databricks operator and sensor",
}
PACKAGES = (
    "apache-airflow",
    "apache-airflow-providers-http",
    "apache-airflow-providers-dbt-cloud",
    "apache-airflow-providers-databricks",
    "aiohttp",
)
OURS, PEERS, REFERENCE = "#6d3fd1", "#b9b9c3", "#5f6b7a"
MILLISECONDS = 1000.0


def main() -> None:
    """Write both files from what there is; what was measured elsewhere alone keeps its place."""
    sections = [
        section
        for write in (_waiting, _job_list, _real_airflow, _batches, _parsing, _downloading, _schedule)
        if (section := write())
    ]
    TABLES.write_text("\n".join(["# Results\n", _conditions(), *_with_former(sections, TABLES)]))
    say(f"wrote {TABLES.relative_to(ROOT)}")
    if draw(PICTURE):
        say(f"wrote {PICTURE.relative_to(ROOT)}")


def _with_former(sections: Iterable[str], file: Path) -> list[str]:
    new = {section.partition("\n")[0]: section for section in sections}
    former = re.split(r"^(?=## )", file.read_text(), flags=re.MULTILINE)[1:] if file.exists() else []
    kept = [new.pop(old.partition("\n")[0], old.rstrip("\n") + "\n") for old in former]
    return [*kept, *new.values()]


def _conditions() -> str:
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    return (
        f"Made by `make bench` on {machine()}; Python {platform.python_version()}, {versions}. [README.md](README.md) "
        "says how each figure comes about. Read the ratios, not the absolutes.\n\n![The results as a picture](results.png)\n"
    )


def machine() -> str:
    """Name the machine by its size alone."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{processors} shared cores, {memory:.0f} GB"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table, its first column to the left and all others to the right."""
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _waiting() -> str:
    results = kept("waiting")
    if results is None:
        return ""
    parts = ["## Many jobs in one event loop\n"]
    heads = [
        "", "CPU per poll", "against the shared session", "against HttpSensorTrigger", "connections per poll",
        "memory per job", "loop lag p99", "poll late p99", "delay of detection, median", "p99", "polls kept",
        "requests per job",
    ]  # fmt: skip
    for jobs, rows in results.items():
        parts.append(f"### {int(jobs):,} jobs, polled every 2 s\n")
        parts.append(table(heads, [_waiting_row(CONTESTANTS[name], row) for name, row in rows.items()]))
    return "\n".join(parts)


def _waiting_row(name: str, row: dict[str, Any]) -> list[str]:
    return [
        name,
        f"{row['cpu_per_poll'] * 1e6:,.0f} µs",
        _ratio(row.get("cpu_against_shared_session")),
        _ratio(row.get("cpu_against_http_sensor")),
        f"{row['connections_per_poll']:.3f}",
        f"{row['memory_per_job'] / 1024:,.0f} KB",
        f"{row['lag_p99'] * MILLISECONDS:,.0f} ms",
        f"{row['late_p99']:.2f} s",
        f"{row['delay_p50']:.2f} s",
        f"{row['delay_p99']:.2f} s",
        f"{min(row['polls_kept'], 1):.0%}",
        f"{row['requests_per_job']:.1f}",
    ]


def _job_list() -> str:
    results = kept("job_list")
    if results is None:
        return ""
    heads = [
        "", "requests per look", "against the shared session", "CPU per look", "against the shared session",
        "looks kept", "delay of detection, median", "p99",
    ]  # fmt: skip
    names = {**CONTESTANTS, "pictory_without_list": "VideoJobTrigger, list switched off"}
    parts = ["## Learning from the list of jobs\n"]
    for account, of_jobs in results.items():
        for jobs, rows in of_jobs.items():
            parts.append(f"### {int(jobs):,} jobs, polled every 2 s; {account}\n")
            reference = rows["shared_session"]
            parts.append(
                table(heads, [_job_list_row(names[name], row, reference) for name, row in rows.items()])
            )
    return "\n".join(parts)


def _job_list_row(name: str, row: dict[str, Any], reference: dict[str, Any]) -> list[str]:
    return [
        name,
        f"{row['requests_per_look']:.3f}",
        _ratio(row["requests_per_look"] / reference["requests_per_look"]),
        f"{row['cpu_per_look'] * 1e6:,.0f} µs",
        _ratio(row["cpu_per_look"] / reference["cpu_per_look"]),
        f"{min(row['looks_kept'], 1):.0%}",
        f"{row['delay_p50']:.2f} s",
        f"{row['delay_p99']:.2f} s",
    ]


def _ratio(value: float | None) -> str:
    # Not there where only some contestants were measured.
    return "" if value is None else f"{value:.2f}x"


def _real_airflow() -> str:
    results = kept("real_airflow")
    if results is None:
        return ""
    rows = [
        [
            name,
            f"{row['task_processes']:.2f}",
            f"{row['worker_seconds']:.1f}",
            f"{row['airflow_cpu_seconds']:.0f} s",
            f"{row['requests']:.1f}",
            f"{row['connections']:.2f}",
            f"{row['delay_p50']:.1f} s",
            f"{row['delay_p95']:.1f} s",
        ]
        for way, name in WAYS.items()
        if (row := results["ways"].get(way))
    ]
    heads = [
        "", "task processes per job", "worker-seconds per job", "CPU of the whole Airflow", "requests per job",
        "connections per job", "end of task after end of job, median", "p95",
    ]  # fmt: skip
    return f"## {results['jobs']} jobs of about a minute under a real Airflow\n\n{table(heads, rows)}"


def _batches() -> str:
    results = kept("batches")
    if results is None:
        return ""
    names = {"batch": "one task", "mapped": "mapped tasks"}
    heads = [
        "", "videos", "task processes", "worker-seconds per video", "CPU of the whole Airflow per video",
        "requests per video", "memory of a task, at most", "memory of the triggerer, at most", "time",
    ]  # fmt: skip
    rows = [
        [
            names[name],
            f"{row['videos']:,}",
            f"{row['task_processes']:,}",
            f"{row['worker_seconds'] / row['videos']:.2f}",
            f"{row['airflow_cpu_seconds'] / row['videos'] * MILLISECONDS:,.0f} ms",
            f"{row['requests'] / row['videos']:.1f}",
            f"{row['task_memory'] / 2**20:,.0f} MB",
            f"{row['triggerer_memory'] / 2**20:,.0f} MB",
            f"{row['seconds']:,.0f} s",
        ]
        for name, row in results.items()
    ]
    return f"## Many videos of a minute under a real Airflow\n\n{table(heads, rows)}"


def _parsing() -> str:
    results = kept("parsing")
    if results is None:
        return ""
    rows = [
        [
            name,
            f"{row['cpu'] * MILLISECONDS:.0f} ms",
            f"{row['ratio']:.2f}x",
            f"{row['modules']:.0f}",
            f"{row['imported_ratio']:.2f}x",
        ]
        for file, name in FILES.items()
        if (row := results.get(file))
    ]
    heads = [
        "", "CPU in a fresh fork", "over the bare DAG", "modules loaded", "over the bare DAG, where the DAG processor has imported before"
    ]  # fmt: skip
    return f"## Parsing a DAG file\n\n{table(heads, rows)}"


def _downloading() -> str:
    results = kept("downloading")
    if results is None:
        return ""
    rows = [
        [name, f"{row['curl']:,.0f} MB/s", f"{row['pictory']:,.0f} MB/s", f"{row['ratio']:.2f}x"]
        for name, row in results["folders"].items()
    ]
    return (
        f"## Saving a video of {results['megabytes']:,} MB\n\n"
        + table(["to", "curl", "PictoryToObjectStorageOperator (ours)", "median of the ratios"], rows)
        + f"\nSHA-256 alone runs at {results['sha256']:,.0f} MB/s on one processor here. Saving a video of "
        f"{results['memory_megabytes']:,} MB took at most {results['memory'] / 2**20:.1f} MiB above the same process after a small one.\n"
    )


def _schedule() -> str:
    results = kept("schedule")
    if results is None:
        return ""
    rows = [
        [
            f"{row['interval']:.0f} s",
            row["schedule"] + (f" ({', '.join(f'{value:g}' for value in row['parameters'])})" if row["parameters"] else ""),
            f"{row['looks']:.2f}",
            f"{row['gain']:+.1%}",
            f"{row['delay']:.1f} s",
            f"{row['delay_p95']:.1f} s",
        ]
        for row in results["comparison"]
    ]  # fmt: skip
    heads = ["delay of a fixed", "schedule", "requests per job", "fewer than fixed", "mean delay", "p95"]
    chosen = [
        [
            f"first after {row['first']:g} s, then every {row['pause']:g} s",
            "all" if "median" not in row else f"about {row['median']:.0f} s",
            f"{row['looks']:.2f}",
            f"{row['fixed_looks']:.2f} (every {row['interval']:.1f} s)",
            f"{row['gain']:+.1%}",
            f"{row['delay']:.1f} s",
        ]
        for row in [*results["recommended"], *results["by_median"]]
    ]
    tenth = results["tenth_of_age"]
    return (
        f"## When to look, by simulation\n\n{table(heads, rows)}\n"
        f"A tenth of the age needs {tenth['looks']:.2f} requests where a fixed interval of equal delay needs "
        f"{tenth['fixed_looks']:.2f} ({-tenth['gain']:.0%} more).\n\n"
        + table(
            ["schedule", "jobs", "requests per job", "fixed interval of equal delay", "fewer", "mean delay"],
            chosen,
        )
    )


def draw(file: Path) -> bool:
    """Draw the four figures that a user would ask for first, if all were measured."""
    waiting, airflow, parsing = kept("waiting"), kept("real_airflow"), kept("parsing")
    if not (waiting and airflow and parsing and {"1000", "3000"} <= set(waiting)):
        return False
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, 2, figsize=(12, 6.4), layout="constrained")
    thousand, most = waiting["1000"], waiting["3000"]
    _bars(
        axes[0][0],
        "CPU per poll, 1,000 jobs (session = 1)",
        [
            (name, thousand[key]["cpu_against_shared_session"], key)
            for key, name in CONTESTANTS.items()
            if key in thousand
        ],
        lambda value: f"{value:.2f}x",
    )
    _bars(
        axes[0][1],
        "Lateness of a poll, 3,000 jobs (p99)",
        [(name, most[key]["late_p99"], key) for key, name in CONTESTANTS.items() if key in most],
        lambda value: f"{value:.2f} s",
    )
    _bars(
        axes[1][0],
        "Task processes per job, real Airflow",
        [
            (name, airflow["ways"][key]["task_processes"], key)
            for key, name in WAYS.items()
            if key in airflow["ways"]
        ],
        lambda value: f"{value:.2g}",
    )
    _bars(
        axes[1][1],
        "Parsing a DAG file (bare DAG = 1)",
        [(name, parsing[key]["ratio"], key) for key, name in FILES.items()],
        lambda value: f"{value:.2f}x",
    )
    figure.savefig(file, dpi=110, metadata={"Software": None})
    return True


def _bars(
    axes: Any, title: str, rows: Sequence[tuple[str, float, str]], words: Callable[[float], str]
) -> None:
    names = [name.replace(" (ours)", "").replace(" and ", " and\n") for name, _, _ in rows]
    values = [value for _, value, _ in rows]
    colours = [
        OURS if key.startswith("pictory") else REFERENCE if key in ("shared_session", "bare") else PEERS
        for *_, key in rows
    ]
    bars = axes.barh(names, values, color=colours, height=0.62)
    axes.bar_label(bars, labels=[words(value) for value in values], padding=4, fontsize=9)
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold")
    axes.invert_yaxis()
    axes.set_xlim(0, max(*values, 0.001) * 1.16)
    axes.xaxis.set_visible(False)
    axes.tick_params(axis="y", length=0, labelsize=9)
    for side in ("top", "right", "bottom"):
        axes.spines[side].set_visible(False)


if __name__ == "__main__":
    main()
