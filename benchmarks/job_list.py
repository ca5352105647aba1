"""What is saved by learning from the account's list of jobs, and what that costs where it doesn't pay."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.contestants import WITHOUT_LIST
from benchmarks.measuring import keep, medians, say
from benchmarks.waiting import REFERENCE, SEED, run_once
from tests.support.certificates import make_certificates

if TYPE_CHECKING:
    from collections.abc import Mapping

CONTESTANTS = (REFERENCE, WITHOUT_LIST, "pictory")
# The sandbox's page, and an account whose newest hundred jobs are others' and large.
ACCOUNTS: dict[str, tuple[object, ...]] = {
    "own jobs, 20 on a page": ("--page-size", 20),
    "five pages of 1 MB of others' jobs before": (
        *("--page-size", 20),
        *("--foreign-pages", 5),
        *("--foreign-bytes", 1_000_000),
    ),
}
ROUNDS = {100: 3, 1000: 3, 3000: 3}


def measure(rounds: Mapping[int, int]) -> dict[str, Any]:
    """
    Let one shared session and our poller wait for so many jobs, with and without the list.

    :param rounds: how often for each number of jobs; the medians count.
    """
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        certificates = make_certificates(Path(folder))
        for account, arguments in ACCOUNTS.items():
            for jobs, times in rounds.items():
                runs: dict[str, list[dict[str, Any]]] = {name: [] for name in CONTESTANTS}
                for number in range(times):
                    turn = number % len(CONTESTANTS)
                    for name in CONTESTANTS[turn:] + CONTESTANTS[:turn]:
                        run = run_once(name, jobs, SEED + number, certificates, folder, *arguments)
                        runs[name].append(run)
                        say(f"{account}, {jobs:6,} jobs, round {number + 1}, {name:20} {_in_words(run)}")
                results.setdefault(account, {})[str(jobs)] = {
                    name: {**medians(own), "rounds": own} for name, own in runs.items()
                }
    keep("job_list", results)
    return results


def _in_words(run: Mapping[str, Any]) -> str:
    return (
        f"{run['requests_per_look']:.3f} requests/look, {run['cpu_per_look'] * 1e6:6.0f} us/look, "
        f"{run['looks_kept']:4.0%} of the looks, {run['pages']} pages, "
        f"delay {run['delay_p50']:5.2f} s (p99 {run['delay_p99']:5.2f})"
    )


def main(*, is_quick: bool) -> dict[str, Any]:
    """Measure, in about a quarter of an hour or, to try it out, in two minutes."""
    return measure({100: 1} if is_quick else ROUNDS)
