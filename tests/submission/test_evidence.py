"""What the account's lists prove about a submission whose response was lost: a pure decision."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_pictory.api import JobStatus
from airflow_provider_pictory.api.listings import ListedVideo
from airflow_provider_pictory.submission.evidence import (
    Candidate,
    Found,
    NotSubmitted,
    Undecidable,
    Videos,
    Wait,
    conclude,
)
from tests.submission.records import PROMPT, WINDOW, a_fingerprint

NOW = 1_800_000_000.0
LONG_AGO, JUST_NOW = NOW - WINDOW, NOW - 1
OURS = a_fingerprint(first_frame_image_url="https://in.example/boat.png")
SOURCES = {"firstFrameImageUrl": "https://in.example/boat.png"}
VIDEOS = {
    "/ours.mp4": ListedVideo(prompt=PROMPT, sources=SOURCES),
    "/ours-too.mp4": ListedVideo(prompt=PROMPT, model="pixverse5.5", sources=SOURCES),
    "/unclear.mp4": ListedVideo(prompt=PROMPT),
    "/silent.mp4": ListedVideo(),
    "/other.mp4": ListedVideo(prompt="Somebody else's tin ship", sources=SOURCES),
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


def concluded(*candidates, is_complete=True, is_settled=True, is_in_order=False, without_job=()):
    return conclude(
        OURS,
        candidates,
        Videos(VIDEOS, tuple(without_job)),
        is_complete=is_complete,
        is_settled=is_settled,
        is_in_order=is_in_order,
        window=WINDOW,
        now=NOW,
    )


@pytest.mark.parametrize(
    "candidates",
    [(), (made("/other.mp4"),), (OF_ANOTHER_KIND,), (made("/other.mp4"), OF_ANOTHER_KIND)],
    ids=["no newer job", "another video", "another kind", "both"],
)
def test_it_never_arrived_where_all_newer_jobs_are_certainly_for_something_else(candidates):
    assert isinstance(concluded(*candidates), NotSubmitted)
    assert isinstance(concluded(*candidates, is_complete=False), Undecidable)
    assert isinstance(concluded(*candidates, is_settled=False), Wait)


@pytest.mark.parametrize(
    ("candidates", "kind", "named"),
    {
        "its video": ((made("/ours.mp4"),), Found, ["/ours.mp4"]),
        "among others": ((made("/other.mp4"), made("/ours.mp4")), Found, ["/ours.mp4"]),
        "among failed ones": ((FAILED, made("/ours.mp4"), CLEANED), Found, ["/ours.mp4"]),
        "beside an unclear one": ((made("/unclear.mp4"), made("/ours.mp4")), Found, ["/ours.mp4"]),
        "while one runs": ((made("/ours.mp4"), RUNNING), Found, ["/ours.mp4"]),
        "several": ((made("/ours.mp4"), made("/ours-too.mp4")), Found, ["/ours.mp4", "/ours-too.mp4"]),
        "several while one runs": (
            (made("/ours-too.mp4"), RUNNING, made("/ours.mp4")),
            Found,
            ["/ours-too.mp4", "/ours.mp4"],
        ),
        "unclear": ((made("/unclear.mp4"), FAILED), Undecidable, ["/unclear.mp4"]),
        "without a prompt": ((made("/silent.mp4"),), Undecidable, ["/silent.mp4"]),
        "failed": ((FAILED, made("/other.mp4")), Undecidable, ["failed"]),
        "cleaned": ((CLEANED,), Undecidable, ["cleaned"]),
        "running": ((RUNNING, made("/other.mp4")), Wait, ["running"]),
        "of a status unheard of": ((in_state("pondering"),), Wait, ["a"]),
        "of a status that can't be read": ((in_state(None),), Wait, ["a"]),
        "not listed yet": ((MAYBE_OF_ANOTHER_KIND,), Wait, ["/presentation.pptx"]),
        "seen first at an unknown moment": ((made("/x", None),), Wait, ["/x"]),
    }.values(),
    ids=lambda it: "" if not isinstance(it, tuple) else "+".join(one.job_id for one in it),
)
def test_newer_jobs_are_weighed(candidates, kind, named):
    evidence = concluded(*candidates)

    assert (type(evidence), list(evidence.job_ids)) == (kind, named)


@pytest.mark.parametrize("is_complete", [True, False])
@pytest.mark.parametrize("is_settled", [True, False])
def test_a_video_of_its_prompt_and_settings_is_proof_at_once(is_complete, is_settled):
    evidence = concluded(made("/ours.mp4"), RUNNING, is_complete=is_complete, is_settled=is_settled)

    assert evidence == Found(("/ours.mp4",))


@pytest.mark.parametrize(
    ("older", "evidence"),
    [
        (RUNNING, Wait("jobs that may be its are still running", ("running",))),
        (
            MAYBE_OF_ANOTHER_KIND,
            Wait("the videos of these jobs may not be listed yet", ("/presentation.pptx",), is_bounded=True),
        ),
        (FAILED, Found(("/ours.mp4",))),
        (OF_ANOTHER_KIND, Found(("/ours.mp4",))),
        (made("/unclear.mp4"), Found(("/ours.mp4",))),
    ],
)
def test_in_order_a_match_counts_once_all_older_jobs_are_known(older, evidence):
    assert concluded(older, made("/ours.mp4"), is_in_order=True) == evidence
    assert concluded(made("/ours-too.mp4"), older, made("/ours.mp4"), is_in_order=True).job_ids[0] == (
        "/ours-too.mp4"
    )


def test_in_order_a_match_counts_only_once_no_older_job_can_appear():
    match = made("/ours.mp4")

    assert isinstance(concluded(match, is_in_order=True, is_settled=False), Wait)
    assert concluded(match, is_in_order=False, is_settled=False) == Found(("/ours.mp4",))
    assert concluded(match, is_in_order=True) == Found(("/ours.mp4",))


def test_only_what_others_decide_takes_longer_than_the_window():
    assert concluded(is_settled=False).is_bounded
    assert concluded(MAYBE_OF_ANOTHER_KIND).is_bounded
    assert not concluded(RUNNING).is_bounded


def test_a_completed_job_of_which_no_url_is_known_may_still_be_it():
    assert isinstance(concluded(Candidate("a", JobStatus.COMPLETED, None, JUST_NOW)), Wait)


@pytest.mark.parametrize(("path", "kind"), [("/ours.mp4", Undecidable), ("/other.mp4", NotSubmitted)])
def test_a_video_of_its_prompt_that_belongs_to_no_known_job_speaks_against_never_arrived(path, kind):
    assert isinstance(concluded(without_job=[VIDEOS[path]]), kind)


statuses = st.sampled_from([*JobStatus, "pondering", None])
paths = st.sampled_from([*VIDEOS, "/presentation.pptx"])
moments = st.sampled_from([None, LONG_AGO, JUST_NOW, NOW - 10 * WINDOW, NOW + 5])


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


def matching(candidates):
    completed = [it for it in candidates if it.status == JobStatus.COMPLETED]
    return tuple(it.job_id for it in completed if (video := video_of(it)) and OURS.matches(video))


switches = st.fixed_dictionaries({"is_complete": st.booleans(), "is_settled": st.booleans()})


@given(newer_jobs(), switches)
def test_it_never_arrived_only_if_each_newer_job_speaks_against_it(candidates, given_switches):
    evidence = concluded(*candidates, **given_switches)

    if isinstance(evidence, NotSubmitted):
        assert given_switches == {"is_complete": True, "is_settled": True}
        assert all(it.status == JobStatus.COMPLETED for it in candidates)
        for candidate in candidates:
            video = video_of(candidate)
            if video is None:
                assert candidate.completed_at is not None
                assert NOW - candidate.completed_at >= WINDOW
            else:
                assert OURS.matches(video) is False


@given(newer_jobs(), switches)
def test_found_are_all_completed_jobs_whose_listed_videos_match_in_the_order_given(
    candidates, given_switches
):
    evidence = concluded(*candidates, **given_switches)

    assert (evidence.job_ids if isinstance(evidence, Found) else ()) == matching(candidates)


@given(newer_jobs(), switches)
def test_in_order_found_are_the_oldest_of_them(candidates, given_switches):
    evidence = concluded(*candidates, is_in_order=True, **given_switches)
    found = evidence.job_ids if isinstance(evidence, Found) else ()

    assert found == matching(candidates)[: len(found)]
    if not found and matching(candidates):
        assert isinstance(evidence, Wait)


@given(newer_jobs(), switches)
def test_nothing_is_given_up_while_time_may_tell_and_it_always_says_something(candidates, given_switches):
    evidence = concluded(*candidates, **given_switches)
    unfinished = {it.job_id for it in candidates if it.status in (JobStatus.IN_PROGRESS, "pondering", None)}

    if isinstance(evidence, Found):
        return
    assert evidence.words
    assert set(getattr(evidence, "job_ids", ())) <= {it.job_id for it in candidates}
    if unfinished or not given_switches["is_settled"]:
        assert isinstance(evidence, Wait)
        assert unfinished <= set(evidence.job_ids)


@given(newer_jobs().flatmap(lambda it: st.tuples(st.just(it), st.permutations(it))), switches)
def test_the_order_of_the_jobs_matters_to_nothing_but_their_order(orders, given_switches):
    one, other = (concluded(*candidates, **given_switches) for candidates in orders)

    assert type(one) is type(other)
    assert getattr(one, "words", "") == getattr(other, "words", "")
    assert set(getattr(one, "job_ids", ())) == set(getattr(other, "job_ids", ()))


@given(newer_jobs(), newer_jobs())
def test_more_jobs_never_make_it_certain_that_it_never_arrived(candidates, more):
    more = [Candidate(f"more-{it.job_id}", it.status, it.url, it.completed_at) for it in more]

    if not isinstance(concluded(*candidates), NotSubmitted):
        assert not isinstance(concluded(*candidates, *more), NotSubmitted)
