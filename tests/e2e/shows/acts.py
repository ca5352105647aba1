"""The shows: what each does on its Airflow, and what it must find."""

from __future__ import annotations

import json
import os
import re
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.chaos.reports import RunReport, say
from tests.e2e.shows.front import (
    STORES,
    ApiServerFront,
    ServiceFront,
    no_route,
    not_found,
    not_found_as_json,
    page,
    something_else,
)
from tests.e2e.shows.stage import Findings, Stage, run_quietly, tally
from tests.support.pictory_words import POST, count

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

ROOT = Path(__file__).parents[3]
FOR_EVER = 10**6
MINUTE = 60.0
CREDITS_OF_ONE = "8"


@dataclass
class Options:
    """
    What a show is given.

    :param python: of the environment whose Airflow runs.
    :param report: keeps what is said.
    :param findings: takes what is found.
    :param count: how many submissions, where somebody has said so.
    """

    python: str
    report: RunReport
    findings: Findings
    count: int | None

    def stage(self, **arguments: Any) -> Stage:
        """Return a stage on that Airflow."""
        return Stage(self.python, self.report, **arguments)


@dataclass
class Show:
    """One show, known by its name."""

    name: str
    version: str
    limit: int
    act: Callable[[Options], None]

    @property
    def __doc__(self) -> str:  # type: ignore[override]
        return " ".join((self.act.__doc__ or "").split())


SHOWS: dict[str, Show] = {}


def show(*names: str, version: str, limit: int) -> Callable[[Callable[[Options], None]], Any]:
    """
    Put a function among the shows.

    :param version: of Airflow, that it is about; ``"own"`` for that of the process.
    :param limit: seconds after which it has failed.
    """

    def put(act: Callable[[Options], None]) -> Callable[[Options], None]:
        for name in names:
            SHOWS[name] = Show(name, version, limit, act)
        return act

    return put


def clear_in_mid_job(options: Options, *, is_tidied: bool) -> None:
    """Clear tasks while their jobs run, and see what is paid."""
    with options.stage(sandbox={"render_seconds": FOR_EVER}) as stage:
        modes = {"deferred": "deferred", "worker": "running"}
        runs = {mode: f"clear-{mode}" for mode in modes}
        for mode, run_id in runs.items():
            stage.airflow.trigger(f"shows_{mode}", {"prompt": f"A boat, awaited {mode}"}, run_id)
        for mode, run_id in runs.items():
            state = stage.wait_for_task(run_id, "generate", {modes[mode]}, 90)
            stage.airflow.wait_for(
                "the submission", lambda mode=mode: stage.paid(f"A boat, awaited {mode}"), bool, 60
            )
            say(f"{mode}: the task is {state}, its job is under way")
        # What is noted after the response shall be noted, and Airflow has to know that a worker is done.
        time.sleep(5)
        say(f"Variables of ours: {len(stage.variables())}")
        if is_tidied:
            say(f"deleted {stage.delete_variables()} Variables")
        for mode, run_id in runs.items():
            stage.airflow.clear(f"shows_{mode}", run_id, ["generate"], only_failed=False)
        for mode, run_id in runs.items():
            stage.wait_for_task(run_id, "generate", {modes[mode], "failed", "success"}, 120, try_number=2)
        time.sleep(10)
        stage.pictory.advance(FOR_EVER)
        states = stage.wait_for_end(runs.values(), 120)
        for mode, run_id in runs.items():
            paid = len(stage.paid(f"A boat, awaited {mode}"))
            options.findings.expect(paid == 1, f"{mode}: cleared in mid-job, paid {paid} times (must be 1)")
            options.findings.expect(
                states[run_id] == "success",
                f"{mode}: the run is {states[run_id]} after the clear {stage.last_error(run_id)}",
            )


@show("M1", version="3.4", limit=480)
def _clear(options: Options) -> None:
    """Clear a task while its job runs: goes on with the job, also where a clear deletes task state."""
    clear_in_mid_job(options, is_tidied=False)


@show("M1-variables", version="3.4", limit=480)
def _clear_and_tidy(options: Options) -> None:
    """Delete all Variables of ours in mid-job, then clear: goes on with the job (also: --python of 3.3)."""
    clear_in_mid_job(options, is_tidied=True)


REVIEW_LOOP = ROOT / "example_dags/example_pictory_review_loop.py"


@show("loop", version="3.4", limit=600)
def _review_loop(options: Options) -> None:
    """Ask for another video twice and approve the third: each iteration of the loop pays for its own."""
    with options.stage(sandbox={"render_seconds": 3}, dag_files=[REVIEW_LOOP]) as stage:
        airflow, dag_id = stage.airflow, REVIEW_LOOP.stem
        run_id = airflow.trigger(dag_id, {"prompt": "A lighthouse"}, "loop")
        path, responded = f"/dags/{dag_id}/dagRuns/{run_id}", set()
        for option, change in (
            ("Generate it again", "At night"),
            ("Generate it again", "Snow"),
            ("Approve", ""),
        ):
            questions = airflow.wait_for(
                "the next question",
                lambda: [
                    it
                    for it in airflow.request("GET", f"{path}/hitlDetails")["hitl_details"]
                    if it["task_instance"]["id"] not in responded
                    and it["task_instance"]["state"] == "awaiting_input"
                ],
                bool,
                180,
            )
            (question,) = questions
            instance = question["task_instance"]
            responded.add(instance["id"])
            of_iteration = "&".join(
                f"{name}={instance[name]}" for name in ("region_id", "region_index") if name in instance
            )
            airflow.request(
                "PATCH",
                f"{path}/taskInstances/video.review/-1/hitlDetails?{of_iteration}",
                {"chosen_options": [option], "params_input": {"change": change}},
            )
        state = stage.wait_for_end([run_id], 240)[run_id]
        jobs = stage.pictory.jobs()
        prompts = [job["prompt"] for job in jobs]
        saved = [path.stem for path in airflow.home.rglob("*.mp4")]
        options.findings.expect(state == "success", f"the run is {state} {stage.last_error(run_id)}")
        options.findings.expect(
            prompts == ["A lighthouse", "A lighthouse At night", "A lighthouse Snow"],
            f"each iteration has paid for one video, of what was asked for: {prompts}",
        )
        options.findings.expect(
            saved == [jobs[-1]["job_id"]], f"the approved video is published: {len(saved)} saved"
        )


@show("M6", version="3.0", limit=400)
def _decorated(options: Options) -> None:
    """Run @task.pictory_video in all its ways to wait, mapped, on Airflow 3.0."""
    dag_file = Path(__file__).parent / "dags/shows_decorated.py"
    with options.stage(sandbox={"render_seconds": 5}, dag_files=[dag_file]) as stage:
        run_id = stage.airflow.trigger("shows_decorated", run_id="decorated")
        stage.wait_for_end([run_id], 200)
        for mode in ("submit", "worker", "deferred"):
            states = [task.state for task in stage.tasks(run_id, mode)]
            returned = {stage.xcom(run_id, mode, index) for index in range(2)}
            paid = {job["job_id"] for job in stage.pictory.jobs() if job["prompt"].endswith(mode)}
            options.findings.expect(
                states == ["success"] * 2, f"{mode}: {tally(states)} {stage.last_error(run_id, mode)}"
            )
            options.findings.expect(
                len(paid) == 2 and returned == paid,
                f"{mode}: {len(paid)} paid for, {len(returned & paid)} returned",
            )


@show("M13", version="3.0", limit=400)
def _resubmit(options: Options) -> None:
    """Let a deferred job fail with resubmit_failed: the retry submits another one and ends well."""
    sandbox = {"render_seconds": 6, "faults": ["job-fails:count=1"]}
    with options.stage(sandbox=sandbox) as stage:
        run_id = stage.airflow.trigger("shows_resubmit", {"prompt": "A boat that fails at first"}, "resubmit")
        state = stage.wait_for_end([run_id], 200)[run_id]
        jobs = [job["outcome"] for job in stage.pictory.jobs()]
        options.findings.expect(state == "success", f"the run is {state} {stage.last_error(run_id)}")
        options.findings.expect(
            jobs == ["failed", "completed"], f"jobs: {jobs} (must be one failed, one completed)"
        )
        (task,) = stage.tasks(run_id)
        options.findings.expect(task.try_number == 2, f"there were {task.try_number} tries (must be 2)")


@show("W1", version="own", limit=420)
def _limits(options: Options) -> None:
    """Wait with an execution_timeout of 30 s and a timeout of 1 h, in all ways: ends soon after 30 s."""
    tasks = ("operator", "operator_on_worker", "sensor", "sensor_from_worker", "sensor_on_worker")
    with options.stage(sandbox={"render_seconds": FOR_EVER}) as stage:
        run_id = stage.airflow.trigger("shows_limits", {"prompt": "A boat that takes long"}, "limits")
        stage.wait_for_end([run_id], 180)
        for task_id in tasks:
            (task,) = stage.tasks(run_id, task_id)
            began = _moment(task.start_date)
            seconds = ((_moment(task.end_date) or datetime.now(UTC)) - began).total_seconds() if began else -1
            options.findings.expect(
                task.state == "failed" and 25 <= seconds <= 80,
                f"{task_id}: {task.state} after {seconds:.0f} s {stage.last_error(run_id, task_id)}",
            )


@show("P1", version="own", limit=480)
def _without_logical_date(options: Options) -> None:
    """Start README's first DAG from the CLI and over REST, and the nightly batch, without a logical date."""
    with options.stage(sandbox={"render_seconds": 3}) as stage:
        videos = stage.airflow.home / "videos"
        blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
        first = next(block for block in blocks if "with DAG(" in block)
        dag_id = re.search(r"DAG\(\s*(?:dag_id=)?\"(\w+)\"", first).group(1)
        text = re.sub(r'path="/tmp/', f'path="{videos}/', first)
        (stage.airflow.dags_folder / "readme.py").write_text(text)
        for name in ("example_pictory_nightly_batch.py", "products.csv"):
            source = ROOT / "example_dags" / name
            (stage.airflow.dags_folder / name).write_text(source.read_text())
        stage.airflow.command("pools", "set", "pictory", "4", "for submissions")
        stage.airflow.restart("dag-processor")
        stage.airflow.trigger(dag_id, run_id="over-rest")
        stage.airflow.command("dags", "trigger", dag_id, "--run-id", "from-cli")
        batch = "example_pictory_nightly_batch"
        stage.airflow.trigger(batch, {"bucket": str(videos / "batch")}, "batch")
        products = len((ROOT / "example_dags/products.csv").read_text().splitlines()) - 1
        runs = {"over-rest": 1, "from-cli": 1, "batch": products}
        states = stage.wait_for_end(runs, 150)
        for run_id, wanted in runs.items():
            saves = "save" if run_id != "batch" else "clip.save"
            saved = [task.state for task in stage.tasks(run_id, saves)]
            options.findings.expect(
                states.get(run_id) == "success" and saved == ["success"] * wanted,
                f"{run_id}: the run is {states.get(run_id)}, saved: {tally(saved)} "
                f"{stage.last_error(run_id)} {stage.last_error(run_id, saves)}",
            )
        # The schedule has started runs of its own, which have a logical date.
        dag_runs = [dag_id for (dag_id,) in stage.airflow.query("SELECT dag_id FROM dag_run")]
        paid, wanted = len(stage.paid()), sum(products if it == batch else 1 for it in dag_runs)
        options.findings.expect(
            paid == wanted, f"{paid} videos paid for (must be {wanted}, with those of {len(dag_runs)} runs)"
        )


def lost_responses(options: Options, number: int, *, is_slow: bool = False) -> None:
    """Map over equal requests whose responses are all lost, in a busy account."""
    number = options.count or number
    faults = [
        f"drop-after-processing:count={number},method=POST,path=/v1/aistudio/videos",
        "foreign-jobs:per-second=0.1,same-prompt=no,seconds=20",
    ]
    if is_slow:
        faults.append("slow-response:seconds=2,method=GET,path=/v1")
    sandbox = {"render_seconds": 45 if is_slow else 15, "faults": faults}
    with options.stage(sandbox=sandbox, window=20, parallelism=10) as stage:
        prompt = "A lighthouse that many people want"
        started = time.monotonic()
        conf = {"prompts": [prompt] * number}
        run_id = stage.airflow.trigger("shows_submit_mapped", conf, "lost-responses")
        state = stage.wait_for_end([run_id], 240 + 20 * number)[run_id]
        tasks = stage.tasks(run_id)
        paid = stage.paid()
        returned = [
            stage.xcom(run_id, "generate", task.map_index) for task in tasks if task.state == "success"
        ]
        say(f"the run is {state} after {time.monotonic() - started:.0f} s")
        posts, dropped = count(stage.pictory, POST), stage.pictory.counts()["faults"]
        say(f"{posts} POSTs, faults {dropped}, Variables of ours {len(stage.variables())}")
        ends = tally(task.state for task in tasks)
        options.findings.expect(
            [task.state for task in tasks] == ["success"] * number,
            f"tasks: {ends} (must be {number} success) {stage.last_error(run_id)}",
        )
        options.findings.expect(len(paid) == number, f"{len(paid)} jobs paid (must be {number})")
        options.findings.expect(
            len(returned) == len(set(returned)) and set(returned) <= set(paid),
            f"{len(returned)} jobs returned, {len(set(returned))} different, "
            f"{len(set(returned) & set(paid))} of ours",
        )


@show("M9", version="own", limit=720)
def _lost_eight(options: Options) -> None:
    """Map over 8 identical requests whose responses are all lost: 8 paid, 8 delivered, each job once."""
    lost_responses(options, 8)


@show("M9-slow", version="own", limit=900)
def _lost_eight_slowly(options: Options) -> None:
    """Map over 8 identical requests whose responses are all lost, at a slow service."""
    lost_responses(options, 8, is_slow=True)


@show("M9-30", version="own", limit=1200)
def _lost_thirty(options: Options) -> None:
    """Map over 30 identical requests whose responses are all lost."""
    lost_responses(options, 30)


@show("M10", version="own", limit=900)
def _unreadable_record(options: Options) -> None:
    """Let a proxy give 404s, HTML and others' JSON when the second try reads its record: no second POST."""
    replies = {
        "404": (not_found, STORES),
        "404 as JSON": (not_found_as_json, STORES),
        "404 as JSON for task state": (not_found_as_json, STORES[:1]),
        "404 as JSON for Variables": (not_found_as_json, STORES[1:]),
        "404 of a gateway": (no_route, STORES),
        "200 with HTML": (page, STORES),
        "200 with other JSON": (something_else, STORES),
    }
    with ExitStack() as stack:
        front = stack.enter_context(ApiServerFront())
        url = f"{front.url}/execution/"
        environment = {"AIRFLOW__CORE__EXECUTION_API_SERVER_URL": url}
        stage = stack.enter_context(options.stage(environment=environment))
        front.target = stage.airflow.execution_url.removesuffix("/execution/")
        for number, (words, (reply, places)) in enumerate(replies.items()):
            prompt = f"A boat behind a proxy that says {words}"
            run_id = f"proxy-{number}"
            front.reply, front.replaced, front.places = None, Counter(), places
            stage.airflow.trigger("shows_stumble", {"prompt": prompt}, run_id)
            stage.wait_for_task(run_id, "generate", {"up_for_retry"}, 90)
            front.reply = reply
            # Until that try has ended, or has taken its time.
            state = stage.wait_for_task(
                run_id, "generate", {"up_for_retry", "failed", "success"}, 60, try_number=2
            )
            paid, replaced = len(stage.paid(prompt)), dict(front.replaced)
            front.reply = None
            options.findings.expect(
                paid == 1,
                f"{words}: paid {paid} times (must be 1), the second try is {state}; replaced {replaced}",
            )
            end = stage.wait_for_end([run_id], 120)[run_id]
            paid = len(stage.paid(prompt))
            options.findings.expect(
                end == "success" and paid == 1,
                f"{words}: later the run is {end}, paid {paid} times {stage.last_error(run_id)}",
            )


@show("M11", version="own", limit=600)
def _other_clock(options: Options) -> None:
    """Run the second try on clocks that are 130 s, 10 minutes and 26 hours ahead and behind: one job paid."""
    shifts = [sign * seconds for seconds in (130, 600, 26 * 3600) for sign in (1, -1)]
    with ExitStack() as stack:
        # Well within the default window, and long enough for second tries to have looked, were they hasty.
        front = stack.enter_context(ServiceFront("", held=1, seconds=75))
        stage = stack.enter_context(options.stage(front=front, call=4))
        runs = {f"clock{shift:+d}": shift for shift in shifts}
        for run_id, shift in runs.items():
            conf = {"prompt": f"A boat at another time, {shift}", "shift": shift}
            stage.airflow.trigger("shows_other_time", conf, run_id)
        states = stage.wait_for_end(runs, 400)
        for run_id, shift in runs.items():
            paid = len(stage.paid(f"A boat at another time, {shift}"))
            has_shifted = "The clock is wrong now" in stage.log(run_id)
            options.findings.expect(has_shifted, f"{shift:+d} s: the second try ran at that time")
            options.findings.expect(
                paid == 1 and states[run_id] == "success",
                f"{shift:+d} s: paid {paid} times, the run is {states[run_id]} {stage.last_error(run_id)}",
            )


@show("M12", version="own", limit=420)
def _acts_late(options: Options) -> None:
    """Let the service act on a POST beyond the window: an ERROR names both jobs and the credits."""
    with ExitStack() as stack:
        front = stack.enter_context(ServiceFront("", held=1, seconds=90))
        sandbox = {"render_seconds": FOR_EVER}
        stage = stack.enter_context(options.stage(front=front, sandbox=sandbox, window=12, call=3))
        prompt = "A boat that comes late"
        run_id = stage.airflow.trigger("shows_late", {"prompt": prompt}, "late")
        # The one that follows once the window is over, and the late one; the task waits for the former.
        stage.airflow.wait_for("both jobs", lambda: stage.paid(prompt), lambda paid: len(paid) == 2, 180)
        time.sleep(5)
        stage.pictory.advance(FOR_EVER)
        state = stage.wait_for_end([run_id], 90)[run_id]
        paid = stage.paid(prompt)
        options.findings.expect(state == "success", f"the run is {state} {stage.last_error(run_id)}")
        options.findings.expect(len(paid) == 2, f"{len(paid)} jobs, the late one included (must be 2)")
        reported = _errors_naming(stage.log(run_id), paid)
        if not reported:
            say("not reported in the run; the next chance is a clear")
            stage.airflow.clear("shows_late", run_id, ["generate"], only_failed=False)
            stage.wait_for_task(run_id, "generate", {"deferred", "failed", "success"}, 90, try_number=3)
            stage.pictory.advance(FOR_EVER)
            stage.wait_for_end([run_id], 60)
            reported = _errors_naming(stage.log(run_id), paid)
        options.findings.expect(bool(reported), f"an ERROR names both jobs: {reported[:1]}")
        options.findings.expect(
            any("credit" in line and CREDITS_OF_ONE in line for line in reported), "and the credits"
        )


@show("M14", version="own", limit=900)
def _killed_in_flight(options: Options) -> None:
    """Let execution_timeout end tries whose POST the service still holds, on a machine that is busy."""
    number = options.count or 6
    with ExitStack() as stack:
        front = stack.enter_context(ServiceFront("", held=1, seconds=60))
        stage = stack.enter_context(options.stage(front=front, call=90))
        for _ in range(4 * (os.cpu_count() or 1)):
            stack.callback(_end, run_quietly("-c", "while True: pass"))
        prompts = [f"A boat that is held, number {index}" for index in range(number)]
        for index, prompt in enumerate(prompts):
            stage.airflow.trigger("shows_killed_in_flight", {"prompt": prompt}, f"held-{index}")
        run_ids = [f"held-{index}" for index in range(number)]
        states = stage.wait_for_end(run_ids, 600)
        arrived = [front.arrived[prompt] for prompt in prompts]
        paid = [len(stage.paid(prompt)) for prompt in prompts]
        tries = [stage.tasks(run_id)[0].try_number for run_id in run_ids]
        say(f"POSTs {arrived}, paid {paid}, tries {tries}")
        errors = {stage.last_error(run_id) for run_id in run_ids if states[run_id] != "success"}
        options.findings.expect(
            arrived == [1] * number and paid == [1] * number,
            f"{number} runs: POSTs {tally(arrived)}, paid {tally(paid)} (must be 1 each)",
        )
        options.findings.expect(
            all(state == "success" for state in states.values()),
            f"runs: {tally(states.values())} {' | '.join(errors)}",
        )
        options.findings.expect(min(tries) > 1, f"tries: {tally(tries)} (must be 2 or more)")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


@show("M7", version="own", limit=3600)
def _variables(options: Options) -> None:
    """Count the Variables during and after 500 submissions, with and without waiting and a sensor."""
    wanted = options.count or 500
    dags = {
        "shows_submit_mapped": "submitted alone",
        "shows_submit_mapped_sensor": "and a sensor",
        "shows_worker_mapped": "waiting on a worker",
        "shows_deferred_mapped": "waiting deferred",
    }
    each = max(1, wanted // len(dags))
    say(f"{'':24}{'submissions':>12}{'most':>8}{'in flight then':>16}{'at the end':>12}{'not ended':>11}")
    with options.stage(sandbox={"render_seconds": 4}) as stage:
        before = set(stage.variables())
        for dag_id, words in dags.items():
            conf = {"prompts": [f"A boat of {dag_id}, number {index}" for index in range(each)]}
            run_id = stage.airflow.trigger(dag_id, conf, f"count-{dag_id}")
            most, then = 0, 0
            deadline = time.monotonic() + 60 + each * 8
            while time.monotonic() < deadline:
                left = set(stage.variables()) - before
                in_flight = len(
                    stage.airflow.query(
                        f"SELECT 1 FROM task_instance WHERE run_id = '{run_id}' AND task_id = 'generate' "
                        "AND state IN ('running', 'deferred', 'queued')"
                    )
                )
                if len(left) >= most:
                    most, then = len(left), in_flight
                if stage.wait_for_end([run_id], 0).get(run_id) in ("success", "failed"):
                    break
                time.sleep(1)
            left = set(stage.variables()) - before
            open_jobs = sum(job["status"] == "in-progress" for job in stage.pictory.jobs())
            say(f"{words:24}{each:>12}{most:>8}{then:>16}{len(left):>12}{open_jobs:>11}")
            state = stage.wait_for_end([run_id], 0).get(run_id)
            options.findings.expect(state == "success", f"{words}: the run is {state}")
            # One for each that is in flight, and what a few at a time may look up.
            options.findings.expect(most <= each + 16, f"{words}: at most {most} Variables at a time")
            if dag_id != "shows_submit_mapped":
                if left and stage.is_oldest:
                    _submit_some_more(stage, dag_id)
                    left &= set(stage.variables())
                    say(f"{words:24}after a few more submissions a minute later: {len(left)}")
                options.findings.expect(not left, f"{words}: {len(left)} Variables are left {_kinds(left)}")
            else:
                options.findings.expect(
                    len(left) <= each, f"{words}: {len(left)} Variables left, nobody waited {_kinds(left)}"
                )
            before |= set(stage.variables())
        paid = sum("one more" not in job["prompt"] for job in stage.pictory.jobs())
        options.findings.expect(
            paid == each * len(dags), f"{paid} videos paid for, {each * len(dags)} wanted"
        )


def _submit_some_more(stage: Stage, dag_id: str) -> None:
    """Submit a few videos, which delete what others have left: on Airflow 2 no task can do so for itself."""
    time.sleep(MINUTE)
    prompts = [f"A boat of {dag_id}, one more with the number {index}" for index in range(4)]
    run_id = stage.airflow.trigger(dag_id, {"prompts": prompts}, f"more-{dag_id}")
    stage.wait_for_end([run_id], 120)


def _kinds(names: set[str]) -> str:
    return tally(re.sub(r"[0-9a-f]{16,}", "*", name) for name in names)


def _errors_naming(log: str, job_ids: list[str]) -> list[str]:
    """Return the lines at level ERROR that name all of the jobs."""
    found = []
    for line in log.splitlines():
        try:
            document = json.loads(line)
            is_error = document.get("level") in ("error", "critical")
            text = str(document.get("event"))
        except (ValueError, AttributeError):
            is_error, text = "ERROR" in line, line
        if is_error and job_ids and all(job_id in text for job_id in job_ids):
            found.append(text)
    return found


def _moment(text: str | None) -> datetime | None:
    if not text:
        return None
    moment = datetime.fromisoformat(str(text))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
