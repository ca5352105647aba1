"""The verdict: what the service was paid for, held against what each clip got."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tests.chaos.gateway import Submission
    from tests.chaos.plan import Clip


class Outcome(StrEnum):
    """What became of a clip."""

    ONCE = "paid once"
    TWICE = "paid twice"
    LOST = "lost"
    REFUSED = "refused"
    WRONG = "wrong"


@dataclass
class End:
    """
    How a clip's task ended, as Airflow tells it.

    :param state: of the task instance.
    :param job_id: what it returned, or pushed last.
    :param video_id: the job of the video that it got, where it waited for one.
    :param error: the last try's log.
    :param tries: how many there were.
    :param clears: how often somebody had to clear it.
    :param seconds: from the start of its first try to the end of its run.
    """

    state: str | None
    job_id: str | None
    video_id: str | None
    error: str
    tries: int
    clears: int
    seconds: float


@dataclass
class Judgement:
    """
    A clip, its outcome and why.

    :param clip: the clip.
    :param end: how its task ended.
    :param outcome: the outcome.
    :param reason: says more where something is wrong.
    :param happened: the points of its kills that happened.
    :param unreached: the points of its kills that it never came to.
    """

    clip: Clip
    end: End
    outcome: Outcome
    reason: str = ""
    happened: list[str] = field(default_factory=list)
    unreached: list[str] = field(default_factory=list)


def judge(
    ends: Sequence[tuple[Clip, End]],
    submissions: Iterable[Submission],
    jobs: Iterable[Mapping[str, Any]],
    happened: set[str],
) -> list[Judgement]:
    """
    Judge all clips.

    :param ends: each clip, and how its task ended.
    :param submissions: what arrived, and for which clip.
    :param jobs: what the service really has, foreign jobs too.
    :param happened: the marks of the kills that happened.
    """
    by_id = {job["job_id"]: job for job in jobs}
    paid: dict[int, list[str]] = {}
    for submission in submissions:
        if submission.job_id is not None:
            paid.setdefault(submission.clip, []).append(submission.job_id)
    # Of twins one may get the job that the other paid for, so they are counted together.
    clips = Counter(clip.prompt for clip, _ in ends)
    payments = Counter()
    for clip, _ in ends:
        payments[clip.prompt] += len(paid.get(clip.number, []))
    judgements = []
    returned = Counter(end.job_id for _, end in ends if end.state == "success")
    for clip, end in ends:
        is_overpaid = payments[clip.prompt] > clips[clip.prompt]
        outcome, reason = _outcome(clip, end, paid.get(clip.number, []), by_id, returned, is_overpaid)
        judgement = Judgement(clip, end, outcome, reason)
        for index, kill in enumerate(clip.kills):
            place = judgement.happened if clip.mark(index) in happened else judgement.unreached
            place.append(kill.point)
        judgements.append(judgement)
    return judgements


def nobodys_jobs(submissions: Iterable[Submission], jobs: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the jobs that the account paid for though no submission of a clip made them."""
    known = {submission.job_id for submission in submissions if submission.clip >= 0}
    return [job["job_id"] for job in jobs if not job["is_foreign"] and job["job_id"] not in known]


def _outcome(
    clip: Clip,
    end: End,
    own: list[str],
    by_id: Mapping[str, Mapping[str, Any]],
    returned: Mapping[str | None, int],
    is_overpaid: bool,
) -> tuple[Outcome, str]:
    if len(own) > 1 and is_overpaid:
        return Outcome.TWICE, f"paid for {own}, ended {end.state} with {end.job_id}"
    if end.state != "success":
        if "on_unknown_submission" not in end.error:
            return (Outcome.LOST if own else Outcome.WRONG), f"ended {end.state}: {_last_words(end.error)}"
        if unnamed := [job_id for job_id in own if job_id not in end.error and not returned[job_id]]:
            return Outcome.LOST, f"refused, and the error doesn't name {unnamed}: {_last_words(end.error)}"
        _, _, reason = end.error.rpartition("can't be found out: ")
        return Outcome.REFUSED, reason[:400] or _last_words(end.error)
    job = by_id.get(end.job_id or "")
    if job is None or job["prompt"] != clip.prompt:
        return Outcome.WRONG, f"returned {end.job_id}, which is {job and job['prompt']!r}"
    if end.video_id is not None and end.video_id != end.job_id:
        return Outcome.WRONG, f"returned {end.job_id}, but the video of {end.video_id}"
    if returned[end.job_id] > 1:
        return Outcome.WRONG, f"returned {end.job_id}, as another clip did"
    # Of twins one may have got the job that the other paid for, as long as each got one. Another program's
    # job with this very prompt will do as well: nothing tells them apart, and the task warns with both ids.
    return Outcome.ONCE, ""


def _last_words(log: str) -> str:
    """Return the last exception of a log, which Airflow 3 writes as JSON, or its end where there is none."""
    for line in reversed(log.splitlines()):
        with suppress(ValueError, AttributeError, TypeError):
            if details := json.loads(line).get("error_detail"):
                return f"{details[0]['exc_type']}: {details[0]['exc_value']}"[:600]
    return log.strip()[-600:]


def table(judgements: Sequence[Judgement]) -> list[str]:
    """Return the lines of the table, a row for each point."""
    rows = dict.fromkeys(judgement.clip.row for judgement in judgements)
    heads = ("point", "clips", "planned", "happened", *(str(outcome) for outcome in Outcome), "median s")
    lines = [f"{heads[0]:34}" + "".join(f"{head:>12}" for head in heads[1:])]
    for row in rows:
        these = [judgement for judgement in judgements if judgement.clip.row == row]
        counts = Counter(judgement.outcome for judgement in these)
        numbers = (
            len(these),
            sum(len(judgement.clip.kills) for judgement in these),
            sum(len(judgement.happened) for judgement in these),
            *(counts[outcome] for outcome in Outcome),
            round(median(judgement.end.seconds for judgement in these)),
        )
        lines.append(f"{row:34}" + "".join(f"{number:>12}" for number in numbers))
    return lines
