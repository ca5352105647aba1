"""
When to poll a job whose end nobody knows: fewer requests at the same delay of detection.

A simulation without I/O. Each look is a request; the delay is the time from a job's end to the poll that sees
it. Schedules are compared at equal mean delay, that of a fixed interval of 10, 15 and 30 seconds (half of it),
by their mean number of polls. Pictory asks for 10 to 30 seconds between polls; how late the first one may be,
it doesn't say.

What decides is the hazard, the chance of a job that still runs to end in the next second: the best pause is
proportional to one over its square root. No job ends in its first half minute, so looks there are for nothing;
from then on the hazard of jobs of unknown size hardly changes, so that a steady pause is nearly the best. A
pause that grows with the age looks most often when nothing can have happened yet, and least where many end.
"""

from __future__ import annotations

import math
import random
import statistics
from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.measuring import keep, percentile, say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

MEDIANS = (60.0, 120.0, 240.0)
SIGMAS = (0.4, 0.6, 0.8)
SHORTEST_JOB, LONGEST_JOB = 30.0, 600.0
JOBS_OF_A_KIND = 400
# A wait begins when Airflow has started the next task, so many seconds after the job, at most.
LONGEST_START = 10.0
SHORTEST_PAUSE, LONGEST_PAUSE = 10.0, 30.0
FIXED = (10.0, 15.0, 30.0)
SEED = 20260101
# Which fixed interval it replaces, the first poll and the pause in seconds. The second one is the default of
# the package's schedule.py.
RECOMMENDED = ((10.0, 35.0, 10.0), (15.0, 40.0, 15.0), (30.0, 50.0, 30.0))
# Equal is what differs by less than a simulation of this size can tell.
TOLERANCE = 0.005


@dataclass(frozen=True)
class Outcome:
    """
    What a schedule costs and brings.

    :param polls: mean number of requests for a job.
    :param delay: mean seconds from a job's end to the poll that sees it.
    :param delay_p95: seconds that one in twenty jobs exceeds.
    """

    looks: float
    delay: float
    delay_p95: float


def remaining_times(median: float, sigma: float) -> list[float]:
    """
    Return how long jobs of one kind still run when the wait for them begins.

    Lognormal within the limits, by evenly spaced quantiles instead of draws, so that schedules differ and not
    their samples; the order and the starts of the waits are drawn from a fixed seed.
    """
    normal = statistics.NormalDist(math.log(median), sigma)
    low, high = normal.cdf(math.log(SHORTEST_JOB)), normal.cdf(math.log(LONGEST_JOB))
    quantiles = [low + (high - low) * (number + 0.5) / JOBS_OF_A_KIND for number in range(JOBS_OF_A_KIND)]
    draw = random.Random(SEED)  # noqa: S311  (no secret)
    return [math.exp(normal.inv_cdf(quantile)) - draw.uniform(0, LONGEST_START) for quantile in quantiles]


def all_jobs() -> dict[float, list[float]]:
    """Return the remaining times by the median of the kind."""
    return {
        median: [time for sigma in SIGMAS for time in remaining_times(median, sigma)] for median in MEDIANS
    }


def looks_of(first: float, pause_at: Callable[[float], float]) -> list[float]:
    """Return the moments of all polls, up to the one that sees the end of any job."""
    moments = [first]
    while moments[-1] < LONGEST_JOB:
        moments.append(moments[-1] + pause_at(moments[-1]))
    return moments


def outcome(moments: Sequence[float], jobs: Iterable[float]) -> Outcome:
    """Look at each job at these moments since its wait began."""
    indices = [(bisect_left(moments, end), end) for end in jobs]
    delays = [moments[index] - end for index, end in indices]
    return Outcome(
        looks=statistics.fmean(index + 1 for index, _ in indices),
        delay=statistics.fmean(delays),
        delay_p95=percentile(delays, 95) or 0.0,
    )


def fixed(interval: float) -> list[float]:
    """Look every so many seconds, as sensors do; the poll of the very start is left out for everybody."""
    return looks_of(interval, lambda _: interval)


def share_of_age(share: float) -> list[float]:
    """Pause for a share of the age, within what Pictory asks for."""
    return looks_of(SHORTEST_PAUSE, lambda age: min(max(share * age, SHORTEST_PAUSE), LONGEST_PAUSE))


def late_then_steady(first: float, pause: float) -> list[float]:
    """Look late, then every so many seconds."""
    return looks_of(first, lambda _: pause)


def late_then_slower(first: float, pause: float, age: float, later: float) -> list[float]:
    """Look late, then every so many seconds, and more seldom from some age on."""
    return looks_of(first, lambda now: pause if now < age else later)


def steps(low: float, high: float, step: float) -> list[float]:
    """Return evenly spaced values, both ends included."""
    return [low + step * number for number in range(round((high - low) / step) + 1)]


FAMILIES: dict[str, Callable[[], Iterable[tuple[tuple[float, ...], list[float]]]]] = {
    "a share of the age": lambda: (
        ((share,), share_of_age(share)) for share in (*steps(0.02, 0.3, 0.01), 0.4, 0.5, 1.0)
    ),
    "late, then steady": lambda: (
        ((first, pause), late_then_steady(first, pause))
        for first in steps(15, 90, 5)
        for pause in steps(SHORTEST_PAUSE, LONGEST_PAUSE, 0.5)
    ),
    "late, then slower": lambda: (
        ((first, pause, age, later), late_then_slower(first, pause, age, later))
        for first in steps(25, 60, 5)
        for pause in steps(SHORTEST_PAUSE, LONGEST_PAUSE, 1)
        for age in (90, 150, 240)
        for later in steps(pause + 2, LONGEST_PAUSE, 4)
    ),
}


def best(family: str, delay: float, jobs: Sequence[float]) -> tuple[tuple[float, ...], Outcome] | None:
    """Find the schedule of a family with the fewest looks whose mean delay isn't longer."""
    # All by a sample first: most are far from the best.
    sample = jobs[::9]
    candidates = []
    for parameters, moments in FAMILIES[family]():
        rough = outcome(moments, sample)
        if rough.delay <= delay * 1.1:
            candidates.append((rough.polls, parameters, moments))
    candidates.sort()
    results = [(parameters, outcome(moments, jobs)) for _, parameters, moments in candidates[:60]]
    fitting = [result for result in results if result[1].delay <= delay * (1 + TOLERANCE)]
    return min(fitting, key=lambda result: result[1].polls, default=None)


def least_looks(delay: float, jobs: Sequence[float]) -> Outcome:
    """
    Return what no schedule can beat at this delay: the best pause at each age, by dynamic programming.

    The price of a second of delay in looks is found by bisection.
    """
    grid = math.ceil(LONGEST_JOB + LONGEST_PAUSE)
    ending = [0] * (grid + 1)
    for end in jobs:
        ending[math.ceil(end)] += 1
    count, weighted = [0] * (grid + 2), [0.0] * (grid + 2)
    for second in range(grid + 1):
        count[second + 1] = count[second] + ending[second]
        weighted[second + 1] = weighted[second] + ending[second] * (second - 0.5)

    def schedule(price: float) -> list[float]:
        cost, following = [0.0] * (grid + 1), [0] * (grid + 1)
        for age in range(grid, -1, -1):
            waiting = count[grid + 1] - count[age + 1]
            if waiting == 0:
                continue
            pauses = range(int(SHORTEST_PAUSE), int(LONGEST_PAUSE) + 1) if age else range(1, 121)
            choices = []
            for pause in pauses:
                look = min(age + pause, grid)
                ended = count[look + 1] - count[age + 1]
                late = ended * look - (weighted[look + 1] - weighted[age + 1])
                choices.append((waiting + price * late + cost[look], look))
            cost[age], following[age] = min(choices)
        moments, age = [], 0
        while age < LONGEST_JOB and following[age]:
            age = following[age]
            moments.append(float(age))
        # For the one job that may run until the very end of the grid.
        return [*moments, *looks_of(moments[-1] + LONGEST_PAUSE, lambda _: LONGEST_PAUSE)]

    low, high = 0.0001, 10.0
    for _ in range(24):
        middle = math.sqrt(low * high)
        if outcome(schedule(middle), jobs).delay > delay:
            low = middle
        else:
            high = middle
    # Between two neighbours that are the best for their delays, nothing is below their connecting line.
    late, soon = outcome(schedule(low), jobs), outcome(schedule(high), jobs)
    share = (delay - soon.delay) / (late.delay - soon.delay) if late.delay > soon.delay else 0.0
    return Outcome(
        *(
            getattr(soon, name) + share * (getattr(late, name) - getattr(soon, name))
            for name in Outcome.__match_args__
        )
    )


def interval_of_equal_delay(delay: float, jobs: Sequence[float]) -> float:
    """Return the fixed interval with the same mean delay, about twice the delay."""
    low, high = 0.5 * delay, 4 * delay
    for _ in range(20):
        middle = (low + high) / 2
        # Neighbouring intervals too, since one that divides the shortest job well is a coincidence.
        nearby = statistics.fmean(outcome(fixed(middle * factor), jobs).delay for factor in (0.98, 1.0, 1.02))
        if nearby < delay:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def smooth_fixed(interval: float, jobs: Sequence[float]) -> Outcome:
    """Return what a fixed interval costs and brings, without the coincidence of dividing some time well."""
    outcomes = [outcome(fixed(interval * factor), jobs) for factor in (0.98, 0.99, 1.0, 1.01, 1.02)]
    return Outcome(
        *(statistics.fmean(getattr(each, name) for each in outcomes) for name in Outcome.__match_args__)
    )


def with_jitter(first: float, pause: float, jobs: Sequence[float]) -> Outcome:
    """Simulate a schedule as the poller keeps it, with a tenth of jitter within what Pictory asks for."""
    draw = random.Random(SEED)  # noqa: S311  (no secret)

    def jittered(_: float) -> float:
        return min(max(pause * draw.uniform(0.9, 1.1), SHORTEST_PAUSE), LONGEST_PAUSE)

    outcomes = [outcome(looks_of(first * draw.uniform(0.9, 1.1), jittered), [end]) for end in jobs]
    return Outcome(
        looks=statistics.fmean(each.polls for each in outcomes),
        delay=statistics.fmean(each.delay for each in outcomes),
        delay_p95=percentile([each.delay for each in outcomes], 95) or 0.0,
    )


def against_fixed(moments: Sequence[float], jobs: Sequence[float]) -> dict[str, float]:
    """Compare a schedule with the fixed interval that has its mean delay on the same jobs."""
    own = outcome(moments, jobs)
    interval = interval_of_equal_delay(own.delay, jobs)
    other = smooth_fixed(interval, jobs)
    return {
        "polls": own.polls,
        "delay": own.delay,
        "interval": interval,
        "fixed_looks": other.polls,
        "gain": 1 - own.polls / other.polls,
    }


def main(*, is_quick: bool = False) -> dict[str, Any]:
    """Compare, and recommend."""
    del is_quick  # It takes seconds.
    by_median = all_jobs()
    mixture = [time for times in by_median.values() for time in times]
    results: dict[str, Any] = {"comparison": [], "recommended": [], "by_median": [], "with_look_at_start": []}
    say("mean looks for a job at the mean delay of a fixed interval, all kinds of jobs together")
    for interval in FIXED:
        reference = smooth_fixed(interval, mixture)
        rows: list[tuple[str, tuple[float, ...], Outcome]] = [(f"every {interval:g} s", (), reference)]
        for family in FAMILIES:
            found = best(family, reference.delay, mixture)
            if found is not None:
                rows.append((family, *found))
        rows.append(("the best possible", (), least_looks(reference.delay, mixture)))
        for name, parameters, own in rows:
            gain = 1 - own.polls / reference.polls
            shown = ", ".join(f"{parameter:g}" for parameter in parameters)
            say(
                f"  {interval:3.0f} s  {name:20} {shown:18} {own.polls:6.2f} looks ({gain:+6.1%} fewer), "
                f"delay {own.delay:5.2f} s, p95 {own.delay_p95:5.1f} s"
            )
            results["comparison"].append(
                {"interval": interval, "schedule": name, "parameters": parameters, "gain": gain, **vars(own)}
            )
    tenth = against_fixed(share_of_age(0.1), mixture)
    say(f"a tenth of the age: {_words(tenth)}")
    results["tenth_of_age"] = tenth
    for interval, first, pause in RECOMMENDED:
        moments = late_then_steady(first, pause)
        row = {"interval": interval, "first": first, "pause": pause, **against_fixed(moments, mixture)}
        results["recommended"].append(row)
        say(f"first after {first:g} s, then every {pause:g} s: {_words(row)}")
        for median, jobs in by_median.items():
            row = {"first": first, "pause": pause, "median": median, **against_fixed(moments, jobs)}
            results["by_median"].append(row)
            say(f"    jobs of about {median:3.0f} s: {_words(row)}")
        eager = against_fixed([0.0, *moments], mixture)
        results["with_look_at_start"].append({"first": first, "pause": pause, **eager})
        say(f"    with one more look at the very start: {_words(eager)}")
        jittered = with_jitter(first, pause, mixture)
        say(
            f"    with jitter: {jittered.polls:.2f} looks, delay {jittered.delay:.2f} s, "
            f"p95 {jittered.delay_p95:.1f} s"
        )
    keep("schedule", results)
    return results


def _words(row: dict[str, float]) -> str:
    return (
        f"{row['looks']:5.2f} looks against {row['fixed_looks']:5.2f} of a fixed {row['interval']:4.1f} s "
        f"({row['gain']:+.1%} fewer) at {row['delay']:.2f} s of delay"
    )


if __name__ == "__main__":
    main()
