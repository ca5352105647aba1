"""What became of a submission whose response was lost: found out from a real account's lists."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import timedelta

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_pictory.api import VideoRequest
from airflow_provider_pictory.api.listings import Baseline, BaselineKind
from airflow_provider_pictory.exceptions import (
    PictoryAuthenticationError,
    PictoryError,
    PictoryRecordError,
    PictorySubmissionIndeterminateError,
    PictorySubmissionPendingError,
)
from airflow_provider_pictory.submission.account_lists import MOST_PAGES_WITHOUT_BASELINE
from airflow_provider_pictory.submission.names import RECORD_PREFIX, RecordName, job_digest
from airflow_provider_pictory.submission.reconcile import (
    PAUSE_BETWEEN_POLLS,
    settles_in,
    ways_out,
)
from airflow_provider_pictory.submission.record import RecordState
from tests.conftest import API_KEY
from tests.submission.records import OTHER_PLACE, PLACE, POST_SECONDS, PROMPT, WINDOW, an_intent
from tests.support.pictory_words import JOB

JOB_LIST = "GET /pictoryapis/v1/jobs"
VIDEO_LIST = "GET /pictoryapis/v1/aistudio/videos"
ANOTHER = "Somebody else's tin ship"
SETTLED = POST_SECONDS + WINDOW


# Nothing arrived


def test_nothing_arrived_in_a_quiet_account(account):
    account.intend()

    assert account.find_out() is None
    assert account.counted(VIDEO_LIST) == account.counted(JOB) == 0
    assert account.time.slept == pytest.approx(SETTLED, abs=1.01)


def test_nothing_arrived_in_an_account_that_never_had_a_job(account_at):
    account = account_at()

    assert account.intend().baseline is BaselineKind.EMPTY
    assert account.find_out() is None


def test_nothing_arrived_in_an_account_where_others_submit_all_the_time(account_at):
    account = account_at(
        render_seconds=20.0, faults=["foreign-jobs:per-second=0.5,same-prompt=no"], credits=10**9
    )
    account.time.now += 600
    account.intend()

    assert account.find_out() is None
    assert account.counted(JOB_LIST) > 1 + 3, "there were several pages"
    assert len(account.record().candidates) > 60


def test_jobs_of_others_are_waited_for_until_it_is_certain_that_none_is_ours(account_at):
    account = account_at(render_seconds=400.0)
    account.intend()
    for number in range(3):
        account.post(f"{ANOTHER} {number}")

    assert account.find_out() is None
    assert account.time.slept >= 400
    assert account.counted(JOB) >= 3


def test_a_job_of_another_kind_never_has_a_video_and_stands_in_nobodys_way(account):
    account.intend()
    account.post(ANOTHER)
    account.sandbox.set_faults(["lagging-lists:path=/v1/aistudio/videos,seconds=100000"])

    assert account.find_out() is None
    assert account.time.slept >= SETTLED, "its video may be late in its list"


def test_the_same_video_from_before_the_submission_is_not_it(account):
    account.post()
    account.time.now += 10
    account.intend()

    assert account.find_out() is None


def test_the_same_video_from_just_before_is_known_for_anothers_in_a_busy_account(account_at):
    account = account_at(faults=["foreign-jobs:per-second=1,same-prompt=no"], render_seconds=10.0)
    account.time.now += 60
    account.post()
    account.time.now += 12
    account.intend()
    account.time.now += 240

    assert account.find_out() is None


# It arrived


def test_what_arrived_and_was_finished_is_found(account):
    account.intend()
    job_id = account.post()

    assert account.find_out() == job_id
    assert account.owners == {job_id: PLACE.digest}
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
    assert 600 <= account.time.slept < 600 + 2 * PAUSE_BETWEEN_POLLS
    assert any("isn't known yet" in line and job_id in line for line in account.log.lines)


def test_it_is_found_among_several_pages_of_others(account_at):
    account = account_at(faults=["foreign-jobs:per-second=0.5,same-prompt=no"], render_seconds=30.0)
    account.time.now += 300
    account.intend()
    account.time.now += 20
    job_id = account.post()

    assert account.find_out() == job_id
    assert account.counted(JOB_LIST) > 5


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
    account.time.now += 20
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
    assert account.time.slept == 0


@pytest.mark.parametrize(
    "newest",
    [Baseline(BaselineKind.UNKNOWN), Baseline(BaselineKind.FOUND, "00000000-0000-4000-8000-000000000000")],
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
    account.accept(theirs, place=OTHER_PLACE)

    assert account.find_out() == job_id
    assert account.owners[theirs] == OTHER_PLACE.digest


def test_a_job_that_another_task_claims_meanwhile_is_left_to_it(account_at):
    account = account_at(render_seconds=300.0)
    account.intend()
    theirs, job_id = account.post(), account.post()
    account.time.after(250, lambda: account.accept(theirs, place=OTHER_PLACE))

    assert account.find_out() == job_id


@pytest.mark.parametrize("is_first", [True, False], ids=["who writes first", "who writes last"])
def test_a_job_that_another_task_claims_in_the_same_moment_is_left_to_it(account, monkeypatch, is_first):
    """Both have found the job free before either has written."""
    account.intend()
    theirs = account.post()
    write = account.variables.set

    def write_both_claims(key, value, description=None):
        is_claim = key.startswith(f"{RECORD_PREFIX}{PLACE.digest}") and job_digest(theirs) in key
        if is_claim and not is_first:
            account.accept(theirs, place=OTHER_PLACE)
        write(key, value, description)
        if is_claim and is_first:
            account.accept(theirs, place=OTHER_PLACE)

    monkeypatch.setattr(account.variables, "set", write_both_claims)

    assert account.find_out() is None
    assert account.owners == {theirs: OTHER_PLACE.digest}


def test_its_own_claim_of_an_earlier_try_is_no_others(account):
    account.intend()
    job_id = account.post()
    account.accept(job_id)

    assert account.find_out() == job_id


def test_the_only_match_being_anothers_it_never_arrived(account):
    account.intend()
    account.accept(account.post(), place=OTHER_PLACE)

    assert account.find_out() is None


def test_a_failed_job_of_another_task_is_no_reason_to_give_up(account):
    account.intend()
    theirs = account.post()
    account.end(theirs, "failed")
    account.accept(theirs, place=OTHER_PLACE)

    assert account.find_out() is None


def cannot_tell(account):
    """Tell whether nothing is concluded."""
    try:
        account.find_out()
    except (PictorySubmissionIndeterminateError, PictorySubmissionPendingError):
        return True
    return False


def unknown(account, **arguments):
    with pytest.raises(PictorySubmissionIndeterminateError) as raised:
        account.find_out(**arguments)
    assert isinstance(raised.value, AirflowFailException)
    message = str(raised.value)
    assert "on_unknown_submission='resubmit'" in message
    assert "VideoJobSensor" in message or "list of videos" in message
    assert not account.owners
    return message


def test_of_videos_alike_the_oldest_is_taken_and_the_others_are_named(account):
    account.intend()
    twins = [account.post(), account.post(), account.post()]

    assert account.find_out() == twins[0]
    (warning,) = account.log.warnings
    assert all(job_id in warning for job_id in twins)
    assert f"{twins[0]} is taken for this task's" in warning
    assert "other tasks or of other programs" in warning


def test_of_three_tasks_alike_the_one_whose_submission_never_arrived_may_submit(account):
    places = [PLACE._replace(map_index=index) for index in range(3)]
    for place in places:
        account.intend(place=place)
    twins = [account.post(), account.post()]

    assert [account.find_out(place=place) for place in places] == [*twins, None]


def test_a_job_of_another_task_whose_response_is_under_way_is_left_alone_for_a_while(account):
    account.intend()
    account.time.now += 5
    account.intend(place=OTHER_PLACE)
    theirs = account.post()
    account.time.after(20, lambda: account.end(theirs, "completed"))
    account.time.after(25, lambda: account.accept(theirs, place=OTHER_PLACE))

    assert account.find_out() is None


def test_a_job_of_another_task_that_gets_no_response_is_taken_when_no_older_one_can_appear(account_at):
    account = account_at(render_seconds=1.0)
    account.intend()
    account.time.now += 5
    account.intend(place=OTHER_PLACE)
    theirs = account.post()
    account.time.now += 1

    assert account.find_out() == theirs
    assert account.time.slept == pytest.approx(POST_SECONDS + WINDOW, abs=PAUSE_BETWEEN_POLLS)


def test_beside_another_task_a_job_is_taken_once_no_older_one_can_appear(account_at):
    account = account_at(render_seconds=200_000.0)
    account.intend()
    ours = account.post()
    account.time.after(40, lambda: account.intend(place=OTHER_PLACE))
    account.time.after(50, lambda: account.end(ours, "completed"))

    assert account.find_out() == ours
    assert account.time.slept == pytest.approx(POST_SECONDS + WINDOW, abs=PAUSE_BETWEEN_POLLS)


# Another task has lost the response to the same request


@pytest.mark.parametrize("status", ["completed", "failed"])
def test_a_newer_job_is_left_alone_until_all_older_ones_have_ended(account_at, status):
    """Were the newer one taken at once, nothing would be left for the task whose job it is."""
    account = account_at(render_seconds=200_000.0)
    account.intend()
    older = account.post()
    account.intend(place=OTHER_PLACE)
    newer = account.post()
    account.end(newer, "completed")
    account.time.after(500, lambda: account.end(older, status))

    expected = [older, newer] if status == "completed" else [newer, None]
    assert [account.find_out(), account.find_out(place=OTHER_PLACE)] == expected


def test_a_newer_job_is_left_alone_by_a_later_try_too(account_at):
    account = account_at(render_seconds=200_000.0)
    account.intend()
    older = account.post()
    account.intend(place=OTHER_PLACE)
    newer = account.post()
    account.end(newer, "completed")
    with pytest.raises(PictorySubmissionPendingError, match=older):
        account.find_out()
    account.end(older, "completed")

    assert [account.find_out(), account.find_out(place=OTHER_PLACE)] == [older, newer]


def test_where_the_task_that_took_ours_has_lost_its_own_it_never_arrived(account):
    account.intend()
    account.intend(place=OTHER_PLACE)
    ours = account.post()
    account.end(ours, "completed")

    assert account.find_out() == ours
    assert account.find_out(place=OTHER_PLACE) is None


def test_the_job_of_the_task_that_took_ours_may_appear_as_long_as_its_own_window_is_open(account_at):
    account = account_at(render_seconds=1.0)
    account.intend()
    account.time.now += 150
    account.intend(place=OTHER_PLACE)
    ours = account.post()
    delayed = []
    account.time.after(POST_SECONDS + WINDOW - 1, lambda: delayed.append(account.post()))
    account.time.now += 50
    assert account.find_out(place=OTHER_PLACE) == ours

    assert [account.find_out()] == delayed


@pytest.mark.parametrize("shows_time", [True, False], ids=["by Pictory's clock", "without it"])
def test_the_job_of_the_task_that_took_ours_is_found_though_an_earlier_try_took_no_newer_ones(
    account_at, shows_time
):
    account = account_at(render_seconds=1.0)
    before = account.hook.get_baseline()
    intent = account.intend(newest=before if shows_time else replace(before, server_time=None))
    ours = account.post()
    # An earlier try looked when its window was over, and was interrupted before it took one.
    account.store().write(intent.but(candidates=(ours,)))
    account.time.now += 100
    # The list was late, so that it didn't show ours yet.
    server_time = account.hook.get_baseline().server_time if shows_time else None
    account.intend(place=OTHER_PLACE, newest=replace(before, server_time=server_time))
    theirs = account.post()
    account.time.now += 10_000
    assert account.find_out(place=OTHER_PLACE) == ours

    assert account.find_out() == theirs


def test_claims_that_are_being_withdrawn_are_waited_for(account):
    """Where several claim a job at once all of them may yield, and it is free again."""
    account.intend()
    ours = account.post()
    account.end(ours, "completed")
    account.time.now += 1000
    for place in (OTHER_PLACE, OTHER_PLACE._replace(map_index=1)):
        claimed = account.intend(place=place).accepted(ours, account.time.clock().now(), is_claimed=True)
        account.store(place).write(claimed.but(state=RecordState.INTENT))
    account.time.after(3, account.variables.texts.clear)

    assert account.find_out() == ours


def test_an_older_job_that_several_claimed_at_once_is_taken_before_a_newer_one(account, monkeypatch):
    """The newer one may be the only one that another task can take."""
    account.intend()
    older, newer = account.post(), account.post()
    for job_id in (older, newer):
        account.end(job_id, "completed")
    account.time.now += 1000
    rival = next(
        place
        for place in (PLACE._replace(task_id="rival", map_index=number) for number in itertools.count())
        if place.digest < PLACE.digest
    )
    intent = account.intend(place=rival)
    claimed = intent.accepted(older, account.time.clock().now(), is_claimed=True)
    write, claims = account.variables.set, []

    def write_beside_rival(key, value, description=None):
        write(key, value, description)
        name = RecordName.read(key)
        if not claims and name and (name.place, name.job) == (PLACE.digest, job_digest(older)):
            claims.append(account.store(rival).write(claimed.but(state=RecordState.INTENT)))
            account.time.after(0.5, lambda: account.store(rival).remove(claims[0]))

    monkeypatch.setattr(account.variables, "set", write_beside_rival)

    assert account.find_out() == older
    assert len(claims) == 1


def test_a_job_that_another_task_got_in_its_response_is_not_waited_for(account):
    account.intend()
    account.accept(account.post(), place=OTHER_PLACE)
    account.time.now += 1000

    assert account.find_out() is None
    assert account.time.slept == 0


# It can't be found out


@pytest.mark.parametrize("status", ["failed", "cleaned"])
def test_a_newer_job_that_left_nothing_behind_may_have_been_ours(account, status):
    account.intend()
    job_id = account.post(ANOTHER)
    account.end(job_id, status)

    assert job_id in unknown(account)


@pytest.mark.parametrize(
    "newest",
    [Baseline(BaselineKind.UNKNOWN), Baseline(BaselineKind.FOUND, "00000000-0000-4000-8000-000000000000")],
    ids=["unknown baseline", "vanished baseline"],
)
def test_without_a_baseline_it_is_never_certain_that_nothing_arrived(account, newest):
    account.intend(newest=newest)

    unknown(account)
    assert account.record().candidates is None


def test_an_unknown_baseline_makes_it_read_a_few_pages_only(account_at):
    account = account_at(faults=["foreign-jobs:per-second=1,same-prompt=no"], render_seconds=1.0)
    account.time.now += 900
    account.intend(newest=Baseline(BaselineKind.UNKNOWN, None, account.hook.get_baseline().server_time))
    account.time.now += 1000
    reads = account.counted(JOB_LIST)

    unknown(account)
    # And one for the time.
    assert account.counted(JOB_LIST) == reads + 1 + MOST_PAGES_WITHOUT_BASELINE


def test_a_source_that_pictory_copied_needs_a_persons_eye(account):
    account.intend(VideoRequest(PROMPT, extend_video_url="https://files.example/in/boat.mp4"))
    job_id = account.post(VideoRequest(PROMPT, extend_video_url="https://cdn.example/4711.mp4"))

    assert job_id in unknown(account)


def test_many_candidates_are_not_all_named(account):
    account.intend()
    for number in range(12):
        account.end(account.post(f"{ANOTHER} {number}"), "failed")

    assert "..." in unknown(account)


# Candidates


def test_candidates_are_written_down_once_and_not_joined_by_later_jobs(account_at):
    account = account_at(render_seconds=300.0)
    account.intend()
    job_id = account.post()
    account.time.after(SETTLED + 20, account.post)

    assert account.find_out() == job_id
    assert account.record().candidates == (job_id,)
    assert account.record().state is RecordState.ACCEPTED
    assert account.record().is_claimed


def test_a_later_try_takes_up_the_candidates_of_the_one_before(account_at):
    account = account_at(render_seconds=2050.0)
    account.intend()
    job_id = account.post()

    with pytest.raises(PictorySubmissionPendingError):
        account.find_out()
    account.post()

    with pytest.raises(PictorySubmissionPendingError):
        account.find_out()
    assert account.record().candidates == (job_id,)
    assert account.find_out() == job_id


def test_no_candidates_at_all_are_written_down_as_well(account):
    account.intend()
    account.find_out()
    account.post()
    account.time.now += 1000

    assert account.record().candidates == ()
    assert account.find_out() is None


def test_a_candidate_that_vanished_is_waited_for(account):
    account.intend()
    record = account.record().but(candidates=("00000000-0000-4000-8000-000000000000",))

    with pytest.raises(PictorySubmissionPendingError, match="00000000-0000-4000-8000-000000000000"):
        account.find_out(record)


def test_candidates_that_cannot_be_written_down_stop_it(account, monkeypatch):
    account.intend()
    account.post()

    def refuse(*arguments):
        raise OSError("the disk is full")

    monkeypatch.setattr(account.variables, "set", refuse)

    with pytest.raises(PictoryRecordError, match="the disk is full"):
        account.find_out()


# It isn't known yet


def test_a_job_that_outlasts_the_timeout_is_left_to_a_later_try(account_at):
    account = account_at(render_seconds=100_000.0)
    account.intend()
    job_id = account.post()

    with pytest.raises(PictorySubmissionPendingError, match=job_id) as raised:
        account.find_out(timeout=120.0)

    assert not isinstance(raised.value, AirflowFailException)
    assert raised.value.retry_after == PAUSE_BETWEEN_POLLS
    assert account.time.slept == pytest.approx(SETTLED + 120, abs=0.1)


def test_a_timeout_below_the_settling_time_comes_to_an_end_over_several_tries(account):
    account.intend()
    account.post(ANOTHER)
    account.sandbox.set_faults(["lagging-lists:path=/v1/aistudio/videos,seconds=100000"])

    for _ in range(9):
        try:
            account.find_out(timeout=60.0)
        except PictorySubmissionPendingError:
            account.time.sleep(60)
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
    "drop-while-responding",
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
    assert account.time.slept >= 400


@on_each_route
def test_failing_to_look_is_never_nothing_there(account, trouble, path):
    account.intend()
    account.post()
    account.sandbox.set_faults([fault(trouble, path=path, method="GET")])

    with pytest.raises(PictorySubmissionPendingError, match=r"isn't known yet"):
        account.find_out()
    assert not account.owners


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
    account.sandbox.respond_next("/v1/jobs", status=401, times=2, body={"message": f"{API_KEY} is no key"})

    with pytest.raises(PictoryAuthenticationError):
        account.find_out()
    assert account.find_out() == job_id


def test_a_network_that_refuses_ends_it_and_airflow_may_try_again(account):
    account.intend()
    job_id = account.post()
    account.sandbox.set_faults(["cdn-refusal:count=2"])

    with pytest.raises(PictoryError) as raised:
        account.find_out()
    assert not isinstance(raised.value, AirflowFailException)
    assert account.find_out() == job_id


def listed_once(account, *items):
    account.sandbox.respond_next(
        "/v1/jobs", method="GET", body={"items": list(items), "nextPageKey": None}, times=1
    )


def test_an_item_without_an_id_makes_a_list_worthless(account):
    record = account.intend()
    job_id = account.post()
    listed_once(account, {"data": {"status": "completed"}}, {"data": {"jobId": record.newest_job_id}})

    assert account.find_out() == job_id


def test_a_list_of_jobs_that_shows_no_urls_hides_no_video(account):
    """The documentation doesn't say that the list of jobs has URLs; the sandbox only guesses it."""
    record = account.intend()
    job_id = account.post()
    listed_once(
        account,
        {"data": {"jobId": job_id, "status": "completed"}},
        {"data": {"jobId": record.newest_job_id, "status": "completed"}},
    )

    assert account.find_out() == job_id


@pytest.mark.parametrize("url", ["http://[", "https://[::1/video.mp4"])
def test_a_url_that_is_none_in_a_list_raises_nothing_unheard_of(account, url):
    record = account.intend()
    job_id = account.post()
    listed_once(
        account,
        {"data": {"jobId": account.post(ANOTHER), "status": "completed", "url": url}},
        {"data": {"jobId": job_id, "status": "in-progress"}},
        {"data": {"jobId": record.newest_job_id, "status": "completed"}},
    )

    assert account.find_out() == job_id


def test_an_id_that_cannot_be_asked_for_is_no_fault_of_the_users(account):
    record = account.intend()
    job_id = account.post()
    listed_once(
        account,
        {"data": {"jobId": "project/7 of 9", "status": "in-progress"}},
        {"data": {"jobId": job_id, "status": "in-progress"}},
        {"data": {"jobId": record.newest_job_id, "status": "completed"}},
    )

    try:
        assert account.find_out() == job_id
    except PictorySubmissionPendingError as error:
        assert "project/7 of 9" in str(error)  # noqa: PT017  (either is right)


def test_a_listed_video_with_its_prompt_but_without_a_url_speaks_against_never_arrived(account):
    account.intend()
    account.post()
    account.sandbox.respond_next(
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
    account.sandbox.respond_next("/v1/aistudio/videos", method="GET", body={"items": [elsewhere]}, times=50)

    assert cannot_tell(account)


# Settling


@pytest.mark.parametrize(
    ("passed", "pause"),
    [(0, SETTLED), (POST_SECONDS, WINDOW), (SETTLED, 0), (1_000_000, 0), (-1_000_000, SETTLED)],
)
def test_the_lists_settle_some_time_after_the_post_is_over_by_the_clock_that_counts(passed, pause):
    record = an_intent()
    later = record.intended_at + timedelta(seconds=passed)
    dated = record.but(server_time=record.intended_at - timedelta(hours=30))

    assert settles_in(record, own_now=later) == pytest.approx(pause)
    assert settles_in(dated, server_now=later - timedelta(hours=30)) == pytest.approx(pause)
    assert settles_in(dated, server_now=later - timedelta(hours=30), own_now=record.intended_at) == (
        pytest.approx(pause)
    )


@pytest.mark.parametrize("is_dated", [True, False])
def test_where_pictorys_time_is_not_known_the_whole_window_is_waited_for(is_dated):
    record = an_intent()
    later = record.intended_at + timedelta(days=1)

    assert settles_in(record.but(server_time=later if is_dated else None)) == SETTLED
    assert settles_in(record, server_now=later) == SETTLED


WRONG_CLOCKS = [0.0, 600.0, -600.0, 26 * 3600.0, -26 * 3600.0]


@pytest.mark.parametrize("second", WRONG_CLOCKS)
@pytest.mark.parametrize("first", WRONG_CLOCKS)
@pytest.mark.parametrize("passed", [5.0, 130.0, 1000.0])
def test_workers_clocks_make_no_difference(account_at, first, second, passed):
    """A job appears as late as the window allows; whoever waits for less submits again."""
    account = account_at(faults=["job-appears-late:seconds=170"], render_seconds=20.0)
    account.intend(ahead=first)
    job_id = account.post()
    account.time.now += passed
    waited = account.time.slept

    assert account.find_out(clock=account.time.clock(second)) == job_id
    assert account.time.slept - waited <= max(0.0, SETTLED - passed) + PAUSE_BETWEEN_POLLS


@pytest.mark.parametrize("second", WRONG_CLOCKS)
def test_without_pictorys_time_the_whole_window_is_waited_for_whatever_the_clocks_say(account, second):
    account.intend(server_time=None, ahead=-7200.0)

    assert account.find_out(clock=account.time.clock(second)) is None
    assert account.time.slept == pytest.approx(SETTLED, abs=0.01)


def test_the_worker_that_sent_it_goes_by_its_own_clock_where_pictorys_is_not_known(account):
    account.intend(server_time=None)
    account.time.now += 100

    assert account.find_out(is_own_intent=True) is None
    assert account.time.slept == pytest.approx(SETTLED - 100, abs=0.01)


def test_before_the_window_is_over_nothing_has_never_arrived(account):
    account.intend()
    asked = []
    account.time.after(SETTLED - 2, lambda: asked.append(account.counted(JOB_LIST)))

    assert account.find_out() is None
    assert asked
    assert asked[0] > 5, "it looks from the beginning, since a video is proof at once"
    assert "for another 210 s" in account.log.lines[0]


def test_a_later_try_has_not_to_wait_again(account):
    account.intend()
    account.time.now += 1000

    assert account.find_out() is None
    assert account.time.slept == 0


@pytest.mark.parametrize(("job_ids", "words"), [((), ""), (("a",), "(job_id='a')"), (("a", "b"), "Sensor;")])
def test_the_ways_out_are_a_look_the_sensor_and_another_submission(job_ids, words):
    assert words in ways_out(job_ids)
    assert ("VideoJobSensor" in ways_out(job_ids)) is bool(job_ids)
    assert "on_unknown_submission='resubmit'" in ways_out(job_ids)


# Many at once


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_three_tasks_with_three_requests_find_their_own_whatever_the_order(account, order):
    prompts = [f"{PROMPT}, number {number}" for number in range(3)]
    newest = account.hook.get_baseline()
    job_ids = {}
    for number in order:
        job_ids[number] = account.post(prompts[number])

    for number, prompt in enumerate(prompts):
        place = PLACE._replace(map_index=number)
        account.intend(VideoRequest(prompt), newest=newest, place=place)
        assert account.find_out(place=place) == job_ids[number]
