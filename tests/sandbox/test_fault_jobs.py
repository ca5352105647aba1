"""Jobs that don't go as they should, lists that are old, and the jobs of other clients between one's own."""

from __future__ import annotations

import json

import pytest
import requests

from airflow_provider_pictory.sandbox.faults import read_faults
from airflow_provider_pictory.sandbox.faults.injector import FaultInjector
from airflow_provider_pictory.sandbox.faults.other_clients import OtherClients
from airflow_provider_pictory.sandbox.service import Clock, Service


def listed(client):
    return [item["data"]["jobId"] for item in client.jobs().json()["items"]]


def prompts(client):
    return [item["prompt"] for item in client.videos().json()["items"]]


class TestFates:
    def test_a_job_fails_at_its_end_and_gets_its_credits_back_then(self, faulty):
        sandbox, client = faulty("job-fails:error-code=7,error-message=NO", render_seconds=20)
        job_id = client.submitted()
        assert client.data(job_id) == {"status": "in-progress"}
        assert client.ai_credits()["used"] == 8
        assert sandbox.jobs()[0]["outcome"] == "failed"

        sandbox.advance(20)

        response = client.job(job_id)
        assert (response.status_code, response.json()["success"]) == (200, False)
        assert response.json()["data"] == {"status": "failed", "error_code": "7", "error_message": "NO"}
        assert client.ai_credits()["used"] == 0
        assert [line["type"] for line in client.get("/v1/aicredits/usage").json()] == ["debit", "credit"]
        (job,) = sandbox.jobs()
        assert (job["status"], job["outcome"], job["credits_taken"]) == ("failed", "failed", 0)
        assert (job["error_code"], job["error_message"]) == ("7", "NO")

    def test_a_job_fails_for_want_of_credits(self, faulty):
        _, client = faulty("job-out-of-credits")

        assert client.data(client.submitted()) == {
            "status": "failed",
            "error_code": "INSUFFICIENT_CREDITS",
            "error_message": "The account has not enough AI credits.",
        }

    def test_the_outputs_of_a_job_go_some_time_after_its_end(self, faulty):
        sandbox, client = faulty("job-cleaned:seconds=60", render_seconds=20)
        job_id = client.submitted()
        sandbox.advance(20)
        url = client.data(job_id)["url"]
        assert requests.head(url, timeout=10).status_code == 200

        sandbox.advance(60)

        assert client.data(job_id) == {"status": "cleaned"}
        assert requests.head(url, timeout=5).status_code == 404
        assert client.videos().json()["items"] == []
        (job,) = sandbox.jobs()
        assert (job["status"], job["outcome"], job["cleaned"]) == (
            "cleaned",
            "completed",
            "2027-01-15T08:01:20.000Z",
        )

    def test_or_at_once(self, faulty):
        _, client = faulty("job-cleaned")

        assert client.data(client.submitted()) == {"status": "cleaned"}

    def test_a_status_that_nobody_documented_is_shown_for_a_while(self, faulty):
        sandbox, client = faulty("job-undocumented-status:job-status=warming-up,seconds=5", render_seconds=8)
        job_id = client.submitted()

        seen = []
        for _ in range(3):
            seen.append(client.data(job_id)["status"])
            sandbox.advance(4)

        assert seen == ["warming-up", "warming-up", "completed"]

    def test_count_rate_and_seed_say_how_many(self, faulty):
        def outcomes(seed):
            sandbox, client = faulty("job-fails:count=2", "job-cleaned:rate=0.3", seed=seed)
            for _ in range(20):
                client.submitted()
            return [job["status"] for job in sandbox.jobs()], sandbox.counts()["faults"]

        statuses, counts = outcomes(1)

        assert statuses[:2] == ["failed", "failed"]
        assert statuses.count("failed") == counts["job-fails"] == 2
        assert 0 < statuses.count("cleaned") == counts["job-cleaned"] < 18
        assert outcomes(1) == (statuses, counts)
        assert outcomes(2)[0] != statuses

    def test_what_was_decided_stays_when_the_fault_is_gone(self, faulty):
        sandbox, client = faulty("job-fails", render_seconds=20)
        job_id = client.submitted()
        sandbox.clear_faults()
        sandbox.advance(20)

        assert client.data(job_id)["status"] == "failed"
        sandbox.set_job(job_id, "completed")
        assert client.data(job_id)["status"] == "completed"
        assert client.ai_credits()["used"] == 8

    def test_one_that_was_told_to_succeed_meanwhile_keeps_its_credits(self, faulty):
        sandbox, client = faulty("job-fails", render_seconds=20)
        sandbox.set_job(client.submitted(), "completed")
        sandbox.advance(20)

        assert client.ai_credits()["used"] == 8


class TestAppearance:
    def test_a_job_is_unknown_for_its_first_seconds_but_listed(self, faulty):
        sandbox, client = faulty("job-unknown-at-first:seconds=5")
        job_id = client.submitted()

        response = client.job(job_id)

        assert response.status_code == 404
        assert response.json()["data"] == {"error_code": "5000", "error_message": "JOB_NOT_FOUND"}
        assert listed(client) == [job_id]
        sandbox.advance(5)
        assert client.data(job_id)["status"] == "completed"

    def test_a_job_that_appears_late_is_nowhere_until_then(self, faulty):
        sandbox, client = faulty("job-appears-late:seconds=5,count=1", render_seconds=20)
        late, other = client.submitted(prompt="The late one"), client.submitted()

        assert client.job(late).status_code == client.clean(late).status_code == 404
        assert listed(client) == [other]
        assert client.ai_credits()["used"] == 8
        assert [job["job_id"] for job in sandbox.jobs()] == [other]
        assert sandbox.counts()["jobs_created"] == 1
        with pytest.raises(LookupError):
            sandbox.set_job(late, "failed")

        sandbox.advance(5)
        assert client.data(late) == {"status": "in-progress"}
        assert listed(client) == [late, other]
        assert client.ai_credits()["used"] == 16
        sandbox.advance(19)
        assert prompts(client) == ["A red fox walks through fresh snow at dawn"]
        sandbox.advance(1)
        assert prompts(client)[0] == "The late one"

    def test_it_appears_though_its_submission_got_no_response(self, faulty):
        sandbox, client = faulty("job-appears-late:seconds=5", "drop-after-processing:method=POST")
        with pytest.raises(requests.ConnectionError):
            client.submit(prompt="The lost one")
        assert prompts(client) == []

        sandbox.advance(5)

        assert prompts(client) == ["The lost one"]

    def test_credits_promised_to_a_late_job_can_t_be_spent_twice(self, faulty):
        sandbox, client = faulty("job-appears-late:seconds=5", credits=20)

        assert [client.submit().status_code for _ in range(3)] == [200, 200, 402]
        sandbox.advance(5)
        assert client.ai_credits()["used"] == 16
        assert client.submit().status_code == 402

    def test_but_those_left_can_be(self, faulty):
        sandbox, client = faulty("job-appears-late:seconds=5,count=1", credits=20)
        client.submitted()
        sandbox.advance(5)

        assert client.submit().status_code == 200

    def test_a_late_job_can_fail_too(self, faulty):
        sandbox, client = faulty("job-appears-late:seconds=5", "job-fails")
        job_id = client.submitted()
        sandbox.advance(5)

        assert client.data(job_id)["status"] == "failed"
        assert client.ai_credits()["used"] == 0
        assert [line["type"] for line in client.get("/v1/aicredits/usage").json()] == ["debit", "credit"]


class TestLooks:
    def test_each_question_for_a_job_is_counted_whatever_the_response(self, faulty):
        sandbox, client = faulty("server-error:path=/v1/jobs,count=1", "rate-limit:path=/v1/jobs,budget=3")
        job_id = client.submitted()
        assert (sandbox.jobs()[0]["polls"], sandbox.jobs()[0]["first_poll"]) == (0, None)

        statuses = []
        for _ in range(4):
            sandbox.advance(0.25)
            statuses.append(client.job(job_id).status_code)

        assert statuses == [500, 200, 200, 429]
        (job,) = sandbox.jobs()
        assert job["polls"] == 4
        assert job["first_poll"] == "2027-01-15T08:00:00.250Z"
        assert job["last_poll"] == "2027-01-15T08:00:01.000Z"

    def test_lists_and_unknown_jobs_are_no_looks(self, faulty):
        sandbox, client = faulty()
        job_id = client.submitted()
        client.jobs()
        client.job("nobody")
        client.clean(job_id)

        assert sandbox.jobs()[0]["polls"] == 0


class TestLaggingLists:
    def test_they_show_how_it_was_some_seconds_ago(self, faulty):
        sandbox, client = faulty("lagging-lists:seconds=5", render_seconds=20)
        job_id = client.submitted()
        seen = []
        for _ in range(27):
            items = client.jobs().json()["items"]
            assert [item["data"]["jobId"] for item in items] in ([], [job_id])
            shown = [item["data"]["status"] for item in items] + prompts(client)
            seen.append((client.data(job_id)["status"], shown))
            sandbox.advance(1)

        prompt = "A red fox walks through fresh snow at dawn"
        assert seen == (
            [("in-progress", [])] * 5
            + [("in-progress", ["in-progress"])] * 15
            + [("completed", ["in-progress"])] * 5
            + [("completed", ["completed", prompt])] * 2
        )

    def test_a_video_that_is_gone_is_still_listed_for_a_while(self, faulty):
        sandbox, client = faulty("lagging-lists:seconds=5")
        job_id = client.submitted()
        sandbox.advance(10)
        client.clean(job_id)

        assert len(prompts(client)) == 1
        sandbox.advance(5)
        assert prompts(client) == []

    def test_one_list_can_lag_alone(self, faulty):
        _, client = faulty("lagging-lists:path=/v1/aistudio")
        client.submitted()

        assert (len(listed(client)), prompts(client)) == (1, [])

    def test_pages_of_it_fit_together(self, faulty):
        sandbox, client = faulty("lagging-lists:seconds=5")
        for _ in range(25):
            client.submitted()
        sandbox.advance(5)
        client.submitted()

        first = client.jobs().json()
        second = client.jobs(nextPageKey=first["nextPageKey"]).json()

        assert (len(first["items"]), len(second["items"])) == (20, 5)


class TestForeignJobs:
    def test_each_submission_brings_another_client_s_with_the_same_prompt(self, faulty):
        sandbox, client = faulty("foreign-jobs:seconds=3", render_seconds=20)
        job_id = client.submitted(model="veo3.1", duration="6s", prompt="A blue fox", webhook="http://x/")

        assert len(listed(client)) == 2
        foreign, own = sandbox.jobs()
        assert (foreign["is_foreign"], own["is_foreign"], own["job_id"]) == (True, False, job_id)
        assert foreign["prompt"] == own["prompt"] == "A blue fox"
        sandbox.advance(3)
        (item,) = client.videos().json()["items"]
        assert (item["prompt"], item["model"], item["duration"]) == ("A blue fox", "veo3.1", "6s")
        counts = sandbox.counts()
        assert (counts["jobs_created"], counts["jobs_of_others"]) == (1, 1)
        assert (counts["credits_used"], counts["credits_used_by_others"]) == (240, 120)
        assert client.ai_credits()["used"] == 240

    def test_it_is_there_though_one_s_own_never_was(self, faulty):
        sandbox, client = faulty("foreign-jobs", "drop-before-processing:method=POST")

        with pytest.raises(requests.ConnectionError):
            client.submit(prompt="A blue fox")

        assert prompts(client) == ["A blue fox"]
        assert sandbox.counts()["jobs_created"] == 0

    def test_prompts_can_be_others(self, faulty):
        _, client = faulty("foreign-jobs:same-prompt=no,count=2")
        for _ in range(3):
            client.submitted(prompt="A blue fox")

        found = prompts(client)

        assert len(found) == 5
        assert found.count("A blue fox") == 3

    def test_they_come_in_the_course_of_time(self, faulty):
        sandbox, client = faulty("foreign-jobs:per-second=0.5,after=10,until=20,same-prompt=no")
        lengths = []
        for _ in range(25):
            lengths.append(len(listed(client)))
            sandbox.advance(1)

        assert lengths == [0] * 12 + [1, 1, 2, 2, 3, 3, 4, 4] + [5] * 5
        assert sandbox.counts()["faults"] == {"foreign-jobs": 5}

    def test_of_the_past_they_have_the_right_times_and_the_newest_only(self):
        clock = Clock(lambda: 1_800_000_000.0)
        service = Service(render_seconds=1, credit_limit=10**9, clock=clock)
        other_clients = OtherClients(
            service, FaultInjector(clock, read_faults(["foreign-jobs:per-second=1"]), 1)
        )
        clock.advance(10**6)

        other_clients.catch_up()
        assert len(service.jobs) == 1000
        assert service.jobs[0].created_at == 1_800_000_000 + 10**6 - 999
        clock.advance(500)
        other_clients.catch_up()

        assert len(service.jobs) == 1000
        assert service.jobs[-1].created_at == clock.now()
        assert service.credits_used == 1500 * 8

    def test_without_credits_or_a_good_submission_they_don_t_come(self, faulty):
        sandbox, client = faulty("foreign-jobs", credits=9)
        assert client.submit(prompt="").status_code == 400
        assert sandbox.jobs() == []
        assert client.submit().status_code == 402

        assert [job["is_foreign"] for job in sandbox.jobs()] == [True]
        assert json.dumps(sandbox.jobs())
