"""Whom a fault befalls is decided by rate, count, schedule and seed, and by nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_pictory.sandbox.faults import read_fault, read_faults
from airflow_provider_pictory.sandbox.faults.budget import RequestBudget
from airflow_provider_pictory.sandbox.faults.injector import FaultInjector
from airflow_provider_pictory.sandbox.faults.kinds import JobFails
from airflow_provider_pictory.sandbox.service import Clock

JOB = "/pictoryapis/v1/jobs/4a09edf9"
VIDEOS = "/pictoryapis/v1/aistudio/videos"


class Harness:
    """An injector in a time of its own."""

    def __init__(self, *faults, seed=7):
        self.clock = Clock(lambda: 1_000.0)
        self.injector = FaultInjector(self.clock, read_faults(faults), seed)

    def befallen(self, times=1, method="GET", path=JOB):
        """Ask so often and give the kinds that happened, None where none did."""
        decisions = [self.injector.on_request(method, path) for _ in range(times)]
        return [it and it.fault and it.fault.kind for it in decisions]

    def number(self, times, **request):
        return sum(kind is not None for kind in self.befallen(times, **request))


def test_without_faults_nothing_happens():
    assert Harness().number(100) == 0


def test_a_rate_is_a_probability():
    assert 250 < Harness("server-error:rate=0.3").number(1000) < 350
    assert Harness("server-error:rate=0").number(1000) == 0
    assert Harness("server-error:rate=1").number(1000) == 1000


def test_a_count_is_a_number_of_requests_that_fit():
    harness = Harness("server-error:count=3,path=/v1/jobs")

    assert harness.number(10, path=VIDEOS) == 0
    assert harness.befallen(5) == ["server-error"] * 3 + [None] * 2


def test_a_schedule_is_in_the_sandbox_s_time_since_the_fault_was_set():
    harness = Harness()
    harness.clock.advance(50)
    harness.injector.add(read_fault("server-error:after=10,until=40"))

    happened = []
    for _ in range(50):
        happened.append(harness.number(1))
        harness.clock.advance(1)

    assert happened == [0] * 10 + [1] * 30 + [0] * 10


def test_rate_count_and_schedule_all_have_to_allow_it():
    harness = Harness("server-error:rate=0.5,count=20,after=5")
    assert harness.number(100) == 0
    harness.clock.advance(5)

    assert 5 <= harness.number(20) <= 15
    assert 0 < harness.number(1000) <= 15
    assert harness.injector.times == {"server-error": 20}


@pytest.mark.parametrize(
    ("narrowed", "befallen"),
    [
        ("", {("GET", JOB), ("POST", VIDEOS), ("GET", VIDEOS)}),
        ("method=get", {("GET", JOB), ("GET", VIDEOS)}),
        ("path=/v1/jobs/", {("GET", JOB)}),
        ("path=/pictoryapis/v1/aistudio,method=POST", {("POST", VIDEOS)}),
        ("path=/files", {("GET", "/files/1/video.mp4")}),
        ("path=/", {("GET", JOB), ("POST", VIDEOS), ("GET", VIDEOS), ("GET", "/files/1/video.mp4")}),
    ],
)
def test_all_requests_for_the_api_or_those_that_were_chosen(narrowed, befallen):
    requests = {("GET", JOB), ("POST", VIDEOS), ("GET", VIDEOS), ("GET", "/files/1/video.mp4")}

    harness = Harness(f"server-error:{narrowed}" if narrowed else "server-error")

    assert {it for it in requests if harness.number(1, method=it[0], path=it[1])} == befallen


def test_the_first_fault_that_happens_is_the_one_though_it_can_be_late_as_well():
    injector = Harness(
        "slow-response:seconds=2", "html-page:count=1", "server-error", "slow-response"
    ).injector

    first, second = (injector.on_request("GET", JOB) for _ in range(2))

    assert (first.fault.kind, first.delay) == ("html-page", 3)
    assert (second.fault.kind, second.delay) == ("server-error", 3)
    assert injector.times == {
        "slow-response": 4,
        "html-page": 1,
        "server-error": 1,
    }


MIXTURE = ("server-error:rate=0.2", "html-page:rate=0.2", "slow-response:rate=0.2", "job-fails:rate=0.5")


def decisions(harness):
    drawn = []
    for _ in range(100):
        drawn += harness.befallen(1)
        drawn.append(harness.injector.draw(JobFails) is not None)
    return drawn


def test_the_same_seed_decides_the_same():
    assert decisions(Harness(*MIXTURE, seed=1)) == decisions(Harness(*MIXTURE, seed=1))
    assert decisions(Harness(*MIXTURE, seed=1)) != decisions(Harness(*MIXTURE, seed=2))


def test_without_a_seed_one_is_chosen_that_can_be_used_again():
    one, other = Harness(*MIXTURE, seed=None), Harness(*MIXTURE, seed=None)

    assert one.injector.seed != other.injector.seed
    assert decisions(one) == decisions(Harness(*MIXTURE, seed=one.injector.seed))


def test_faults_set_anew_with_a_seed_begin_anew_and_without_go_on():
    harness = Harness(*MIXTURE, seed=1)
    first = decisions(harness)

    harness.injector.set(read_faults(MIXTURE))
    assert decisions(harness) != first
    harness.injector.set(read_faults(MIXTURE), seed=1)
    assert decisions(harness) == first


def test_counts_start_anew_with_each_setting_but_the_totals_stay():
    harness = Harness("server-error:count=2")
    assert harness.number(5) == 2
    harness.injector.set(read_faults(["server-error:count=2"]))
    assert harness.number(5) == 2
    harness.injector.clear()
    assert harness.number(5) == 0

    assert harness.injector.times == {"server-error": 4}


class TestRateLimit:
    def test_no_window_ever_holds_more_than_the_budget(self):
        harness = Harness("rate-limit:budget=5,window=2")
        permitted = []
        for _ in range(400):
            if harness.befallen() == [None]:
                permitted.append(harness.clock.now())
            harness.clock.advance(0.07)

        assert all(later - first >= 2 for first, later in zip(permitted, permitted[5:], strict=False))
        assert len(permitted) == harness.injector.requests_permitted
        assert harness.injector.requests_permitted + harness.injector.requests_limited == 400
        assert 65 <= len(permitted) <= 75

    def test_after_the_wait_it_names_a_request_is_permitted(self):
        harness = Harness("rate-limit:budget=2,window=10")
        harness.befallen(2)
        harness.clock.advance(3)

        wait = harness.injector.on_request("GET", JOB).wait
        assert wait == 7
        harness.clock.advance(wait)

        assert harness.befallen(2) == [None, None]
        assert harness.befallen() == ["rate-limit"]

    def test_several_budgets_hold_at_once_and_the_refused_cost_none_of_them(self):
        harness = Harness("rate-limit:budget=2,window=1", "rate-limit:budget=3,window=100")

        assert harness.number(10) == 8
        harness.clock.advance(1)
        assert harness.number(10) == 9
        assert harness.injector.requests_permitted == 3

    def test_it_stands_before_all_other_faults(self):
        harness = Harness("server-error", "rate-limit:budget=1,window=1")

        assert harness.befallen(2) == ["server-error", "rate-limit"]

    def test_only_what_it_looks_at_is_counted(self):
        harness = Harness("rate-limit:budget=1,method=POST")

        harness.befallen(5)

        assert (harness.injector.requests_permitted, harness.injector.requests_limited) == (0, 0)

    @given(
        st.integers(1, 5),
        st.floats(0.1, 10),
        st.lists(st.floats(0, 5, allow_subnormal=False), min_size=1, max_size=60),
    )
    def test_the_budget_is_kept_and_never_wasted(self, size, window, pauses):
        budget, now, taken = RequestBudget(size, window), 0.0, []
        for pause in pauses:
            now += pause
            inside = [moment for moment in taken if moment + window > now]
            assert (budget.seconds_until_free(now) == 0) == (len(inside) < size)
            if len(inside) < size:
                budget.take(now)
                taken.append(now)
