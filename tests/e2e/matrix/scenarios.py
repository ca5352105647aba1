"""What every supported Airflow has to do with real processes: five scenarios, side by side on one Airflow."""

from __future__ import annotations

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from airflow_provider_pictory.sandbox.background import PictorySandbox
from tests.chaos.reports import say
from tests.e2e.shows.stage import Findings, Stage
from tests.support.pictory_words import POST, count

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.chaos.reports import RunReport

ROOT = Path(__file__).parents[3]
EXAMPLE = "example_pictory_generate_video"
DAG_FILES = [ROOT / f"example_dags/{EXAMPLE}.py", Path(__file__).parent / "dags/matrix.py"]
# The runs that fail on purpose, and what only the try after a kill asks for: who has a job of the lists.
FAILING = ("matrix_kill", "matrix_wrong_key", "pictory_job_claim_")
RENDER_SECONDS = 10.0
FOR_EVER = 10**6
# So long a submission's response takes whose worker is killed meanwhile.
SILENCE = 40.0
LIMIT = 240.0

ERROR_LINE = re.compile(r'"level": ?"(error|critical)"|\b(ERROR|CRITICAL)\b|\[(error|critical)')
WARNING_LINE = re.compile(r'"level": ?"warning"|\bWARNING\b|\[warning')
ABOUT_US = re.compile(r"pictory", re.IGNORECASE)
# Where a line was written, which is of Airflow's folders and not about us.
PLACES = re.compile(r"(/\S*|dag_id=\S*|example_pictory\w*)")


@dataclass
class Scene:
    """
    What a scenario is played on.

    :param stage: the Airflow, whose connection ``pictory_default`` leads to the stage's own Pictory.
    :param slow: a Pictory whose jobs don't end by themselves.
    :param silent: a Pictory that takes its time to respond to a submission.
    :param refused: a Pictory with another key than its connection has.
    """

    stage: Stage
    slow: PictorySandbox
    silent: PictorySandbox
    refused: PictorySandbox


@dataclass
class Result:
    """How a scenario went: seconds from its start, and what was not as it must be."""

    name: str
    seconds: float = 0.0
    findings: Findings = field(default_factory=Findings)

    @property
    def is_right(self) -> bool:
        return self.findings.count > 0 and not self.findings.wrong


def first_example(scene: Scene, findings: Findings) -> None:
    """The first example: generate, wait, save."""
    folder = scene.stage.airflow.home / "videos"
    conf = {"prompt": "A paper boat, as in the example", "folder": str(folder)}
    run_id = scene.stage.airflow.trigger(EXAMPLE, conf, "example")
    state = scene.stage.wait_for_end([run_id], LIMIT)[run_id]
    paid = scene.stage.paid(conf["prompt"])
    findings.expect(state == "success", f"first example: {state} {scene.stage.last_error(run_id)}")
    findings.expect(len(paid) == 1, f"first example: paid {len(paid)} times (must be 1)")
    files = sorted(path.name for path in folder.glob("*"))
    findings.expect(files == [f"{job}.mp4" for job in paid], f"first example: saved {files}")
    expect_quiet_log(scene.stage, run_id, findings)


def mapped_batch(scene: Scene, findings: Findings) -> None:
    """A mapped batch: three videos, awaited by a mapped sensor."""
    run_id = scene.stage.airflow.trigger("matrix_batch", None, "batch")
    state = scene.stage.wait_for_end([run_id], LIMIT)[run_id]
    findings.expect(state == "success", f"batch: {state} {scene.stage.last_error(run_id)}")
    jobs = [scene.stage.xcom(run_id, "generate", index) for index in range(3)]
    videos = [scene.stage.xcom(run_id, "wait", index) or {} for index in range(3)]
    paid = {job["job_id"] for job in scene.stage.pictory.jobs() if job["prompt"].startswith("A ")} & set(jobs)
    findings.expect(len(paid) == 3, f"batch: {len(paid)} paid for and returned (must be 3)")
    findings.expect([video.get("job_id") for video in videos] == jobs, "batch: each sensor has its own job")
    expect_quiet_log(scene.stage, run_id, findings)


def clear_in_mid_job(scene: Scene, findings: Findings) -> None:
    """A clear while the job is in progress: the next try goes on with it."""
    stage = scene.stage
    run_id = stage.airflow.trigger("matrix_clear", None, "clear")
    state = stage.wait_for_task(run_id, "generate", {"deferred"}, LIMIT)
    findings.expect(state == "deferred", f"clear: the task is {state} before it {stage.last_error(run_id)}")
    # What is noted after the response shall be noted, and Airflow has to know that the worker is done.
    time.sleep(5)
    stage.airflow.clear("matrix_clear", run_id, ["generate"], only_failed=False)
    stage.wait_for_task(run_id, "generate", {"deferred", "failed", "success"}, LIMIT, try_number=2)
    time.sleep(3)
    scene.slow.advance(FOR_EVER)
    state = stage.wait_for_end([run_id], LIMIT)[run_id]
    findings.expect(state == "success", f"clear: {state} {stage.last_error(run_id)}")
    paid = len(scene.slow.jobs())
    findings.expect(paid == 1, f"clear: paid {paid} times (must be 1)")


def kill_after_the_post(scene: Scene, findings: Findings) -> None:
    """A kill of the worker after the POST: the next try finds the job."""
    stage = scene.stage
    run_id = stage.airflow.trigger("matrix_kill", None, "kill")
    stage.airflow.wait_for("the submission", scene.silent.jobs, bool, LIMIT)
    killed = kill_client_of(scene.silent)
    findings.expect(killed == 1, f"kill: {killed} task processes had a request in flight (must be 1)")
    state = stage.wait_for_end([run_id], LIMIT)[run_id]
    if state == "failed" and stage.tasks(run_id)[0].try_number == 1:
        say("kill: this Airflow doesn't retry a task whose process was killed, so somebody clears it")
        stage.airflow.clear("matrix_kill", run_id, ["generate"])
        stage.wait_for_task(run_id, "generate", {"deferred", "success", "failed"}, LIMIT, try_number=2)
        state = stage.wait_for_end([run_id], LIMIT)[run_id]
    findings.expect(state == "success", f"kill: {state} {stage.last_error(run_id)}")
    jobs = [job["job_id"] for job in scene.silent.jobs()]
    findings.expect(len(jobs) == 1, f"kill: paid {len(jobs)} times (must be 1)")
    returned = stage.xcom(run_id, "generate", key="job_id")
    findings.expect(jobs == [returned], f"kill: {returned} was returned, {jobs} paid for")
    (task,) = stage.tasks(run_id)
    findings.expect(task.try_number > 1, f"kill: there were {task.try_number} tries (must be more than 1)")


def wrong_key(scene: Scene, findings: Findings) -> None:
    """A wrong key: the task fails at its first try with a sentence, and nothing is paid."""
    stage = scene.stage
    run_id = stage.airflow.trigger("matrix_wrong_key", None, "wrong-key")
    state = stage.wait_for_end([run_id], LIMIT)[run_id]
    (task,) = stage.tasks(run_id)
    findings.expect((state, task.try_number) == ("failed", 1), f"wrong key: {state} at try {task.try_number}")
    said = "API key is wrong or was revoked" in stage.log(run_id)
    findings.expect(said, "wrong key: the log says that the API key is wrong or was revoked")
    findings.expect(not scene.refused.jobs(), "wrong key: nothing is paid")
    findings.expect(scene.refused.api_key not in stage.log(run_id), "wrong key: no key is in the log")


SCENARIOS: dict[str, Callable[[Scene, Findings], None]] = {
    "first example": first_example,
    "mapped batch": mapped_batch,
    "clear in mid-job": clear_in_mid_job,
    "kill after the POST": kill_after_the_post,
    "wrong key": wrong_key,
}


def kill_client_of(pictory: PictorySandbox) -> int:
    """Kill each process that this one has started and that has a request to a Pictory in flight."""
    port = int(pictory.url.rpartition(":")[2])
    killed = 0
    for process in psutil.Process().children(recursive=True):
        try:
            if any(it.raddr and it.raddr.port == port for it in process.net_connections("tcp")):
                process.kill()
                killed += 1
        except psutil.NoSuchProcess:
            continue
    return killed


def expect_quiet_log(stage: Stage, run_id: str, findings: Findings) -> None:
    """Expect that what a good run has logged has no line at ERROR, and no WARNING about us."""
    loud = loud_lines(stage.log(run_id))
    findings.expect(not loud, f"{run_id}: {len(loud)} lines at ERROR, or WARNING about us {shortened(loud)}")


def expect_quiet_components(stage: Stage, findings: Findings) -> None:
    """Expect no line about us at ERROR or WARNING in what scheduler, triggerer and all others print."""
    for name, text in stage.airflow.log_files("*.out").items():
        loud = [
            line
            for line in loud_lines(text)
            # A task of Airflow 3.2 prints its log as well, also where it fails on purpose.
            if ABOUT_US.search(PLACES.sub("", line)) and not any(dag_id in line for dag_id in FAILING)
        ]
        findings.expect(not loud, f"{name}: {len(loud)} lines about us at ERROR or WARNING {shortened(loud)}")


def shortened(lines: list[str]) -> str:
    """Return the first lines, for a message."""
    return " | ".join(line[:300] for line in lines[:2])


def loud_lines(log: str) -> list[str]:
    """Return the lines of a log at ERROR, and those at WARNING that are about us."""
    return [
        line
        for line in log.splitlines()
        if ERROR_LINE.search(line) or (WARNING_LINE.search(line) and ABOUT_US.search(PLACES.sub("", line)))
    ]


def play(python: str, report: RunReport) -> list[Result]:
    """
    Play all scenarios at the same time, since each waits most of its time.

    :param python: of the environment whose Airflow runs.
    """
    with ExitStack() as stack:
        accounts = {
            "slow": PictorySandbox(render_seconds=FOR_EVER),
            "silent": PictorySandbox(
                render_seconds=RENDER_SECONDS,
                faults=[f"slow-response:method=POST,count=1,seconds={SILENCE}"],
            ),
            "refused": PictorySandbox(api_key="pictai_another-one"),
        }
        environment = {"AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False"}
        for name, account in accounts.items():
            stack.enter_context(account)
            connection = json.loads(account.connection_json)
            connection["extra"] = {"timeout": 2 * SILENCE, "submission_window": 5}
            if name == "refused":
                connection["password"] = "pictai_wrong"
            environment[f"AIRFLOW_CONN_PICTORY_{name.upper()}"] = json.dumps(connection)
        stage = Stage(
            python,
            report,
            sandbox={"render_seconds": RENDER_SECONDS},
            environment=environment,
            dag_files=DAG_FILES,
        )
        scene = Scene(stack.enter_context(stage), **accounts)
        results = [Result(name) for name in SCENARIOS]
        with ThreadPoolExecutor(len(results)) as threads:
            list(threads.map(lambda result: _play_one(scene, result), results))
        components = Result("components' output")
        expect_quiet_components(stage, components.findings)
        results.append(components)
        # The stage keeps all logs unless all is well.
        report.exit_status = 0 if all(result.is_right for result in results) else 1
        say(f"submissions: {count(scene.stage.pictory, POST)} to the first account")
    return results


def _play_one(scene: Scene, result: Result) -> None:
    started = time.monotonic()
    try:
        SCENARIOS[result.name](scene, result.findings)
    except Exception as error:  # noqa: BLE001  (whatever it is, it is what was found)
        words = f"{type(error).__name__}: {str(error)[:600]}"
        result.findings.expect(False, f"{result.name}: {words}")
    result.seconds = time.monotonic() - started
