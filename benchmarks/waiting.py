"""What it costs to wait for many jobs in one event loop, as Airflow's triggerer does."""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.contestants import CONNECTION_ID, CONTESTANTS, connection
from benchmarks.measuring import ROOT, keep, medians, percentile, say, without_settings
from benchmarks.service import ends
from tests.support.certificates import make_certificates

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.certificates import Certificates

INTERVAL = 2.0
STARTS_PER_SECOND = 500.0
WINDOW = 6.0
ENDING = 3.0
# How long to wait for those who fall behind, since some never catch up: after the last job's start, until each
# was asked for once, and after the last job's end. What has not come by then counts as that late. The first is
# longer than what our poller spreads the first polls over, so that it isn't measured before it has all its work.
LONGEST_START = 17.0
LONGEST_TAIL = 8.0
# How often everybody waits for so many jobs.
ROUNDS = {100: 3, 1000: 3, 3000: 3}
SEED = 20260101
REFERENCE = "shared_session"


def measure(rounds: dict[int, int], contestants: tuple[str, ...]) -> dict[str, Any]:
    """
    Let all contestants wait for so many jobs, in turn, several times over.

    :param rounds: how often for each number of jobs; the medians count, and the order changes from round to
        round.
    :param contestants: names from :data:`benchmarks.contestants.CONTESTANTS`.
    """
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        certificates = make_certificates(Path(folder))
        for jobs, times in rounds.items():
            runs: dict[str, list[dict[str, Any]]] = {name: [] for name in contestants}
            for number in range(times):
                turn = number % len(contestants)
                for name in contestants[turn:] + contestants[:turn]:
                    run = run_once(name, jobs, SEED + number, certificates, folder)
                    runs[name].append(run)
                    say(f"{jobs:6,} jobs, round {number + 1}, {name:15} {in_words(run)}")
            results[str(jobs)] = summary(runs)
    keep("waiting", results)
    return results


def summary(runs: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Return the medians of each contestant, and of the ratios between runs of the same round."""
    summaries = {}
    for name, own in runs.items():
        summaries[name] = {**medians(own), "rounds": own}
        for other in ("shared_session", "http_sensor"):
            if other in runs:
                summaries[name][f"cpu_against_{other}"] = statistics.median(
                    mine["cpu_per_poll"] / theirs["cpu_per_poll"]
                    for mine, theirs in zip(own, runs[other], strict=True)
                )
    return summaries


def run_once(
    name: str, jobs: int, seed: int, certificates: Certificates, home: str, *further: object
) -> dict[str, Any]:
    """
    Let one contestant wait for so many jobs against a server of its own.

    :param further: arguments of the server.
    """
    with talking("benchmarks.service", *server_arguments(jobs, certificates), *further) as server:
        port = server.hear()["port"]
        authority = str(certificates.authority)
        environment = without_settings(
            AIRFLOW_HOME=home,
            SSL_CERT_FILE=authority,
            **{f"AIRFLOW_CONN_{CONNECTION_ID.upper()}": json.dumps(connection(name, port, authority))},
        )
        # Whole intervals, so that the polls are spread evenly.
        spread = INTERVAL * math.ceil(jobs / STARTS_PER_SECOND / INTERVAL)
        arguments = ("--jobs", jobs, "--port", port, "--interval", INTERVAL, "--spread", spread)
        with talking("benchmarks.contestants", name, *arguments, environment=environment) as contestant:
            contestant.hear()
            start = time.monotonic() + 0.2
            contestant.tell({"start": start})
            while time.monotonic() < start + spread + LONGEST_START:
                time.sleep(0.2)
                if server.ask({"what": "seen"}) == jobs:
                    break
            window_start = time.monotonic() + INTERVAL / 2
            window_end = window_start + WINDOW
            server.ask({"what": "ends", "seed": seed, "first": window_end, "span": ENDING})
            give_up = window_end + ENDING + LONGEST_TAIL
            contestant.tell({"start": window_start, "end": window_end, "give_up": give_up})
            own = contestant.hear()
        seen = server.ask({"what": "report", "start": window_start, "end": window_end, "interval": INTERVAL})
    if own["errors"]:
        say(f"{name}: {own['error_count']} of {jobs} waits failed: {own['errors'][0]}")
    finished = {int(number): moment for number, moment in own.pop("finished").items()}
    moments = ends(jobs, seed, window_end, ENDING)
    # Who never noticed is as late as the end of the run, at least.
    delays = [finished.get(number, give_up) - moment for number, moment in enumerate(moments)]
    polls = max(1, seen["polls"])
    return {
        "cpu_per_poll": own["cpu_seconds"] / polls,
        "connections_per_poll": seen["connections_in_window"] / polls,
        "connections": seen["connections"],
        "polls_per_second": polls / WINDOW,
        "polls_kept": polls / (WINDOW * jobs / INTERVAL),
        "memory_per_job": own["memory_per_job"],
        "lag_p50": own["lag_p50"],
        "lag_p99": own["lag_p99"],
        "late_p50": seen["polls_late_p50"],
        "late_p99": seen["polls_late_p99"],
        "delay_p50": percentile(delays, 50),
        "delay_p99": percentile(delays, 99),
        "requests_per_job": seen["requests"] / jobs,
        "requests_per_look": (seen["polls"] + seen["pages"]) / max(1, seen["looks"]),
        "cpu_per_look": own["cpu_seconds"] / max(1, seen["looks"]),
        "looks_kept": seen["looks"] / (WINDOW * jobs / INTERVAL),
        "pages": seen["pages"],
        "unnoticed": jobs - len(finished),
        "errors": own["error_count"],
        "early": own["early"],
    }


def in_words(run: dict[str, Any]) -> str:
    """Return one run in one line."""
    return (
        f"{run['cpu_per_poll'] * 1e6:6.0f} us/poll, {run['connections_per_poll']:.3f} connections/poll, "
        f"{run['memory_per_job'] / 1024:5.0f} KB/job, lag p99 {run['lag_p99'] * 1000:5.0f} ms, "
        f"late p99 {run['late_p99']:5.2f} s, delay {run['delay_p50']:5.2f} s (p99 {run['delay_p99']:5.2f}), "
        f"{run['polls_kept']:4.0%} of the polls"
    )


class Process:
    """A module that runs in a process of its own and is talked to line by line, in JSON."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def tell(self, what: dict[str, Any]) -> None:
        """Send a line."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()

    def hear(self) -> Any:
        """Wait for a line."""
        assert self._process.stdout
        for line in self._process.stdout:
            # Some providers print while they are imported.
            if line.startswith(("{", "[", "true")) or line.strip().isdigit():
                return json.loads(line)
        raise RuntimeError(f"{self._process.args!r} ended without a word")

    def ask(self, what: dict[str, Any]) -> Any:
        """Send a line and wait for one."""
        self.tell(what)
        return self.hear()


@contextmanager
def talking(module: str, *arguments: object, environment: dict[str, str] | None = None) -> Iterator[Process]:
    """Run a module in a process of its own for as long as the context lasts."""
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", module, *map(str, arguments)],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Process(process)
    finally:
        process.kill()
        process.wait()


def server_arguments(jobs: int, certificates: Certificates) -> tuple[object, ...]:
    """Return the server's arguments for so many jobs."""
    certificate, key = certificates.server
    return ("--jobs", jobs, "--certificate", certificate, "--key", key)


def main(*, is_quick: bool) -> dict[str, Any]:
    """Measure, in about a quarter of an hour or, to try it out, in two minutes."""
    if is_quick:
        return measure({100: 1}, tuple(CONTESTANTS))
    return measure(ROUNDS, tuple(CONTESTANTS))
