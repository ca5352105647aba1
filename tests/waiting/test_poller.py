"""The shared poller, against a real server."""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import logging
from datetime import UTC, datetime, timedelta

import pytest

from airflow_provider_pictory.api import JobStatus, VideoJob, VideoRequest
from airflow_provider_pictory.exceptions import (
    PictoryAPIError,
    PictoryAuthenticationError,
    PictoryJobTimedOutError,
    PictoryRateLimitedError,
)
from airflow_provider_pictory.hooks.pictory import PictoryHook
from airflow_provider_pictory.sandbox.testing import PictorySandbox
from airflow_provider_pictory.waiting import poller as poller_module
from airflow_provider_pictory.waiting.job_watch import JobWatch
from airflow_provider_pictory.waiting.pace import Pace
from airflow_provider_pictory.waiting.poller import (
    LONGEST_FIRST_DELAY,
    LONGEST_LAST_POLL,
    MAXIMUM_IN_FLIGHT,
    TICK,
    JobPoller,
    shared_poller,
)
from tests.support.fast_time import run_fast

GET_JOB = "GET /pictoryapis/v1/jobs/{job_id}"
QUIET = logging.getLogger("quiet")


@pytest.fixture
def sandbox(monkeypatch):
    with PictorySandbox(render_seconds=3600) as sandbox:
        monkeypatch.setenv("AIRFLOW_CONN_PICTORY_DEFAULT", sandbox.connection_json)
        yield sandbox


def submit(count=1):
    hook = PictoryHook()
    return [hook.submit_video(VideoRequest(prompt="A paper boat on a lake")) for _ in range(count)]


def watch(job_id, *, timeout=60.0, poll_interval=0.05, log=QUIET):
    deadline = datetime.now(UTC) + timedelta(seconds=timeout)
    return JobWatch(job_id, deadline=deadline, poll_interval=poll_interval, log=log)


async def wait_for(job_id, **arguments):
    async with shared_poller("pictory_default") as poller:
        return await poller.ended(watch(job_id, **arguments))


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  (the server has no event of ours)
            await asyncio.sleep(0.01)


def looks(sandbox):
    return sandbox.counts()["requests"].get(GET_JOB, 0)


class SlowHook:
    """Responds after some time, and notes when it was asked for which job."""

    def __init__(self, seconds):
        self._seconds = seconds
        self.ended = set()
        self.asked = []
        self.in_flight = self.most_in_flight = 0

    async def aget_job(self, job_id):
        self.asked.append((asyncio.get_running_loop().time(), job_id))
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(self._seconds)
        finally:
            self.in_flight -= 1
        return VideoJob(job_id, JobStatus.CLEANED if job_id in self.ended else JobStatus.IN_PROGRESS)

    async def ais_job_list_polled(self):
        return False

    async def aclose(self):
        pass


def test_everybody_who_waits_hears_how_their_job_ended(sandbox):
    job_ids = submit(5)
    fates = [JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CLEANED, JobStatus.COMPLETED, JobStatus.FAILED]

    async def scenario():
        waits = [asyncio.create_task(wait_for(job_id)) for job_id in job_ids]
        await until(lambda: looks(sandbox) >= 10)
        for job_id, fate in zip(job_ids, fates, strict=True):
            sandbox.set_job(job_id, str(fate))
        return await asyncio.gather(*waits)

    jobs = asyncio.run(scenario())

    assert [(job.job_id, job.status) for job in jobs] == list(zip(job_ids, fates, strict=True))


def test_a_job_is_asked_about_once_however_many_wait_for_it():
    hook = SlowHook(0.01)

    async def scenario():
        poller = JobPoller(hook)
        waits = [
            asyncio.create_task(poller.ended(watch("job", timeout=600, poll_interval=2.0))) for _ in range(50)
        ]
        await asyncio.sleep(7.0)
        hook.ended.add("job")
        return await asyncio.gather(*waits)

    assert {job.status for job in run_fast(scenario())} == {JobStatus.CLEANED}
    assert len(hook.asked) == 5


def test_one_poller_serves_a_loop_and_ends_with_the_last_who_waits(sandbox):
    job_ids = submit(3)

    async def scenario():
        waits = [asyncio.create_task(wait_for(job_id)) for job_id in job_ids]
        await until(lambda: looks(sandbox) >= 6)
        pollers = poller_module._pollers[asyncio.get_running_loop()]
        assert list(pollers) == ["pictory_default"]
        poller = pollers["pictory_default"]
        session = poller._hook._async_client.transport.session
        for job_id in job_ids[:2]:
            sandbox.set_job(job_id, "completed")
        await asyncio.gather(*waits[:2])
        assert not session.closed
        sandbox.set_job(job_ids[2], "completed")
        await waits[2]
        assert session.closed
        assert not pollers

    asyncio.run(scenario())


def test_a_cancelled_wait_leaves_the_others_alone(sandbox):
    first, second = submit(2)

    async def scenario():
        waits = [asyncio.create_task(wait_for(job_id)) for job_id in (first, second, second)]
        await until(lambda: looks(sandbox) >= 4)
        waits[0].cancel()
        waits[1].cancel()
        await asyncio.gather(*waits[:2], return_exceptions=True)
        sandbox.set_job(second, "completed")
        return await waits[2]

    assert asyncio.run(scenario()).status is JobStatus.COMPLETED


@pytest.mark.parametrize("pause", [0.0, 0.001, 0.005, 0.02, 0.1, 0.3])
def test_a_cancellation_at_any_point_leaves_nothing_open(sandbox, pause, recwarn):
    job_ids = submit(4)

    async def scenario():
        waits = [asyncio.create_task(wait_for(job_id)) for job_id in job_ids]
        await asyncio.sleep(pause)
        for wait in waits:
            wait.cancel()
        outcomes = await asyncio.gather(*waits, return_exceptions=True)
        assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
        assert not poller_module._pollers.get(asyncio.get_running_loop())
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        await asyncio.gather(*others, return_exceptions=True)

    asyncio.run(scenario())

    assert not [warning for warning in recwarn if issubclass(warning.category, ResourceWarning)]


def test_a_wait_that_comes_back_does_not_double_the_polls():
    hook = SlowHook(0.01)

    async def scenario():
        poller = JobPoller(hook)

        def start():
            return asyncio.create_task(poller.ended(watch("job", timeout=600, poll_interval=5.0)))

        for _ in range(5):
            wait = start()
            await asyncio.sleep(1.0)
            wait.cancel()
            await asyncio.gather(wait, return_exceptions=True)
        before = len(hook.asked)
        wait = start()
        await asyncio.sleep(18.0)
        hook.ended.add("job")
        await wait
        return len(hook.asked) - before

    assert run_fast(scenario()) <= 6


def test_the_deadline_of_each_wait_is_its_own(sandbox):
    [job_id] = submit()

    async def scenario():
        short = asyncio.create_task(wait_for(job_id, timeout=0.3))
        long = asyncio.create_task(wait_for(job_id, timeout=60))
        with pytest.raises(PictoryJobTimedOutError, match=job_id):
            await short
        assert not long.done()
        sandbox.set_job(job_id, "completed")
        return await long

    assert asyncio.run(scenario()).status is JobStatus.COMPLETED


def test_log_lines_go_where_the_waiting_tasks_lines_go(sandbox):
    job_ids = submit(3)
    task_name = contextvars.ContextVar("task_name")
    lines = []

    class Log:
        def info(self, message, *arguments):
            lines.append((task_name.get(), arguments))

        warning = info

    async def wait(name, job_id):
        task_name.set(name)
        return await wait_for(job_id, log=Log())

    async def scenario():
        waits = [asyncio.create_task(wait(job_id, job_id)) for job_id in job_ids]
        await until(lambda: looks(sandbox) >= 6)
        for job_id in job_ids:
            sandbox.set_job(job_id, "pondering")
        await until(lambda: len(lines) >= 3)
        for job_id in job_ids:
            sandbox.set_job(job_id, "completed")
        await asyncio.gather(*waits)

    asyncio.run(scenario())

    assert len(lines) == 3
    assert all(name in arguments for name, arguments in lines)


def test_a_refused_key_ends_all_waits_after_one_more_look_at_the_connection(monkeypatch, sandbox):
    job_ids = submit(10)
    monkeypatch.setenv("AIRFLOW_CONN_PICTORY_DEFAULT", sandbox.connection_json.replace("pictai_", "wrong_"))

    async def scenario():
        return await asyncio.gather(*map(wait_for, job_ids), return_exceptions=True)

    outcomes = asyncio.run(scenario())

    assert {type(outcome) for outcome in outcomes} == {PictoryAuthenticationError}
    assert looks(sandbox) == 10


def test_a_rotated_key_is_picked_up_by_all_waits(monkeypatch):
    with PictorySandbox(render_seconds=3600, api_key="pictai_old") as old:
        monkeypatch.setenv("AIRFLOW_CONN_PICTORY_DEFAULT", old.connection_json)
        job_ids = submit(20)
        wrong = old.connection_json.replace("pictai_old", "pictai_outdated")
        monkeypatch.setenv("AIRFLOW_CONN_PICTORY_DEFAULT", wrong)

        async def scenario():
            async with shared_poller("pictory_default") as poller:
                await poller._hook._async_client._open()
                monkeypatch.setenv("AIRFLOW_CONN_PICTORY_DEFAULT", old.connection_json)
                waits = [asyncio.create_task(wait_for(job_id)) for job_id in job_ids]
                await until(lambda: looks(old) >= 60)
                for job_id in job_ids:
                    old.set_job(job_id, "completed")
                return await asyncio.gather(*waits)

        jobs = asyncio.run(scenario())

    assert {job.status for job in jobs} == {JobStatus.COMPLETED}


def test_an_unexpected_error_reaches_all_who_wait_for_the_job():
    class BrokenHook(SlowHook):
        async def aget_job(self, job_id):
            raise RuntimeError("the supervisor is gone")

    async def scenario():
        poller = JobPoller(BrokenHook(0.0))
        waits = [poller.ended(watch(job_id)) for job_id in ("one", "other") * 2]
        return await asyncio.gather(*waits, return_exceptions=True)

    assert [str(outcome) for outcome in run_fast(scenario())] == ["the supervisor is gone"] * 4


def test_who_joins_while_others_leave_is_looked_after(sandbox):
    """The last waiter has heard of the end, but not left yet."""
    [job_id] = submit()
    sandbox.set_job(job_id, "completed")

    async def scenario():
        async with shared_poller("pictory_default") as poller:
            first = asyncio.create_task(poller.ended(watch(job_id)))
            await until(lambda: (poller._waits and poller._waits[job_id][0].ended.done()) or first.done())
            second = asyncio.create_task(poller.ended(watch(job_id)))
            async with asyncio.timeout(5):
                return await asyncio.gather(first, second)

    for _ in range(20):
        assert {job.status for job in asyncio.run(scenario())} == {JobStatus.COMPLETED}


def test_who_joins_right_when_the_end_is_known_is_looked_after(sandbox):
    [job_id] = submit()
    sandbox.set_job(job_id, "completed")

    async def scenario():
        async with shared_poller("pictory_default") as poller:
            newcomers = []
            first = asyncio.create_task(poller.ended(watch(job_id)))
            await asyncio.sleep(0)
            poller._waits[job_id][0].ended.add_done_callback(
                lambda _: newcomers.append(asyncio.create_task(poller.ended(watch(job_id))))
            )
            await first
            async with asyncio.timeout(5):
                return await newcomers[0]

    assert asyncio.run(scenario()).status is JobStatus.COMPLETED


def test_a_poll_that_hangs_keeps_nobody_past_the_deadline():
    async def scenario():
        poller = JobPoller(SlowHook(3600.0))
        with pytest.raises(PictoryJobTimedOutError, match="job-0"):
            await poller.ended(watch("job-0", timeout=10.0))
        ended_at = asyncio.get_running_loop().time()
        await poller.aclose()
        return ended_at

    assert run_fast(scenario()) == pytest.approx(10.0 + LONGEST_LAST_POLL, abs=1.0)


def test_a_log_that_fails_is_nobody_elses_trouble(sandbox):
    [job_id] = submit()
    sandbox.set_job(job_id, "pondering")

    class BrokenLog:
        def warning(self, message, *arguments):
            raise OSError("the disk is full")

        info = warning

    async def scenario():
        waits = [
            asyncio.create_task(wait_for(job_id, log=BrokenLog())),
            asyncio.create_task(wait_for(job_id)),
        ]
        with pytest.raises(OSError, match="the disk is full"):
            await waits[0]
        sandbox.set_job(job_id, "completed")
        return await waits[1]

    assert asyncio.run(scenario()).status is JobStatus.COMPLETED


def test_a_page_of_megabytes_is_not_read_to_its_end(sandbox):
    [job_id] = submit()
    sandbox.respond_next("/v1/jobs", status=500, body="x" * (3 * 1024 * 1024))

    async def scenario():
        async with PictoryHook() as hook:
            await hook.aget_job(job_id)

    with pytest.raises(PictoryAPIError, match="larger than 1,048,576 bytes"):
        asyncio.run(scenario())


def test_first_polls_of_many_jobs_are_spread():
    hook = SlowHook(0.0)

    look_for(LONGEST_FIRST_DELAY + 1, hook, jobs=1000, poll_interval=100.0)

    moments = [moment for moment, _ in hook.asked]
    assert len(moments) == 1000
    assert moments[0] == 0
    assert max(moments) <= LONGEST_FIRST_DELAY + TICK
    assert sum(moment < 1 for moment in moments) < 250


def look_for(seconds, hook, *, jobs, poll_interval, prepare=lambda poller: None):
    """Let so many jobs be waited for in vain, and give how many timers the poller set."""

    async def scenario():
        loop = asyncio.get_running_loop()
        poller = JobPoller(hook)
        prepare(poller)
        waits = [
            asyncio.create_task(
                poller.ended(watch(f"job-{number}", timeout=600, poll_interval=poll_interval))
            )
            for number in range(jobs)
        ]
        before = loop.timers
        await asyncio.sleep(seconds)
        # Of the hook, of each wait's own deadline, and of the line above.
        others = len(hook.asked) + jobs + 1
        timers = loop.timers - before - others
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
        await poller.aclose()
        return timers

    return run_fast(scenario())


class TestTicks:
    def test_looks_begin_together_but_never_early_and_little_late(self):
        hook = SlowHook(0.01)

        look_for(20.0, hook, jobs=200, poll_interval=2.0)

        looks_of = {}
        for moment, job_id in hook.asked:
            looks_of.setdefault(job_id, []).append(moment)
        assert len(looks_of) == 200
        pauses = [
            later - earlier for moments in looks_of.values() for earlier, later in itertools.pairwise(moments)
        ]
        assert len(pauses) >= 200 * 7
        assert min(pauses) >= 2.0
        assert max(pauses) <= 2.0 + 0.01 + TICK + 1e-6
        # All but the very first, which is not to be waited for.
        assert all(round(moment / TICK, 3).is_integer() for moment, _ in hook.asked)

    def test_the_first_poll_at_a_job_comes_at_once(self):
        hook = SlowHook(0.0)

        def between_two_ticks(poller):
            poller._loop.now += TICK / 3

        look_for(0.001, hook, jobs=1, poll_interval=2.0, prepare=between_two_ticks)

        assert hook.asked == [(pytest.approx(TICK / 3), "job-0")]

    def test_a_pause_for_all_is_kept_to_exactly(self):
        hook = SlowHook(0.0)

        def pause(poller):
            poller._pace.ready_at = 7.0123

        look_for(7.1, hook, jobs=3, poll_interval=60.0, prepare=pause)

        assert [moment for moment, _ in hook.asked] == [pytest.approx(7.0123)] * 3

    def test_an_earlier_look_is_not_missed_for_a_later_one(self):
        hook = SlowHook(0.0)

        async def scenario():
            poller = JobPoller(hook)
            late = asyncio.create_task(poller.ended(watch("late", timeout=600, poll_interval=100.0)))
            await asyncio.sleep(1.0)
            early = asyncio.create_task(poller.ended(watch("early", timeout=600, poll_interval=1.0)))
            await asyncio.sleep(9.5)
            for wait in (late, early):
                wait.cancel()
            await asyncio.gather(late, early, return_exceptions=True)
            await poller.aclose()

        run_fast(scenario())

        assert [job_id for _, job_id in hook.asked].count("early") == 10

    def test_timers_are_few_whatever_the_number_of_jobs(self):
        few, many = SlowHook(0.01), SlowHook(0.01)

        look_for(20.0, few, jobs=100, poll_interval=2.0)
        timers = look_for(20.0, many, jobs=500, poll_interval=2.0)

        assert len(many.asked) > 4 * len(few.asked)
        assert timers <= 20.0 / TICK + 10

    def test_the_number_of_requests_in_flight_is_bounded_and_nobody_is_left_out(self):
        hook = SlowHook(0.5)

        look_for(60.0, hook, jobs=500, poll_interval=10.0)

        assert hook.most_in_flight == MAXIMUM_IN_FLIGHT
        assert len({job_id for _, job_id in hook.asked}) == 500
        assert len(hook.asked) >= 500 * 4


def test_a_429_pauses_the_polls_of_all_jobs_for_as_long_as_pictory_says():
    class LimitedHook(SlowHook):
        async def aget_job(self, job_id):
            job = await super().aget_job(job_id)
            if job_id == "job-0" and len(self.asked) == 3:
                raise PictoryRateLimitedError("Too many requests", status_code=429, retry_after=7.0)
            return job

    hook = LimitedHook(0.01)

    look_for(9.0, hook, jobs=3, poll_interval=2.0)

    moments = [moment for moment, _ in hook.asked]
    assert moments[:3] == [0.0] * 3
    assert min(moments[3:]) >= 7.01


class TestPace:
    def test_there_is_no_limit_before_a_429(self):
        pace = Pace()
        for moment in range(100):
            pace.sent(moment / 1000)
            pace.responded()
        assert pace.ready_at <= 0.1

    def test_a_429_pauses_for_as_long_as_pictory_says(self):
        pace = Pace()
        pace.sent(10.0)
        pace.limited(10.1, 10.0, 7.0)
        assert pace.ready_at == pytest.approx(17.1)

    def test_a_pause_is_bounded(self):
        pace = Pace()
        pace.limited(0.0, 0.0, 10**9)
        assert pace.ready_at == 300.0

    def test_without_a_word_from_pictory_pauses_grow(self):
        pace, pauses = Pace(), []
        for moment in (0.0, 100.0, 200.0, 300.0):
            pace.limited(moment, moment, None)
            pauses.append(pace.ready_at - moment)
        assert all(later > 1.2 * earlier for earlier, later in itertools.pairwise(pauses))

    def test_429s_of_requests_sent_before_the_pause_say_nothing_new(self):
        pace = Pace()
        for moment in range(10):
            pace.sent(moment / 10)
        pace.limited(1.0, 0.1, 1.0)
        distance = pace._distance
        for moment in range(2, 10):
            pace.limited(1.01, moment / 10, 1.0)
        assert pace._distance == distance

    def test_it_settles_below_a_budget_and_wastes_little(self):
        """A window of 20 requests a second; the demand is five times that."""
        pace, now, permitted, limited = Pace(), 0.0, 0, 0
        window, used = 0, 0
        while now < 300:
            now = max(now + 0.01, pace.ready_at)
            if int(now) != window:
                window, used = int(now), 0
            pace.sent(now)
            used += 1
            if used > 20:
                limited += 1
                pace.limited(now, now, 1.0)
            else:
                permitted += 1
                pace.responded()
        assert limited <= 0.1 * permitted
        assert permitted >= 0.6 * 20 * 300
