"""When a job is polled again, what is tolerated, and how a wait ends."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_pictory.api import JobStatus, VideoJob
from airflow_provider_pictory.arguments import time_span
from airflow_provider_pictory.exceptions import (
    PictoryAPIError,
    PictoryAuthenticationError,
    PictoryConfigurationError,
    PictoryError,
    PictoryExecutionTimeoutError,
    PictoryInsufficientCreditsError,
    PictoryInvalidRequestError,
    PictoryJobExpiredError,
    PictoryJobFailedError,
    PictoryJobNotFoundError,
    PictoryJobTimedOutError,
    PictoryRateLimitedError,
)
from airflow_provider_pictory.outcome import describe, may_pass, poll, require_completed
from airflow_provider_pictory.waiting.job_watch import JobWatch, wait_for_job
from airflow_provider_pictory.waiting.limits import WaitLimit, deadline_after, timed_out, wait_limit

JOB_ID = "4a09edf9-d071-4847-bda5-8dea913d80fe"
HOUR = 3600.0
ADVICE = "Clear this task."
IN_PROGRESS = VideoJob(JOB_ID, JobStatus.IN_PROGRESS)
COMPLETED = VideoJob(JOB_ID, JobStatus.COMPLETED, url="https://video.example/a.mp4")
FAILED = VideoJob(JOB_ID, JobStatus.FAILED, error_code="5001", error_message="Refused")
CLEANED = VideoJob(JOB_ID, JobStatus.CLEANED)
NO_RESPONSE = PictoryAPIError("No response from Pictory")
NOT_FOUND = PictoryJobNotFoundError("Pictory knows no such job", status_code=404)
FORBIDDEN = PictoryAPIError("Pictory responded with HTTP 403", status_code=403)


class Clock:
    """Time that passes when somebody sleeps."""

    def __init__(self):
        self.now = 1_800_000_000.0
        self.slept = []

    def time(self):
        return self.now

    def sleep(self, pause):
        assert pause >= 0
        self.slept.append(pause)
        self.now += pause


class Log:
    def __init__(self):
        self.infos = []
        self.warnings = []

    def info(self, message, *arguments):
        self.infos.append(message % arguments)

    def warning(self, message, *arguments):
        self.warnings.append(message % arguments)


class Hook:
    """Has one thing to say for each poll, the last for ever."""

    def __init__(self, *says):
        self.says = list(says)
        self.polls = 0

    def get_job(self, job_id):
        assert job_id == JOB_ID
        self.polls += 1
        said = self.says.pop(0) if len(self.says) > 1 else self.says[0]
        if callable(said):
            said = said()
        if isinstance(said, BaseException):
            raise said
        return said

    async def aget_job(self, job_id):
        return self.get_job(job_id)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def log():
    return Log()


@pytest.fixture
def watching(clock, log):
    def start(timeout=HOUR, poll_interval=None, job_id=JOB_ID, waited=0.0):
        return JobWatch(
            job_id,
            deadline=datetime.fromtimestamp(clock.now + timeout, UTC),
            poll_interval=poll_interval,
            log=log,
            advice=ADVICE,
            waited=waited,
            now=clock.time,
        )

    return start


@pytest.fixture
def pauses(clock):
    """Take looks as planned, and give the pauses after them."""

    def take(watch, *seen):
        taken = []
        for item in seen:
            taken.append(watch.pause_after(item))
            clock.now += taken[-1]
        return taken

    return take


# Time spans


@pytest.mark.parametrize(
    ("value", "span"),
    [(None, None), (5, 5), (0.5, 0.5), (timedelta(minutes=2), 120), (timedelta(milliseconds=1), 0.001)],
)
def test_a_time_span_is_a_number_of_seconds_or_a_timedelta(value, span):
    assert time_span(value, "timeout") == span


@pytest.mark.parametrize(
    "value",
    [
        0,
        -1,
        math.nan,
        math.inf,
        1e300,
        pytest.param(10**400, id="huge"),
        pytest.param(10**5000, id="unprintable"),
        "5",
        "",
        True,
        [5],
        {},
        timedelta(0),
        timedelta(seconds=-1),
        timedelta.max,
        5j,
    ],
)
def test_what_is_no_time_span_is_refused_in_the_arguments_name(value):
    with pytest.raises(
        PictoryInvalidRequestError, match=r"^poll_interval: got .* number of seconds or a timedelta"
    ):
        time_span(value, "poll_interval")


def test_a_time_span_of_a_year_is_still_one():
    assert time_span(timedelta(days=365), "timeout") == 365 * 24 * HOUR


def test_a_deadline_lies_ahead_and_knows_its_offset():
    before = datetime.now(UTC)
    deadline = deadline_after(HOUR)

    assert deadline.utcoffset() == timedelta(0)
    assert timedelta(0) <= deadline - before - timedelta(seconds=HOUR) < timedelta(seconds=10)


@pytest.mark.parametrize("timeout", [1e12, 1e300])
def test_a_deadline_can_always_be_told(timeout):
    assert deadline_after(timeout) > datetime.now(UTC)


# Our own schedule


def test_a_healthy_job_is_looked_at_every_10_to_30_seconds(watching, pauses):
    taken = pauses(watching(), *[IN_PROGRESS] * 100)

    assert 10 <= min(taken) <= max(taken) <= 30


def test_a_healthy_job_is_looked_at_exactly_as_often_as_asked(watching, pauses):
    assert pauses(watching(poll_interval=7), *[IN_PROGRESS] * 100) == [7] * 100


# Ends


@pytest.mark.parametrize("job", [COMPLETED, FAILED, CLEANED])
def test_a_job_that_has_ended_ends_the_wait(watching, job):
    assert watching().pause_after(job) is None


@pytest.mark.parametrize("job", [COMPLETED, FAILED, CLEANED])
def test_a_job_that_has_ended_ends_the_wait_even_after_its_deadline(watching, clock, job):
    watch = watching(timeout=60)
    clock.now += 1000

    assert watch.pause_after(job) is None


@pytest.mark.parametrize("status", [401, None, 400, 402, 403, 500])
def test_a_refused_key_ends_the_wait_at_once(watching, status):
    error = PictoryAuthenticationError("The key is wrong", status_code=status)

    with pytest.raises(PictoryAuthenticationError) as caught:
        watching().pause_after(error)
    assert caught.value is error


@pytest.mark.parametrize("status", [200, 400, 402, 403, 404, 429])
def test_want_of_credits_ends_the_wait_at_once(watching, status):
    with pytest.raises(PictoryInsufficientCreditsError):
        watching().pause_after(PictoryInsufficientCreditsError("None left", status_code=status))


@pytest.mark.parametrize(
    "error",
    [
        PictoryConfigurationError("There is no connection"),
        PictoryInvalidRequestError("This is no job id"),
        PictoryError("Something else"),
        *(
            PictoryAPIError(f"HTTP {status}", status_code=status)
            for status in (402, 405, 406, 410, 413, 422, 451)
        ),
    ],
    ids=str,
)
def test_what_cannot_mend_itself_ends_the_wait_at_once(watching, log, error):
    with pytest.raises(PictoryError) as caught:
        watching().pause_after(error)
    assert caught.value is error
    assert log.warnings == []


# Troubles


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 409, 410, 422])
def test_a_refusal_does_not_pass_by_itself(status):
    assert not may_pass(PictoryAPIError("Refused", status_code=status))


@pytest.mark.parametrize(
    "error",
    [
        PictoryError("Something else"),
        PictoryConfigurationError("There is no connection"),
        PictoryAuthenticationError("The key is wrong"),
        PictoryInsufficientCreditsError("None left", status_code=429),
        PictoryJobNotFoundError("No such job", status_code=200),
    ],
    ids=str,
)
def test_what_airflow_would_not_retry_does_not_pass_by_itself(error):
    assert not may_pass(error)


TROUBLES = [
    NO_RESPONSE,
    PictoryRateLimitedError("Too many requests", status_code=429),
    *(
        PictoryAPIError(f"HTTP {status}", status_code=status)
        for status in (408, 425, 500, 502, 503, 504, 599, 200, 204, 302, 307)
    ),
]


@pytest.mark.parametrize("error", TROUBLES, ids=str)
def test_trouble_may_pass_by_itself(error):
    assert may_pass(error)


@pytest.mark.parametrize("error", TROUBLES, ids=str)
def test_trouble_is_ridden_out_until_the_deadline(watching, pauses, clock, error):
    watch = watching(timeout=HOUR)
    started = clock.now

    with pytest.raises(PictoryJobTimedOutError):
        pauses(watch, *[error] * 1000)
    assert clock.now == pytest.approx(started + HOUR)


def test_pauses_grow_while_trouble_lasts_but_not_for_ever(watching, pauses):
    taken = pauses(watching(), *[NO_RESPONSE] * 10)

    assert 10 <= taken[0] <= 30
    assert taken == sorted(taken)
    assert taken[1] > taken[0]
    assert taken[4:] == [60] * 6


def test_pauses_grow_from_the_users_own(watching, pauses):
    assert pauses(watching(poll_interval=5), *[NO_RESPONSE] * 6) == [5, 10, 20, 40, 60, 60]


@pytest.mark.parametrize("interval", [60, 100, 600])
def test_trouble_never_makes_a_pause_shorter_than_the_users_own(watching, pauses, interval):
    assert pauses(watching(timeout=10 * HOUR, poll_interval=interval), *[NO_RESPONSE] * 4) == [interval] * 4


def test_once_trouble_is_over_pauses_are_as_before(watching, pauses):
    watch = watching(poll_interval=5)

    assert pauses(watch, *[NO_RESPONSE] * 4, IN_PROGRESS, NO_RESPONSE) == [5, 10, 20, 40, 5, 5]


@pytest.mark.parametrize("kind", [PictoryRateLimitedError, PictoryAPIError])
@pytest.mark.parametrize(
    ("retry_after", "pause"),
    [(None, 10), (0, 10), (3, 10), (10.5, 10.5), (120, 120), (300, 300), (86400, 300)],
)
def test_pictorys_retry_after_is_kept_to_within_bounds(watching, kind, retry_after, pause):
    error = kind("Not now", status_code=429, retry_after=retry_after)

    assert watching(poll_interval=10).pause_after(error) == pause


def test_no_pause_goes_beyond_the_deadline(watching, pauses):
    error = PictoryRateLimitedError("Not now", status_code=429, retry_after=300)

    assert pauses(watching(timeout=100), error) == [100]
    assert pauses(watching(timeout=4), IN_PROGRESS) == [4]
    assert pauses(watching(timeout=4, poll_interval=600), IN_PROGRESS) == [4]


def test_even_a_hundred_thousand_troubles_are_no_trouble(watching, pauses):
    assert pauses(watching(timeout=1e9, poll_interval=0.001), *[NO_RESPONSE] * 100_000)[-1] <= 60


# A job that isn't known yet


@pytest.mark.parametrize(
    "error",
    [NOT_FOUND, PictoryAPIError("HTTP 404", status_code=404), PictoryJobNotFoundError("No", status_code=200)],
)
def test_an_unknown_job_may_become_known_in_the_first_two_minutes_of_the_wait(watching, clock, error):
    watch = watching(poll_interval=10)

    assert watch.pause_after(error) > 0
    clock.now += 119.9
    assert watch.pause_after(error) > 0
    clock.now += 0.2
    with pytest.raises(PictoryError) as caught:
        watch.pause_after(error)
    assert caught.value is error


def test_a_known_job_is_waited_for_as_usual(watching, pauses):
    taken = pauses(watching(poll_interval=10), NOT_FOUND, NOT_FOUND, IN_PROGRESS, IN_PROGRESS)

    assert taken == [10, 20, 10, 10]


def test_a_known_job_that_is_forgotten_later_ends_the_wait(watching, pauses, clock):
    watch = watching(poll_interval=10)
    pauses(watch, *[IN_PROGRESS] * 20)

    with pytest.raises(PictoryJobNotFoundError):
        watch.pause_after(NOT_FOUND)


def test_the_two_minutes_may_have_passed_elsewhere(watching):
    assert watching(waited=110).pause_after(NOT_FOUND) > 0
    with pytest.raises(PictoryJobNotFoundError):
        watching(waited=120).pause_after(NOT_FOUND)


@pytest.mark.parametrize("job_id", ["job-1", "None1", JOB_ID[:-1]])
@pytest.mark.parametrize("error", [NOT_FOUND, PictoryAPIError("HTTP 404", status_code=404)])
def test_an_id_that_is_no_uuid_gets_no_such_patience(watching, job_id, error):
    with pytest.raises(PictoryError) as caught:
        watching(job_id=job_id).pause_after(error)
    assert caught.value is error


def test_a_timeout_shorter_than_the_patience_counts(watching, pauses):
    with pytest.raises(PictoryJobTimedOutError, match="the last poll failed"):
        pauses(watching(timeout=30), *[NOT_FOUND] * 10)


# A 403 of something in between


def test_a_403_that_passes_is_ridden_out(watching, pauses):
    assert pauses(watching(poll_interval=10), FORBIDDEN, FORBIDDEN, IN_PROGRESS) == [10, 20, 10]


def test_a_403_that_lasts_two_minutes_is_believed(watching, clock):
    watch = watching(poll_interval=10)

    watch.pause_after(FORBIDDEN)
    clock.now += 119.9
    watch.pause_after(FORBIDDEN)
    clock.now += 0.2
    with pytest.raises(PictoryAPIError) as caught:
        watch.pause_after(FORBIDDEN)
    assert caught.value is FORBIDDEN


def test_the_patience_with_403_starts_again_after_a_good_look(watching, pauses, clock):
    watch = watching(poll_interval=10)
    pauses(watch, FORBIDDEN)
    clock.now += 110
    pauses(watch, IN_PROGRESS)
    pauses(watch, FORBIDDEN)
    clock.now += 100

    assert watch.pause_after(FORBIDDEN) > 0


def test_a_403_late_in_the_wait_gets_the_same_patience(watching, clock):
    watch = watching(poll_interval=10)
    clock.now += 1000

    assert watch.pause_after(FORBIDDEN) == 10


# Unknown statuses


def test_an_unknown_status_keeps_waiting_with_one_warning(watching, pauses, log):
    queued = VideoJob(JOB_ID, "queued")

    taken = pauses(watching(poll_interval=10), *[queued] * 20)

    assert taken == [10] * 20
    (warning,) = log.warnings
    assert "'queued'" in warning
    assert JOB_ID in warning


def test_another_unknown_status_is_another_warning(watching, pauses, log):
    pauses(
        watching(),
        VideoJob(JOB_ID, "queued"),
        IN_PROGRESS,
        VideoJob(JOB_ID, "queued"),
        VideoJob(JOB_ID, "odd"),
    )

    assert len(log.warnings) == 2


@pytest.mark.parametrize(
    ("status", "guess"),
    [
        *((word, "as if the job had ended without a video") for word in ("canceled", "cancelled", "Expired")),
        *((word, "as if the job had ended without a video") for word in ("error", "timed-out", "TERMINATED")),
        *((word, "as if the video were finished") for word in ("success", "Done", "ready")),
        *(
            (word, "for a job that runs, or for one that has ended")
            for word in ("queued", "paused", "x" * 99)
        ),
    ],
)
def test_what_is_strange_is_said_at_once_and_once_more_after_some_minutes(
    watching, pauses, log, status, guess
):
    watch = watching(poll_interval=10)
    pauses(watch, VideoJob(JOB_ID, status))
    (at_once,) = log.warnings
    pauses(watch, *[VideoJob(JOB_ID, status)] * 200)
    (_, again) = log.warnings

    for warning in (at_once, again):
        assert repr(status) in warning
        assert JOB_ID in warning
        assert guess in warning
        assert "https://app.pictory.ai/" in warning
    assert "still has the status" in again
    assert "after 300 s" in again


@pytest.mark.parametrize("status", ["canceled", "error", "expired", "queued"])
def test_a_timeout_with_an_unknown_status_claims_nothing_that_is_not_known(watching, clock, status):
    watch = watching(timeout=60)
    clock.now += 60

    with pytest.raises(PictoryJobTimedOutError) as caught:
        watch.pause_after(VideoJob(JOB_ID, status))

    message = str(caught.value)
    assert f"whether the job is isn't known (status {status!r})" in message
    assert "paid for" not in message
    assert "the job is not" not in message
    assert message.endswith(ADVICE)


def test_an_unknown_status_times_out_like_any_other(watching, pauses):
    with pytest.raises(PictoryJobTimedOutError, match="status 'queued'"):
        pauses(watching(timeout=100), *[VideoJob(JOB_ID, "queued")] * 20)


# The log


def test_trouble_is_told_once_when_it_starts_and_once_when_it_is_over(watching, pauses, log):
    watch = watching(poll_interval=1)
    pauses(watch, IN_PROGRESS, NO_RESPONSE, FORBIDDEN, NO_RESPONSE)

    (warning,) = log.warnings
    assert warning == (
        f"Polling Pictory job {JOB_ID} failed, which says nothing about the job; trying on: "
        "No response from Pictory"
    )
    assert log.infos == []

    pauses(watch, IN_PROGRESS, IN_PROGRESS)

    assert len(log.warnings) == 1
    assert log.infos == [f"Pictory responds again after 3 failed polls of job {JOB_ID}"]

    pauses(watch, NO_RESPONSE)

    assert len(log.warnings) == 2


def test_the_end_of_trouble_is_told_as_well_when_the_job_has_ended_meanwhile(watching, pauses, log):
    watch = watching()
    pauses(watch, NO_RESPONSE)
    watch.pause_after(COMPLETED)

    assert log.infos == [f"Pictory responds again after a failed poll of job {JOB_ID}"]


def test_a_long_wait_is_told_of_about_once_a_minute(watching, pauses, log):
    pauses(watching(poll_interval=10), *[IN_PROGRESS] * 61)

    assert log.infos[0] == (
        f"Pictory job {JOB_ID} is in-progress after 60 s of waiting; next poll in 10 s, deadline "
        "2027-01-15 09:00:00 UTC"
    )
    assert len(log.infos) == 10
    assert log.warnings == []


def test_a_wait_that_began_elsewhere_is_told_as_a_whole(watching, pauses, log):
    pauses(watching(poll_interval=60, waited=600), IN_PROGRESS, IN_PROGRESS)

    (line,) = log.infos
    assert line.startswith(f"Pictory job {JOB_ID} is in-progress after 660 s of waiting; next poll in 60 s")


def test_a_wait_begins_with_a_line_that_tells_the_job_the_deadline_and_the_next_poll(watching, log):
    watching(timeout=HOUR).announce()

    assert log.infos == [f"Waiting for job {JOB_ID} until 2027-01-15 09:00:00 UTC; next poll in 0 s"]


def test_long_trouble_is_told_of_about_once_a_minute_as_well(watching, pauses, log):
    pauses(watching(poll_interval=10), *[NO_RESPONSE] * 20)

    assert len(log.warnings) == 1
    assert len(log.infos) >= 15
    assert all(f"Pictory job {JOB_ID} can't be polled right now after" in line for line in log.infos)
    assert all("; next poll in 60 s, deadline 2027-01-15 09:00:00 UTC" in line for line in log.infos)


# Timeouts


def a_task(execution_timeout):
    return SimpleNamespace(execution_timeout=execution_timeout and timedelta(seconds=execution_timeout))


@pytest.mark.parametrize("is_deferred", [True, False])
@pytest.mark.parametrize(
    ("timeout", "execution_timeout", "argument", "after"),
    [
        (600, None, "timeout", 600),
        (600, 0, "timeout", 600),
        (600, 1000, "timeout", 600),
        (600, 400, "execution_timeout", 400),
    ],
)
def test_the_shorter_limit_ends_a_wait(timeout, execution_timeout, argument, after, is_deferred):
    now = datetime.now(UTC)
    limit = wait_limit(a_task(execution_timeout), timeout, began=now, is_deferred=is_deferred)

    assert limit.argument == argument
    # On a worker there is some room for a last poll before Airflow's alarm.
    room = 10 if argument == "execution_timeout" and not is_deferred else 0
    assert (limit.deadline - now).total_seconds() == pytest.approx(after - room, abs=1)
    assert f"with a longer {argument} if it needs one" in limit.advice


def test_what_is_left_of_an_execution_timeout_counts():
    began = datetime.now(UTC) - timedelta(seconds=300)
    limit = wait_limit(a_task(400), 600, began=began, is_deferred=True)

    assert limit.deadline == began + timedelta(seconds=400)


def test_where_airflow_counts_a_deferral_itself_the_wait_ends_in_time_for_a_last_word():
    started = datetime.now(UTC) - timedelta(seconds=60)
    of_airflow_2 = SimpleNamespace(trigger_timeout=None, start_date=started)
    limit = wait_limit(
        a_task(400), 600, began=datetime.now(UTC), is_deferred=True, task_instance=of_airflow_2
    )

    assert limit.deadline == started + timedelta(seconds=370)


def test_an_execution_timeout_without_a_bound_is_bounded():
    now = datetime.now(UTC)
    endless = SimpleNamespace(execution_timeout=timedelta.max)

    assert wait_limit(endless, 600, began=now, is_deferred=True).argument == "timeout"


@pytest.mark.parametrize(
    ("limit", "kind"),
    [
        (WaitLimit("timeout", 600.0, datetime.now(UTC)), PictoryJobTimedOutError),
        (WaitLimit("execution_timeout", 600.0, datetime.now(UTC)), PictoryExecutionTimeoutError),
    ],
    ids=["timeout", "execution_timeout"],
)
def test_a_timeout_tells_which_limit_ended_the_wait(limit, kind):
    error = timed_out(JOB_ID, IN_PROGRESS, limit.advice, limit)

    assert type(error) is kind
    assert error.job_id == JOB_ID
    assert f"What ended it was its {limit.argument} of 600 s." in str(error)


def test_a_timeout_tells_the_job_the_cost_and_the_way_on(watching, clock):
    watch = watching(timeout=60)
    clock.now += 60

    with pytest.raises(PictoryJobTimedOutError) as caught:
        watch.pause_after(IN_PROGRESS)

    assert str(caught.value) == (
        f"The wait for Pictory job {JOB_ID} is over, but the job is not (status 'in-progress'): it goes on "
        "and is paid for, since Pictory has no way to cancel it. Clear this task."
    )
    assert caught.value.job_id == JOB_ID
    assert isinstance(caught.value, AirflowFailException)


def test_a_timeout_after_a_failed_look_admits_that_nothing_is_known(watching, clock):
    watch = watching(timeout=60)
    clock.now += 60

    with pytest.raises(PictoryJobTimedOutError) as caught:
        watch.pause_after(NO_RESPONSE)

    message = str(caught.value)
    assert "whether it has ended is unknown: the last poll failed (No response from Pictory)" in message
    assert f"job {JOB_ID}" in message
    assert "If it is running, it goes on and is paid for" in message
    assert message.endswith(ADVICE)


def test_a_timeout_without_any_look_admits_that_too():
    message = str(timed_out(JOB_ID, None, ""))

    assert "whether it has ended is unknown. If it is running, it goes on and is paid for" in message
    assert message.endswith("no way to cancel it.")


def test_a_look_right_before_the_deadline_does_not_time_out(watching, clock):
    watch = watching(timeout=60)
    clock.now += 59.5

    assert watch.pause_after(IN_PROGRESS) == pytest.approx(0.5)


# Waiting


@pytest.fixture
def ended(clock):
    """Wait for the end of a job, and return it."""

    def wait(hook, watch):
        return wait_for_job(hook, watch, clock.sleep)

    return wait


@pytest.mark.parametrize("job", [COMPLETED, FAILED, CLEANED])
def test_a_wait_gives_the_job_however_it_ended(ended, watching, clock, job):
    hook = Hook(IN_PROGRESS, IN_PROGRESS, job)

    assert ended(hook, watching(poll_interval=7)) is job
    assert clock.slept == [7, 7]


def test_a_wait_for_a_job_that_has_ended_takes_no_time(ended, watching, clock):
    assert ended(Hook(COMPLETED), watching()) is COMPLETED
    assert clock.slept == []


def test_a_wait_rides_out_trouble(ended, watching, clock):
    hook = Hook(NOT_FOUND, NO_RESPONSE, FORBIDDEN, *TROUBLES, IN_PROGRESS, COMPLETED)

    assert ended(hook, watching()) is COMPLETED
    assert hook.polls == len(TROUBLES) + 5


def test_a_wait_ends_with_what_cannot_mend_itself(ended, watching):
    hook = Hook(IN_PROGRESS, PictoryAuthenticationError("The key is wrong", status_code=401))

    with pytest.raises(PictoryAuthenticationError):
        ended(hook, watching())
    assert hook.polls == 2


def test_a_wait_takes_a_last_poll_at_its_deadline(ended, watching, clock):
    watch = watching(timeout=100, poll_interval=60)
    deadline = clock.now + 100
    hook = Hook(lambda: COMPLETED if clock.now >= deadline else IN_PROGRESS)

    assert ended(hook, watch) is COMPLETED
    assert clock.slept == [60, 40]


def test_a_wait_is_over_when_the_last_poll_finds_nothing_new(ended, watching, clock):
    hook = Hook(IN_PROGRESS)

    with pytest.raises(PictoryJobTimedOutError):
        ended(hook, watching(timeout=100, poll_interval=60))
    assert clock.slept == [60, 40]
    assert hook.polls == 3


def test_a_wait_does_not_hide_the_faults_of_this_package(ended, watching):
    with pytest.raises(ZeroDivisionError):
        ended(Hook(ZeroDivisionError("a fault")), watching())


def test_a_single_look_has_a_failure_as_its_outcome():
    assert poll(Hook(COMPLETED), JOB_ID) is COMPLETED
    assert poll(Hook(NO_RESPONSE), JOB_ID) is NO_RESPONSE
    with pytest.raises(ZeroDivisionError):
        poll(Hook(ZeroDivisionError("a fault")), JOB_ID)


looks = st.lists(
    st.sampled_from([IN_PROGRESS, VideoJob(JOB_ID, "queued"), COMPLETED, NOT_FOUND, FORBIDDEN, *TROUBLES])
    | st.builds(
        lambda status, retry_after: PictoryAPIError("error", status_code=status, retry_after=retry_after),
        st.integers(100, 999) | st.none(),
        st.floats(0, 1e9) | st.none(),
    ),
    min_size=1,
    max_size=40,
)


@given(looks, st.none() | st.floats(0.001, 1e5), st.floats(0.001, 1e6))
def test_every_wait_goes_on_within_bounds_or_ends_with_a_reason(seen, interval, timeout):
    clock = Clock()
    deadline = clock.now + timeout
    watch = JobWatch(
        JOB_ID,
        deadline=datetime.fromtimestamp(deadline, UTC),
        poll_interval=interval,
        log=Log(),
        now=clock.time,
    )
    for item in seen:
        try:
            pause = watch.pause_after(item)
        except PictoryJobTimedOutError:
            assert clock.now >= deadline - 0.001
            break
        except PictoryError as error:
            assert error is item  # noqa: PT017
            break
        if pause is None:
            assert item is COMPLETED
            break
        assert 0 <= pause <= max(300, interval or 0)
        clock.now += pause
        assert clock.now <= deadline + 0.001


# What became of the job


def test_a_completed_job_is_what_was_wanted():
    assert require_completed(COMPLETED) is COMPLETED


@pytest.mark.parametrize("status", [JobStatus.FAILED, "failed"])
def test_a_failed_job_is_an_error_with_pictorys_words(status):
    with pytest.raises(PictoryJobFailedError) as caught:
        require_completed(VideoJob(JOB_ID, status, error_code="5001", error_message="Refused"))

    assert str(caught.value) == (
        f"Pictory job {JOB_ID} failed (5001: Refused). For another video clear the task that submitted it, "
        "which submits and pays again; clearing a task that only waits for it or saves it fails again"
    )
    assert (caught.value.job_id, caught.value.error_code) == (JOB_ID, "5001")
    assert isinstance(caught.value, AirflowFailException)


def test_a_job_that_failed_without_a_word_is_an_error_all_the_same():
    with pytest.raises(PictoryJobFailedError, match="no reason given"):
        require_completed(VideoJob(JOB_ID, JobStatus.FAILED))


@pytest.mark.parametrize(
    "words", [{"error_code": "INSUFFICIENT_CREDITS"}, {"error_message": "INSUFFICIENT_CREDITS"}]
)
def test_a_job_that_failed_for_want_of_credits_is_an_error_of_its_own(words):
    with pytest.raises(
        PictoryInsufficientCreditsError,
        match=f"job {JOB_ID} failed .* out of AI credits. Add some at Pictory; then clear the task that subm",
    ):
        require_completed(VideoJob(JOB_ID, JobStatus.FAILED, **words))


@pytest.mark.parametrize("status", [JobStatus.CLEANED, "cleaned"])
def test_a_cleaned_job_has_no_video_any_more(status):
    with pytest.raises(PictoryJobExpiredError, match=f"job {JOB_ID} was deleted at Pictory") as caught:
        require_completed(VideoJob(JOB_ID, status))
    assert caught.value.job_id == JOB_ID
    assert "clear the task that submitted it, which submits and pays again" in str(caught.value)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({}, "no details given"),
        ({"duration_seconds": 8.0}, "8 s"),
        ({"duration_seconds": 8.04, "width": 1280, "height": 720}, "8.04 s, 1280x720"),
        ({"ai_credits_used": 12.8}, "12.8 AI credits used"),
        ({"width": 1280}, "no details given"),
    ],
)
def test_a_video_is_described_in_a_few_words(facts, words):
    assert (
        describe(VideoJob(JOB_ID, JobStatus.COMPLETED, url="https://video.example/a.mp4", **facts)) == words
    )
