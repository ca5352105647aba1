"""What became of a submission whose answer was lost: weighed, and found out from a real account's lists."""

from __future__ import annotations

import itertools
import time
from datetime import datetime

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow_provider_pictory.ledger import LedgerState
from airflow_provider_pictory.reconciliation import (
    LONGEST_SETTLING,
    MOST_PAGES_WITHOUT_BASELINE,
    PAUSE_BETWEEN_LOOKS,
    SETTLING_TIME,
    Candidate,
    Reconciliation,
    Videos,
    settles_in,
    ways_out,
    weigh,
)
from airflow_provider_pictory.wish import Wish
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_pictory import division, reconciliation
from airflow_provider_pictory import ledger as ledger_module
from airflow_provider_pictory.api import JobStatus, VideoRequest
from airflow_provider_pictory.api.lists import Baseline, ListedVideo, NewestJob
from airflow_provider_pictory.exceptions import (
    PictoryAuthenticationError,
    PictoryError,
    PictoryLedgerError,
    PictorySubmissionUnknownError,
    PictorySubmissionUnresolvedError,
)
from airflow_provider_pictory.hooks.pictory import PictoryHook
from airflow_provider_pictory.sandbox.service import Clock as SandboxClock
from tests.conftest import API_KEY
from tests.ledgers import OTHER_PLACE, PROMPT, MemoryLedger, Shelf, a_wish, an_intent
from tests.pictory_words import JOB, POST, count
from tests.task_tries import Variables

JOB_LIST = "GET /pictoryapis/v1/jobs"
VIDEO_LIST = "GET /pictoryapis/v1/aistudio/videos"
POST_SECONDS = 30.0
TIMEOUT = 900.0
OURS = VideoRequest(PROMPT)
ANOTHER = "Somebody else's tin ship"

# Weighing

NOW = 1_800_000_000.0
LONG_AGO, JUST_NOW = NOW - SETTLING_TIME, NOW - 1
WISH = a_wish(first_frame_image_url="https://in.example/boat.png")
SOURCES = {"firstFrameImageUrl": "https://in.example/boat.png"}
VIDEOS = {
    "/ours.mp4": ListedVideo(prompt=PROMPT, sources=SOURCES),
    "/ours-too.mp4": ListedVideo(prompt=PROMPT, model="pixverse5.5", sources=SOURCES),
    "/unclear.mp4": ListedVideo(prompt=PROMPT),
    "/silent.mp4": ListedVideo(),
    "/other.mp4": ListedVideo(prompt=ANOTHER, sources=SOURCES),
}


def made(path, completed_at=LONG_AGO, job_id=None):
    return Candidate(job_id or path, JobStatus.COMPLETED, f"https://any.example{path}?sign=1", completed_at)


def in_state(status, job_id="a"):
    return Candidate(job_id, status, None)


RUNNING = in_state(JobStatus.IN_PROGRESS, "running")
FAILED = in_state(JobStatus.FAILED, "failed")
CLEANED = in_state(JobStatus.CLEANED, "cleaned")
OF_ANOTHER_KIND = made("/presentation.pptx")
MAYBE_OF_ANOTHER_KIND = made("/presentation.pptx", JUST_NOW)


def weighed(*candidates, are_all=True):
    return weigh(WISH, candidates, Videos(VIDEOS), are_all=are_all, now=NOW)


@pytest.mark.parametrize(
    "candidates",
    [(), (made("/other.mp4"),), (OF_ANOTHER_KIND,), (made("/other.mp4"), OF_ANOTHER_KIND)],
    ids=["no newer job", "another video", "another kind", "both"],
)
def test_it_never_arrived_where_all_newer_jobs_are_certainly_for_something_else(candidates):
    assert weighed(*candidates).never_arrived
    assert weighed(*candidates).is_final
    assert not weighed(*candidates, are_all=False).never_arrived


@pytest.mark.parametrize(
    ("candidates", "is_final", "match", "named"),
    {
        "its video": ((made("/ours.mp4"),), True, "/ours.mp4", ["/ours.mp4"]),
        "among others": ((made("/other.mp4"), made("/ours.mp4")), True, "/ours.mp4", ["/ours.mp4"]),
        "among failed ones": ((FAILED, made("/ours.mp4"), CLEANED), True, "/ours.mp4", ["/ours.mp4"]),
        "beside an unclear one": (
            (made("/unclear.mp4"), made("/ours.mp4")),
            True,
            "/ours.mp4",
            ["/ours.mp4"],
        ),
        "while one runs": ((made("/ours.mp4"), RUNNING), False, "/ours.mp4", ["running"]),
        "twice": (
            (made("/ours.mp4"), made("/ours-too.mp4")),
            True,
            None,
            ["/ours.mp4", "/ours-too.mp4"],
        ),
        "twice while one runs": (
            (made("/ours.mp4"), made("/ours-too.mp4"), RUNNING),
            False,
            None,
            ["running"],
        ),
        "unclear": ((made("/unclear.mp4"), FAILED), True, None, ["/unclear.mp4"]),
        "without a prompt": ((made("/silent.mp4"),), True, None, ["/silent.mp4"]),
        "failed": ((FAILED, made("/other.mp4")), True, None, ["failed"]),
        "cleaned": ((CLEANED,), True, None, ["cleaned"]),
        "running": ((RUNNING, made("/other.mp4")), False, None, ["running"]),
        "of a status unheard of": ((in_state("pondering"),), False, None, ["a"]),
        "of a status that can't be read": ((in_state(None),), False, None, ["a"]),
        "not listed yet": ((MAYBE_OF_ANOTHER_KIND,), False, None, ["/presentation.pptx"]),
        "seen first at an unknown moment": ((made("/x", None),), False, None, ["/x"]),
    }.values(),
    ids=lambda it: "" if not isinstance(it, tuple) else "+".join(one.job_id for one in it),
)
def test_newer_jobs_are_weighed(candidates, is_final, match, named):
    verdict = weighed(*candidates)

    assert (verdict.is_final, verdict.match, list(verdict.job_ids)) == (is_final, match, named)
    assert not verdict.never_arrived


def test_where_candidates_may_be_missing_a_match_still_counts():
    assert weighed(made("/ours.mp4"), are_all=False).match == "/ours.mp4"


def test_a_completed_job_of_which_no_url_is_known_may_still_be_it():
    verdict = weighed(Candidate("a", JobStatus.COMPLETED, None, JUST_NOW))

    assert not verdict.never_arrived
    assert verdict.is_settling


statuses = st.sampled_from([*JobStatus, "pondering", None])
paths = st.sampled_from([*VIDEOS, "/presentation.pptx"])
moments = st.sampled_from([None, LONG_AGO, JUST_NOW, NOW - 10 * SETTLING_TIME, NOW + 5])


@st.composite
def newer_jobs(draw):
    return [
        Candidate(
            f"job-{number}",
            status,
            f"https://any.example{draw(paths)}" if status == JobStatus.COMPLETED else None,
            draw(moments) if status == JobStatus.COMPLETED else None,
        )
        for number, status in enumerate(draw(st.lists(statuses, max_size=6)))
    ]


def video_of(candidate):
    return VIDEOS.get(candidate.url.removeprefix("https://any.example")) if candidate.url else None


@given(newer_jobs(), st.booleans())
def test_it_never_arrived_only_if_each_newer_job_speaks_against_it(candidates, are_all):
    verdict = weighed(*candidates, are_all=are_all)

    if verdict.never_arrived:
        assert are_all
        assert verdict.is_final
        assert verdict.match is None
        assert all(it.status == JobStatus.COMPLETED for it in candidates)
        for candidate in candidates:
            video = video_of(candidate)
            if video is None:
                assert candidate.completed_at is not None
                assert NOW - candidate.completed_at >= SETTLING_TIME
            else:
                assert WISH.resembles(video) is False


@given(newer_jobs(), st.booleans())
def test_a_match_is_the_only_completed_job_whose_listed_video_is_as_wished(candidates, are_all):
    verdict = weighed(*candidates, are_all=are_all)
    resembling = [
        it.job_id
        for it in candidates
        if it.status == JobStatus.COMPLETED and (video := video_of(it)) and WISH.resembles(video)
    ]

    assert verdict.match == (resembling[0] if len(resembling) == 1 else None)


@given(newer_jobs(), st.booleans())
def test_a_verdict_is_final_only_if_nothing_runs_and_it_always_says_something(candidates, are_all):
    verdict = weighed(*candidates, are_all=are_all)
    unfinished = [it for it in candidates if it.status in (JobStatus.IN_PROGRESS, "pondering", None)]

    assert verdict.words
    assert set(verdict.job_ids) <= {it.job_id for it in candidates}
    if unfinished:
        assert not verdict.is_final
        assert {it.job_id for it in unfinished} <= set(verdict.job_ids)


@given(newer_jobs().flatmap(lambda it: st.tuples(st.just(it), st.permutations(it))), st.booleans())
def test_the_order_of_the_jobs_does_not_matter(orders, are_all):
    one, other = (weighed(*candidates, are_all=are_all) for candidates in orders)

    assert (one.is_final, one.match, one.never_arrived, one.words) == (
        other.is_final,
        other.match,
        other.never_arrived,
        other.words,
    )
    assert set(one.job_ids) == set(other.job_ids)


@given(newer_jobs(), newer_jobs())
def test_more_jobs_never_make_it_certain_that_it_never_arrived(candidates, more):
    more = [Candidate(f"more-{it.job_id}", it.status, it.url, it.completed_at) for it in more]

    if not weighed(*candidates).never_arrived:
        assert not weighed(*candidates, *more).never_arrived


# With a real account


class Clock:
    """Time for the reconciliation and for Pictory, which passes when somebody sleeps."""

    def __init__(self):
        self.now = time.time()
        self.slept = 0.0
        self._plans = []

    def time(self):
        return self.now

    def sleep(self, pause):
        assert 0 <= pause <= LONGEST_SETTLING
        end = self.now + pause
        while self._plans and self._plans[0][0] <= end:
            self.now, action = self._plans.pop(0)
            action()
        self.now = end
        self.slept += pause
        assert self.slept < 100_000, "it never ends"

    def after(self, seconds, action):
        """Plan something for when somebody sleeps that long."""
        self._plans.append((self.now + seconds, action))
        self._plans.sort(key=lambda plan: plan[0])


class Log:
    def __init__(self):
        self.lines = []

    def info(self, message, *arguments):
        self.lines.append(message % arguments)

    warning = info


class Account:
    """A busy life at a real sandbox, and the means to look back at it."""

    def __init__(self, sandbox, clock):
        self.sandbox = sandbox
        self.clock = clock
        self.hook = PictoryHook()
        self.shelf = Shelf()
        self.ledger = MemoryLedger(self.shelf)
        self.log = Log()
        self.messages = []
        self.posted = 0

    def intend(self, request=OURS, newest=None):
        """Write down what is about to be submitted, just as a task would."""
        wish = Wish.of(request, "pictory_default", self.sandbox.url)
        moment = datetime.fromtimestamp(self.clock.now, self._utc)
        entry = an_intent(wish, newest or self.hook.newest_job(), moment)
        self.ledger.write(entry)
        return entry

    def post(self, request=OURS):
        self.posted += 1
        return self.hook.submit_video(VideoRequest(request) if isinstance(request, str) else request)

    def end(self, job_id, status="failed"):
        self.sandbox.set_job(job_id, status)

    def counted(self, route):
        return count(self.sandbox, route)

    def find_out(self, entry=None, timeout=TIMEOUT, ledger=None):
        """Find out as a later try would: from what is in the ledger, with a hook of its own."""
        entry = entry or self.ledger.read()
        ledger = ledger or self.ledger
        hook = PictoryHook()
        try:
            return Reconciliation(entry, hook=hook, ledger=ledger, timeout=timeout, log=self.log).job_id()
        except PictoryError as error:
            self.messages.append(str(error))
            raise
        finally:
            hook.close()
            assert self.counted(POST) == self.posted, "the reconciliation submitted something"
            assert API_KEY not in str(self.messages + self.log.lines)

    _utc = reconciliation.UTC


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()

    class ClocksDatetime(datetime):
        @classmethod
        def now(cls, tz=None):
            return cls.fromtimestamp(clock.now, tz)

    monkeypatch.setattr(reconciliation, "time", clock)
    monkeypatch.setattr(reconciliation, "datetime", ClocksDatetime)
    monkeypatch.setattr(ledger_module, "time", clock)
    monkeypatch.setattr(division, "time", clock)
    monkeypatch.setattr(division, "Variable", Variables())
    return clock


@pytest.fixture
def account_at(pictory_at, clock):
    """Open an account, with the sandbox's arguments; its jobs take a minute unless told otherwise."""
    accounts = []

    def open_account(**arguments):
        arguments = {"render_seconds": 60.0, "credits": 10**9, "fetch_sources": False, **arguments}
        accounts.append(Account(pictory_at(clock=SandboxClock(clock.time), **arguments), clock))
        return accounts[-1]

    yield open_account
    for account in accounts:
        account.hook.close()


@pytest.fixture
def account(account_at):
    """An account with a job from long ago."""
    account = account_at(seed=7)
    account.post("Something from last week")
    account.clock.now += 7 * 24 * 3600
    return account


# Nothing arrived


def test_nothing_arrived_in_a_quiet_account(account):
    account.intend()

    assert account.find_out() is None
    assert account.counted(JOB_LIST) == 2
    assert account.counted(VIDEO_LIST) == account.counted(JOB) == 0
    assert account.clock.slept == pytest.approx(POST_SECONDS + SETTLING_TIME, abs=0.01)


def test_nothing_arrived_in_an_account_that_never_had_a_job(account_at):
    account = account_at()

    assert account.intend().baseline is Baseline.EMPTY
    assert account.find_out() is None


def test_nothing_arrived_in_an_account_where_others_submit_all_the_time(account_at):
    account = account_at(
        render_seconds=20.0, faults=["foreign-jobs:per-second=0.5,same-prompt=no"], credits=10**9
    )
    account.clock.now += 600
    account.intend()

    assert account.find_out() is None
    assert account.counted(JOB_LIST) > 1 + 3, "there were several pages"
    assert len(account.ledger.read().candidates) > 60


def test_jobs_of_others_are_waited_for_until_it_is_certain_that_none_is_ours(account_at):
    account = account_at(render_seconds=400.0)
    account.intend()
    for number in range(3):
        account.post(f"{ANOTHER} {number}")

    assert account.find_out() is None
    assert account.clock.slept >= 400
    assert account.counted(JOB) >= 3


def test_a_job_of_another_kind_never_has_a_video_and_stands_in_nobodys_way(account):
    account.intend()
    account.post(ANOTHER)
    account.sandbox.set_faults(["lagging-lists:path=/v1/aistudio/videos,seconds=100000"])

    assert account.find_out() is None
    assert account.clock.slept >= POST_SECONDS + 2 * SETTLING_TIME


def test_the_same_video_from_before_the_submission_is_not_it(account):
    account.post()
    account.clock.now += 10
    account.intend()

    assert account.find_out() is None


# It arrived


def test_what_arrived_and_was_finished_is_found(account):
    account.intend()
    job_id = account.post()

    assert account.find_out() == job_id
    assert account.shelf.owners == {job_id: account.ledger._place}
    assert job_id in account.log.lines[-1]


def test_what_arrived_first_in_an_empty_account_is_found(account_at):
    account = account_at()
    account.intend()
    job_id = account.post()

    assert account.find_out() == job_id


def test_what_arrived_and_still_runs_is_waited_for(account_at):
    account = account_at(render_seconds=600.0)
    account.intend()
    job_id = account.post()

    assert account.find_out() == job_id
    assert 600 <= account.clock.slept < 600 + 2 * PAUSE_BETWEEN_LOOKS
    assert any("isn't known yet" in line and job_id in line for line in account.log.lines)


def test_it_is_found_among_several_pages_of_others(account_at):
    account = account_at(faults=["foreign-jobs:per-second=0.5,same-prompt=no"], render_seconds=30.0)
    account.clock.now += 300
    account.intend()
    account.clock.now += 20
    job_id = account.post()

    assert account.find_out() == job_id
    assert len(account.ledger.read().candidates) > 60


def test_a_job_that_appears_late_is_found(account):
    account.sandbox.set_faults(["job-appears-late:seconds=110"])
    account.intend()
    job_id = account.post()

    assert account.find_out() == job_id


@pytest.mark.parametrize("path", ["", "path=/v1/jobs,", "path=/v1/aistudio/videos,"])
def test_lists_may_lag_behind_by_as_much_as_the_settling_time(account, path):
    account.sandbox.set_faults([f"lagging-lists:{path}seconds=119"])
    account.intend()
    job_id = account.post()

    assert account.find_out() == job_id


def test_lists_that_lag_and_a_baseline_that_is_old_for_that_reason_go_together(account):
    older = account.post(ANOTHER)
    account.sandbox.set_faults(["lagging-lists:seconds=100"])
    account.clock.now += 20
    assert account.intend().newest_job_id != older
    job_id = account.post()

    assert account.find_out() == job_id


def test_every_setting_counts(account):
    account.intend(VideoRequest(PROMPT, aspect_ratio="9:16", duration=8))
    account.post(VideoRequest(PROMPT))
    account.post(VideoRequest(PROMPT, aspect_ratio="9:16", duration=10))
    job_id = account.post(VideoRequest(PROMPT, aspect_ratio="9:16", duration=8))
    account.post(VideoRequest(PROMPT, aspect_ratio="1:1", duration=8))

    assert account.find_out() == job_id


def test_a_presigned_source_is_known_again_by_its_path(account):
    source = "https://files.example/in/boat.png"
    account.intend(VideoRequest(PROMPT, first_frame_image_url=f"{source}?sign=1"))
    job_id = account.post(VideoRequest(PROMPT, first_frame_image_url=f"{source}?sign=2"))
    account.post(VideoRequest(PROMPT, first_frame_image_url="https://files.example/in/ship.png"))

    assert account.find_out() == job_id


def test_results_whose_urls_have_another_query_in_each_list_are_the_same(account):
    account.sandbox.set_faults(["expiring-urls:seconds=100000"])
    account.intend()
    job_id = account.post()

    assert account.find_out() == job_id


def test_failed_and_cleaned_newer_jobs_do_not_matter_where_its_video_is_there(account):
    account.intend()
    account.end(account.post(ANOTHER), "failed")
    account.end(account.post(ANOTHER), "cleaned")
    job_id = account.post()

    assert account.find_out() == job_id


def test_what_runs_on_when_the_time_is_over_does_not_matter_where_its_video_is_there(account_at):
    account = account_at(render_seconds=100_000.0)
    account.intend()
    account.post(ANOTHER)
    job_id = account.post()
    account.end(job_id, "completed")

    assert account.find_out() == job_id
    assert account.clock.slept >= POST_SECONDS + SETTLING_TIME + TIMEOUT


@pytest.mark.parametrize(
    "newest",
    [NewestJob(Baseline.UNKNOWN), NewestJob(Baseline.FOUND, "00000000-0000-4000-8000-000000000000")],
    ids=["unknown baseline", "vanished baseline"],
)
def test_its_video_is_found_without_a_baseline_too(account, newest):
    account.intend(newest=newest)
    job_id = account.post()

    assert account.find_out() == job_id


# Others' jobs


def test_of_two_the_one_that_another_task_has_claimed_is_left_to_it(account):
    account.intend()
    theirs, job_id = account.post(), account.post()
    MemoryLedger(account.shelf, OTHER_PLACE).take_over(theirs)

    assert account.find_out() == job_id
    assert account.shelf.owners[theirs] == OTHER_PLACE


def test_a_job_that_another_task_claims_meanwhile_is_left_to_it(account_at):
    account = account_at(render_seconds=300.0)
    account.intend()
    theirs, job_id = account.post(), account.post()
    account.clock.after(250, lambda: MemoryLedger(account.shelf, OTHER_PLACE).take_over(theirs))

    assert account.find_out() == job_id


def test_a_job_that_another_task_claims_in_the_same_moment_is_left_to_it(account, monkeypatch):
    account.intend()
    theirs = account.post()
    another = MemoryLedger(account.shelf, OTHER_PLACE)
    write_claim = MemoryLedger._write_claim

    def write_both_claims(ledger, job_id):
        write_claim(ledger, job_id)
        write_claim(another, job_id)

    monkeypatch.setattr(MemoryLedger, "_write_claim", write_both_claims)

    assert account.find_out() is None
    assert account.shelf.owners == {theirs: OTHER_PLACE}


def test_its_own_claim_of_an_earlier_try_is_no_others(account):
    account.intend()
    job_id = account.post()
    account.ledger.take_over(job_id)

    assert account.find_out() == job_id


def test_the_only_match_being_anothers_it_never_arrived(account):
    account.intend()
    MemoryLedger(account.shelf, OTHER_PLACE).take_over(account.post())

    assert account.find_out() is None


def test_a_failed_job_of_another_task_is_no_reason_to_give_up(account):
    account.intend()
    theirs = account.post()
    account.end(theirs, "failed")
    MemoryLedger(account.shelf, OTHER_PLACE).take_over(theirs)

    assert account.find_out() is None


# It can't be found out


def cannot_tell(account):
    try:
        account.find_out()
    except (PictorySubmissionUnknownError, PictorySubmissionUnresolvedError):
        return True
    return False


def unknown(account, **arguments):
    with pytest.raises(PictorySubmissionUnknownError) as raised:
        account.find_out(**arguments)
    assert isinstance(raised.value, AirflowFailException)
    message = str(raised.value)
    assert "on_unknown_submission='resubmit'" in message
    assert "VideoJobSensor" in message or "list of videos" in message
    assert not account.shelf.owners
    return message


def test_of_two_videos_alike_none_is_taken_and_both_are_named(account):
    account.intend()
    twins = {account.post(), account.post()}

    message = unknown(account)

    assert all(job_id in message for job_id in twins)


def test_two_tasks_that_lost_the_same_submission_get_one_video_each(account):
    ours = account.intend()
    twins = {account.post(), account.post()}
    theirs = []

    def find_out_as_another_task():
        another = MemoryLedger(account.shelf, OTHER_PLACE)
        theirs.append(account.find_out(ours, ledger=another))

    account.clock.after(POST_SECONDS + SETTLING_TIME + 20, find_out_as_another_task)

    assert {account.find_out(), *theirs} == twins
    assert sorted(account.shelf.owners) == sorted(twins)


def test_of_three_tasks_alike_the_one_whose_submission_never_arrived_may_submit(account):
    ours = account.intend()
    twins = {account.post(), account.post()}
    places = [("videos", "manual__2026-01-01", "generate", index) for index in range(2)]
    found = []

    def find_out_as(place):
        found.append(account.find_out(ours, ledger=MemoryLedger(account.shelf, place)))

    for number, place in enumerate(places):
        pause = POST_SECONDS + SETTLING_TIME + 20 + number
        account.clock.after(pause, lambda place=place: find_out_as(place))
    found.append(account.find_out())

    assert {job_id for job_id in found if job_id} == twins
    assert found.count(None) == 1


def test_a_job_too_many_is_somebody_elses_and_none_is_taken(account):
    ours = account.intend()
    for _ in range(3):
        account.post()
    another = MemoryLedger(account.shelf, OTHER_PLACE)
    others = []

    def find_out_as_another_task():
        with pytest.raises(PictorySubmissionUnknownError) as raised:
            account.find_out(ours, ledger=another)
        others.append(raised.value)

    account.clock.after(POST_SECONDS + SETTLING_TIME + 20, find_out_as_another_task)

    unknown(account)
    assert others
    assert account.clock.slept < 3 * TIMEOUT


@pytest.mark.parametrize("status", ["failed", "cleaned"])
def test_a_newer_job_that_left_nothing_behind_may_have_been_ours(account, status):
    account.intend()
    job_id = account.post(ANOTHER)
    account.end(job_id, status)

    assert job_id in unknown(account)


@pytest.mark.parametrize(
    "newest",
    [NewestJob(Baseline.UNKNOWN), NewestJob(Baseline.FOUND, "00000000-0000-4000-8000-000000000000")],
    ids=["unknown baseline", "vanished baseline"],
)
def test_without_a_baseline_it_is_never_certain_that_nothing_arrived(account, newest):
    account.intend(newest=newest)

    unknown(account)
    assert account.ledger.read().candidates is None


def test_an_unknown_baseline_makes_it_read_a_few_pages_only(account_at):
    account = account_at(faults=["foreign-jobs:per-second=1,same-prompt=no"], render_seconds=1.0)
    account.clock.now += 900
    account.intend(newest=NewestJob(Baseline.UNKNOWN))

    unknown(account)
    assert account.counted(JOB_LIST) == MOST_PAGES_WITHOUT_BASELINE


def test_a_source_that_pictory_copied_needs_a_persons_eye(account):
    account.intend(VideoRequest(PROMPT, extend_video_url="https://files.example/in/boat.mp4"))
    job_id = account.post(VideoRequest(PROMPT, extend_video_url="https://cdn.example/4711.mp4"))

    assert job_id in unknown(account)


def test_many_candidates_are_not_all_named(account):
    account.intend()
    for _ in range(12):
        account.post()

    assert "..." in unknown(account)


# Candidates


def test_candidates_are_written_down_once_and_not_joined_by_later_jobs(account_at):
    account = account_at(render_seconds=300.0)
    account.intend()
    job_id = account.post()
    account.clock.after(200, account.post)

    assert account.find_out() == job_id
    assert account.ledger.read().candidates == (job_id,)
    assert account.ledger.read().state is LedgerState.INTENDED
    assert account.counted(JOB_LIST) == 2


def test_a_later_try_takes_up_the_candidates_of_the_one_before(account_at):
    account = account_at(render_seconds=2000.0)
    account.intend()
    job_id = account.post()

    with pytest.raises(PictorySubmissionUnresolvedError):
        account.find_out()
    account.post()
    pages = account.counted(JOB_LIST)

    with pytest.raises(PictorySubmissionUnresolvedError):
        account.find_out()
    assert account.find_out() == job_id
    assert account.counted(JOB_LIST) == pages


def test_no_candidates_at_all_are_written_down_as_well(account):
    account.intend()
    account.find_out()
    account.post()
    pages = account.counted(JOB_LIST)

    assert account.ledger.read().candidates == ()
    assert account.find_out() is None
    assert account.counted(JOB_LIST) == pages


def test_a_candidate_that_vanished_is_waited_for(account):
    account.intend()
    entry = account.ledger.read().but(candidates=("00000000-0000-4000-8000-000000000000",))

    with pytest.raises(PictorySubmissionUnresolvedError, match="00000000-0000-4000-8000-000000000000"):
        account.find_out(entry)


def test_candidates_that_cannot_be_written_down_stop_it(account, monkeypatch):
    account.intend()
    account.post()

    def refuse(ledger, text):
        raise OSError("the disk is full")

    monkeypatch.setattr(MemoryLedger, "_write", refuse)

    with pytest.raises(PictoryLedgerError, match="the disk is full"):
        account.find_out()


# It isn't known yet


def test_a_job_that_outlasts_the_timeout_is_left_to_a_later_try(account_at):
    account = account_at(render_seconds=100_000.0)
    account.intend()
    job_id = account.post()

    with pytest.raises(PictorySubmissionUnresolvedError, match=job_id) as raised:
        account.find_out(timeout=120.0)

    assert not isinstance(raised.value, AirflowFailException)
    assert raised.value.retry_after == PAUSE_BETWEEN_LOOKS
    assert account.clock.slept == pytest.approx(POST_SECONDS + SETTLING_TIME + 120, abs=0.1)


def test_a_timeout_below_the_settling_time_comes_to_an_end_over_several_tries(account):
    account.intend()
    account.post(ANOTHER)
    account.sandbox.set_faults(["lagging-lists:path=/v1/aistudio/videos,seconds=100000"])

    for _ in range(9):
        try:
            account.find_out(timeout=60.0)
        except PictorySubmissionUnresolvedError:
            account.clock.sleep(60)
        else:
            break
    assert account.find_out(timeout=60.0) is None


# Trouble with the account


TROUBLES = [
    "server-error:status=500",
    "server-error:status=503,retry-after=seconds",
    "rate-limit",
    "html-page",
    "truncated-json",
    "wrong-shape",
    "drop-before-processing",
    "drop-after-processing",
    "drop-while-answering",
]
on_each_route = pytest.mark.parametrize(
    ("path", "trouble"),
    [(path, trouble) for path in ("/v1/jobs", "/v1/aistudio/videos") for trouble in TROUBLES],
)


def fault(trouble, **parameters):
    listed = ",".join(f"{name}={value}" for name, value in parameters.items())
    return f"{trouble}{',' if ':' in trouble else ':'}{listed}"


@on_each_route
def test_trouble_that_passes_is_ridden_out(account, trouble, path):
    account.intend()
    job_id = account.post()
    account.sandbox.set_faults([fault(trouble, path=path, method="GET", until=400)])

    assert account.find_out() == job_id
    assert account.clock.slept >= 400


@on_each_route
def test_failing_to_look_is_never_nothing_there(account, trouble, path):
    account.intend()
    account.post()
    account.sandbox.set_faults([fault(trouble, path=path, method="GET")])

    with pytest.raises(PictorySubmissionUnresolvedError, match=r"isn't known yet"):
        account.find_out()
    assert not account.shelf.owners


@pytest.mark.parametrize("trouble", [trouble for trouble in TROUBLES if trouble != "wrong-shape"])
def test_now_and_then_a_failing_look_does_not_harm(account, trouble):
    account.intend()
    job_id = account.post()
    account.post(ANOTHER)
    account.sandbox.set_faults([fault(trouble, method="GET", rate=0.5)])

    assert account.find_out() == job_id


def test_a_refused_key_ends_it_at_once_and_a_later_try_finds_out(account):
    account.intend()
    job_id = account.post()
    account.sandbox.answer_next("/v1/jobs", status=401, times=1, body={"message": f"{API_KEY} is no key"})

    with pytest.raises(PictoryAuthenticationError):
        account.find_out()
    assert account.find_out() == job_id


def test_a_network_that_refuses_ends_it_and_airflow_may_try_again(account):
    account.intend()
    job_id = account.post()
    account.sandbox.set_faults(["cdn-refusal:count=1"])

    with pytest.raises(PictoryError) as raised:
        account.find_out()
    assert not isinstance(raised.value, AirflowFailException)
    assert account.find_out() == job_id


def listed_once(account, *items):
    account.sandbox.answer_next(
        "/v1/jobs", method="GET", body={"items": list(items), "nextPageKey": None}, times=1
    )


def test_an_item_without_an_id_makes_a_list_worthless(account):
    entry = account.intend()
    job_id = account.post()
    listed_once(account, {"data": {"status": "completed"}}, {"data": {"jobId": entry.newest_job_id}})

    assert account.find_out() == job_id


def test_a_list_of_jobs_that_shows_no_urls_hides_no_video(account):
    """The documentation doesn't say that the list of jobs has URLs; the sandbox only guesses it."""
    entry = account.intend()
    job_id = account.post()
    listed_once(
        account,
        {"data": {"jobId": job_id, "status": "completed"}},
        {"data": {"jobId": entry.newest_job_id, "status": "completed"}},
    )

    assert account.find_out() == job_id


@pytest.mark.parametrize("url", ["http://[", "https://[::1/video.mp4"])
def test_a_url_that_is_none_in_a_list_raises_nothing_unheard_of(account, url):
    entry = account.intend()
    job_id = account.post()
    listed_once(
        account,
        {"data": {"jobId": account.post(ANOTHER), "status": "completed", "url": url}},
        {"data": {"jobId": job_id, "status": "in-progress"}},
        {"data": {"jobId": entry.newest_job_id, "status": "completed"}},
    )

    assert account.find_out() == job_id


def test_an_id_that_cannot_be_asked_for_is_no_fault_of_the_users(account):
    entry = account.intend()
    job_id = account.post()
    listed_once(
        account,
        {"data": {"jobId": "project/7 of 9", "status": "in-progress"}},
        {"data": {"jobId": job_id, "status": "in-progress"}},
        {"data": {"jobId": entry.newest_job_id, "status": "completed"}},
    )

    try:
        assert account.find_out() == job_id
    except PictorySubmissionUnresolvedError as error:
        assert "project/7 of 9" in str(error)  # noqa: PT017  (either is right)


def test_a_listed_video_with_its_prompt_but_without_a_url_speaks_against_never_arrived(account):
    account.intend()
    account.post()
    account.sandbox.answer_next(
        "/v1/aistudio/videos", method="GET", body={"items": [{"prompt": PROMPT}]}, times=50
    )

    assert cannot_tell(account)


def test_a_video_with_its_prompt_under_a_url_of_no_job_speaks_against_never_arrived(account):
    """That both lists give the same path is not documented."""
    account.intend()
    account.post()
    elsewhere = {
        "prompt": PROMPT,
        "url": "https://cdn.example/4711.mp4",
        "createdDate": "2100-01-01T00:00:00Z",
    }
    account.sandbox.answer_next("/v1/aistudio/videos", method="GET", body={"items": [elsewhere]}, times=50)

    assert cannot_tell(account)


# Settling


@pytest.mark.parametrize(
    ("age", "pause"),
    [
        (0, POST_SECONDS + SETTLING_TIME),
        (POST_SECONDS, SETTLING_TIME),
        (POST_SECONDS + SETTLING_TIME, 0),
        (1_000_000, 0),
        (-1_000_000, POST_SECONDS + SETTLING_TIME),
    ],
)
def test_the_lists_settle_some_time_after_the_post_is_over_but_a_wrong_clock_is_not_waited_for(
    clock, age, pause
):
    entry = an_intent(now=datetime.fromtimestamp(clock.now - age, reconciliation.UTC))

    assert settles_in(entry) == pytest.approx(pause, abs=0.001)


def test_nothing_is_asked_before_the_lists_have_settled(account):
    account.intend()
    pages = account.counted(JOB_LIST)
    seen = []
    account.clock.after(POST_SECONDS + SETTLING_TIME - 1, lambda: seen.append(account.counted(JOB_LIST)))

    account.find_out()

    assert seen == [pages]
    assert "waiting 150 s" in account.log.lines[0]


def test_a_later_try_has_not_to_wait_again(account):
    account.intend()
    account.clock.now += 1000

    assert account.find_out() is None
    assert account.clock.slept == 0


@pytest.mark.parametrize(("job_ids", "words"), [((), ""), (("a",), "(job_id='a')"), (("a", "b"), "Sensor;")])
def test_the_ways_out_are_a_look_the_sensor_and_another_submission(job_ids, words):
    assert words in ways_out(job_ids)
    assert ("VideoJobSensor" in ways_out(job_ids)) is bool(job_ids)
    assert "on_unknown_submission='resubmit'" in ways_out(job_ids)


# Many at once


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_three_tasks_with_three_wishes_find_their_own_whatever_the_order(account, order):
    prompts = [f"{PROMPT}, number {number}" for number in range(3)]
    newest = account.hook.newest_job()
    job_ids = {}
    for number in order:
        job_ids[number] = account.post(prompts[number])

    for number, prompt in enumerate(prompts):
        ledger = MemoryLedger(account.shelf, ("videos", "run", "generate", number))
        wish = Wish.of(VideoRequest(prompt), "pictory_default", account.sandbox.url)
        entry = an_intent(wish, newest, datetime.fromtimestamp(account.clock.now, reconciliation.UTC))
        assert account.find_out(entry, ledger=ledger) == job_ids[number]
