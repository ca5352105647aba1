"""
Clips for videos on a real Airflow whose tasks are killed wherever it could hurt: each is paid for once.

One Airflow runs them all at once, with one busy account: other clients' jobs, lagging lists, identical
prompts. First each named point in each mode, with retries and with somebody who clears what failed; then
clips with random kills. The last lines are the summary and where the report is kept; the exit status says
whether all is right.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests
from cryptography.fernet import Fernet, InvalidToken

from airflow_provider_pictory.sandbox.background import PictorySandbox
from tests.chaos.gateway import Gateway
from tests.chaos.plan import (
    MISHAPS,
    Clip,
    Order,
    Plan,
    add_random_clips,
    short_plan,
    table_plan,
)
from tests.chaos.reports import RunReport, say
from tests.chaos.verdict import End, Judgement, Outcome, judge, nobodys_jobs, table
from tests.e2e.real_airflow import RealAirflow

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.chaos.gateway import Submission

HERE = Path(__file__).parent
DAG_FILES = [HERE / "crash_points.py", HERE / "dags/crash_runs.py", HERE / "dags/.airflowignore"]

PAUSE = 1.0
PAUSE_BETWEEN_LINES = 30.0
# Beyond one for each kill, for what Airflow itself may add, such as a heartbeat that comes too late.
MORE_CLEARS = 4
REFUSAL = "on_unknown_submission"


@dataclass(frozen=True)
class Times:
    """
    How fast everything goes, in seconds.

    :param render: how long a job takes.
    :param call: how long a call to the service may take.
    :param settling: the connection's submission window.
    :param lag: how old the service's lists are; with ``late`` less than ``settling``.
    :param late: when a submission reaches the service whose sender died before.
    :param heartbeat: after so much silence Airflow takes a task for dead.
    :param limit: when all must have ended.
    """

    render: float
    call: float
    settling: float
    lag: float
    late: float
    heartbeat: int
    limit: float


SHORT = Times(render=6, call=5, settling=5, lag=2, late=1.5, heartbeat=8, limit=170)
LONG = Times(render=16, call=8, settling=10, lag=3, late=3, heartbeat=15, limit=45 * 60)


@dataclass
class Progress:
    """
    What the harness knows about a DAG run.

    :param order: what was ordered.
    :param has_ended: whether it has ended for good.
    :param clears: how often somebody cleared each of its clips.
    :param event_done: whether the harness has done to it what it shall.
    """

    order: Order
    has_ended: bool = False
    clears: Counter[int] = field(default_factory=Counter)
    event_done: bool = False


@dataclass
class Report:
    """
    All that came out.

    :param judgements: of all clips.
    :param nobodys: paid jobs that no clip submitted.
    :param problems: what else is wrong, in words.
    :param kills: how many kills happened.
    :param seconds: how long it all took.
    :param most_refused: the share of clips that may be refused.
    """

    judgements: list[Judgement]
    nobodys: list[str]
    problems: list[str]
    kills: int
    seconds: float
    most_refused: float = 0.0

    def count(self, outcome: Outcome) -> int:
        """Count the clips with an outcome."""
        return sum(judgement.outcome is outcome for judgement in self.judgements)

    @property
    def has_passed(self) -> bool:
        """Whether nothing was paid twice, lost or refused beyond what may be, and nothing else wrong."""
        return (
            not self.count(Outcome.TWICE)
            and not self.count(Outcome.LOST)
            and not self.count(Outcome.WRONG)
            and not self.nobodys
            and not self.problems
            and self.count(Outcome.REFUSED) <= self.most_refused * len(self.judgements)
        )

    @property
    def lines(self) -> list[str]:
        """The report in words: the table, all that is wrong or refused, and the summary last."""
        lines = table(self.judgements)
        for judgement in self.judgements:
            if judgement.outcome is not Outcome.ONCE:
                clip = judgement.clip
                kills = "killed " + (", ".join(judgement.happened) or "nowhere")
                lines.append(
                    f"{judgement.outcome}: clip {clip.number} ({clip.row}), {kills}: {judgement.reason}"
                )
        unreached = Counter(point for judgement in self.judgements for point in judgement.unreached)
        if unreached:
            never = ", ".join(f"{point} {count}" for point, count in sorted(unreached.items()))
            lines.append(f"planned kills at points that their clips never came to: {never}")
        lines += [f"problem: {problem}" for problem in self.problems]
        lines += [f"lost: job {job_id} belongs to nobody" for job_id in self.nobodys]
        clips, refused = len(self.judgements), self.count(Outcome.REFUSED)
        wrong = self.count(Outcome.WRONG) + len(self.problems)
        lines.append(
            f"crashes: {clips} clips, {self.kills} kills, {self.count(Outcome.TWICE)} paid twice, "
            f"{self.count(Outcome.LOST) + len(self.nobodys)} lost, {refused} refused "
            f"({refused / max(clips, 1):.1%}), {f'{wrong} otherwise wrong, ' if wrong else ''}"
            f"{self.seconds / 60:.0f} min"
        )
        return lines


class Harness:
    """
    One Airflow, one account, and a person who clears what failed.

    :param home: an empty folder for all of it.
    :param times: how fast everything goes.
    :param twin_rate: how likely somebody else submits the very same video along with one of ours.
    :param seed: of the sandbox's faults.
    :param airflow_class: which kind of Airflow.
    """

    def __init__(
        self,
        home: Path,
        times: Times,
        twin_rate: float,
        seed: int,
        airflow_class: type[RealAirflow] = RealAirflow,
    ) -> None:
        self._home = home
        self._folder = home / "crashes"
        self._times = times
        self._twin_rate = twin_rate
        self._seed = seed
        self._airflow_class = airflow_class
        self._stack = ExitStack()
        self._runs: dict[str, Progress] = {}
        self._more_clears = MORE_CLEARS
        self.deaths = 0

    def __enter__(self) -> Harness:
        for name in ("claimed", "happened", "signals", "cleared"):
            (self._folder / name).mkdir(parents=True)
        times = self._times
        enter = self._stack.enter_context
        try:
            self._pictory = enter(
                PictorySandbox(
                    render_seconds=times.render, credits=10**7, faults=self._faults(), seed=self._seed
                )
            )
            self._gateway = enter(Gateway(self._pictory.url, self._folder, times.late))
            self._airflow = enter(self._make_airflow())
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _faults(self) -> list[str]:
        times = self._times
        faults = [
            f"foreign-jobs:per-second=0.2,same-prompt=no,seconds={times.render}",
            f"lagging-lists:seconds={times.lag}",
        ]
        if self._twin_rate:
            faults.append(f"foreign-jobs:rate={self._twin_rate},seconds={times.render}")
        return faults

    def _make_airflow(self) -> RealAirflow:
        connection = {"AIRFLOW_CONN_PICTORY_DEFAULT": json.dumps(self._connection(self._gateway.url))}
        return self._airflow_class(
            self._home / "airflow", DAG_FILES, self._environment() | connection, is_busy=True
        )

    def _connection(self, host: str) -> dict[str, Any]:
        extra = {"timeout": self._times.call, "submission_window": self._times.settling}
        return {**json.loads(self._pictory.connection_json), "host": host, "extra": extra}

    def _environment(self) -> dict[str, str]:
        return {
            "CRASHES_FOLDER": str(self._folder),
            "CRASHES_SETTLING_TIME": str(self._times.settling),
            "AIRFLOW__CORE__PARALLELISM": "10",
            "AIRFLOW__SCHEDULER__MAX_DAGRUNS_PER_LOOP_TO_SCHEDULE": "200",
            "AIRFLOW__SCHEDULER__MAX_DAGRUNS_TO_CREATE_PER_LOOP": "200",
            # A task whose supervisor is killed as well is noticed by its silence alone.
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": str(self._times.heartbeat),
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "2",
            # The same as Airflow 2 calls them. What its search for zombies finds is acted upon later, by
            # whatever try of the task runs then, and found again until that; so it searches seldom.
            "AIRFLOW__SCHEDULER__SCHEDULER_ZOMBIE_TASK_THRESHOLD": str(self._times.heartbeat),
            "AIRFLOW__SCHEDULER__ZOMBIE_DETECTION_INTERVAL": "20",
            "AIRFLOW__SCHEDULER__LOCAL_TASK_JOB_HEARTBEAT_SEC": "2",
            # On a busy machine a heartbeat that fails must not end a task that nobody killed.
            "AIRFLOW__WORKERS__MAX_FAILED_HEARTBEATS": "30",
            "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "10",
            "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "2",
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "300",
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "600",
        }

    def run(self, orders: list[Order]) -> None:
        """Start all orders and see them to their ends, as far as those have come when the time is over."""
        for order in orders:
            self._airflow.trigger(order.dag_id, order.conf, order.run_id)
            self._runs[order.run_id] = Progress(order)
            # The first runs are over before the last ones have started.
            self._do_due_events()
        deadline = time.monotonic() + self._times.limit
        said_at = time.monotonic()
        while (open_runs := self._open_runs()) and time.monotonic() < deadline:
            self._airflow.require_components("While clips were under way")
            try:
                self._step(open_runs)
            except (requests.RequestException, AssertionError) as error:
                # The API server is as busy as all else; the next step tries again.
                say(f"{type(error).__name__}: {str(error)[:300]}")
            if time.monotonic() - said_at > PAUSE_BETWEEN_LINES:
                said_at = time.monotonic()
                say(f"{len(open_runs)} of {len(self._runs)} runs are under way")
            time.sleep(PAUSE)

    def report(self, plan: Plan, seconds: float) -> Report:
        """Hold what was paid against what came out."""
        happened = self._happened()
        ends = [
            (clip, self._end_of(progress, clip))
            for progress in self._runs.values()
            for clip in progress.order.clips
        ]
        problems = [
            f"run {run_id} of {run.order.dag_id} has not ended"
            for run_id, run in self._runs.items()
            if not run.has_ended
        ]
        problems += [
            f"{run.order.event} was never done to run {run_id}"
            for run_id, run in self._runs.items()
            if run.order.event and not run.event_done
        ]
        jobs = self._pictory.jobs()
        submissions = self._submissions()
        judgements = judge(ends, submissions, jobs, happened)
        claimed = {path.name for path in (self._folder / "claimed").iterdir()}
        problems += [f"kill {mark} was due but did not happen" for mark in sorted(claimed - happened)]
        problems += [
            f"clip {judgement.clip.number} never came to {judgement.unreached[0]}"
            for judgement in judgements
            if judgement.unreached and not judgement.clip.row.startswith("random")
        ]
        kills = sum(mark.split(".")[2] not in MISHAPS for mark in happened) + self.deaths
        nobodys = nobodys_jobs(submissions, jobs)
        return Report(judgements, nobodys, problems, kills, seconds)

    def keep(self, report: Report, run_report: RunReport) -> None:
        """Keep all that tells what went wrong; most of it lies in a folder that is about to go."""
        run_report.note(
            has_passed=report.has_passed,
            summary=report.lines[-1] if report.judgements else "nothing was judged",
            outcomes={str(outcome): report.count(outcome) for outcome in Outcome},
            problems=report.problems,
            nobodys=report.nobodys,
            kills=report.kills,
            seconds=round(report.seconds),
            clips=[_described(judgement) for judgement in report.judgements],
        )
        run_report.write("requests.log", "".join(f"{line}\n" for line in self._gateway.requests))
        bad = {it.clip.prompt for it in report.judgements if it.outcome is not Outcome.ONCE or it.unreached}
        open_runs = set(self._open_runs())
        kept_runs = [
            run
            for run in self._runs.values()
            if run.order.run_id in open_runs or any(clip.prompt in bad for clip in run.order.clips)
        ]
        if not kept_runs and report.has_passed:
            return
        jobs = self._pictory.jobs()
        records = self._records()
        run_report.write("jobs.json", jobs)
        run_report.write("records.json", records)
        # With the twins of what went wrong, since one's job may be the other's.
        for order in (run.order for run in kept_runs):
            name = f"{order.run_id}-{order.dag_id}"
            logs = self._airflow.home / "logs" / f"dag_id={order.dag_id}" / f"run_id={order.run_id}"
            run_report.copy(logs, f"{name}/logs")
            prompts = {clip.prompt for clip in order.clips}
            numbers = {clip.number for clip in order.clips}
            own_jobs = [job for job in jobs if job["prompt"] in prompts]
            job_ids = [job["job_id"] for job in own_jobs]
            run_report.write(
                f"{name}/account.json",
                {
                    "order": asdict(order),
                    "submissions": [asdict(it) for it in self._submissions() if it.clip in numbers],
                    "jobs": own_jobs,
                    "records": [
                        it
                        for it in records
                        if order.run_id in str(it.values()) or any(job_id in str(it) for job_id in job_ids)
                    ],
                },
            )
        for output in sorted((self._airflow.home / "logs").glob("*.out")):
            run_report.copy(output, f"components/{output.name}")
        if report.problems:
            run_report.copy(self._airflow.home / "logs/dag_processor", "components/dag_processor")

    def _records(self) -> list[dict[str, Any]]:
        """Read all that the tasks have written into Airflow's stores."""
        fernet = Fernet(self._airflow.fernet_key)
        records: list[dict[str, Any]] = []
        for key, value, description, is_encrypted in self._airflow.query(
            "SELECT key, val, description, is_encrypted FROM variable"
        ):
            text = value
            if is_encrypted:
                try:
                    text = fernet.decrypt(str(value).encode()).decode()
                except InvalidToken:
                    text = "can't be decrypted"
            records.append({"variable": key, "value": read_json(text), "description": description})
        if self._airflow.has_table("task_state_store"):
            records += [
                {"task_state": key, "run_id": run_id, "map_index": map_index, "value": read_json(value)}
                for key, run_id, map_index, value in self._airflow.query(
                    "SELECT key, run_id, map_index, value FROM task_state_store"
                )
            ]
        return records

    def _submissions(self) -> list[Submission]:
        return self._gateway.submissions

    def _happened(self) -> set[str]:
        marks = {path.name for path in (self._folder / "happened").iterdir()}
        signals = {path.name for path in (self._folder / "signals").iterdir()}
        return marks | {mark for mark in signals if mark.split(".")[2] in MISHAPS}

    def _open_runs(self) -> dict[str, Progress]:
        return {run_id: progress for run_id, progress in self._runs.items() if not progress.has_ended}

    def _step(self, open_runs: dict[str, Progress]) -> None:
        self._do_due_events()
        tasks = self._tasks()
        states = dict(self._airflow.query("SELECT run_id, state FROM dag_run"))
        for run_id, progress in open_runs.items():
            if states.get(run_id) == "success":
                progress.has_ended = True
            elif states.get(run_id) == "failed":
                self._recover(progress, tasks.get(run_id, {}))
                self._do_due_events()

    def _tasks(self) -> dict[str, dict[int, tuple[str | None, int]]]:
        """Return state and try number of all generating tasks, by run and map index."""
        tasks: dict[str, dict[int, tuple[str | None, int]]] = {}
        for run_id, map_index, state, try_number in self._airflow.query(
            "SELECT run_id, map_index, state, try_number FROM task_instance WHERE task_id = 'generate'"
        ):
            tasks.setdefault(run_id, {})[map_index] = (state, try_number)
        return tasks

    def _recover(self, progress: Progress, generating: dict[int, tuple[str | None, int]]) -> None:
        """Clear what failed, as people do, unless its error says that somebody has to decide something."""
        order = progress.order
        to_clear: list[object] = []
        for clip in order.clips:
            index = order.map_index(clip)
            state, try_number = generating.get(index, (None, 0))
            if state == "success" or progress.clears[clip.number] >= len(clip.kills) + self._more_clears:
                continue
            if REFUSAL in self._log_of(order, index, try_number):
                continue
            progress.clears[clip.number] += 1
            to_clear.append(["generate", index] if order.is_mapped else "generate")
        if order.is_mapped and not any(index >= 0 for index in generating):
            # What is mapped over has failed itself.
            progress.clears[0] += 1
            to_clear = ["prompts"] if progress.clears[0] <= self._more_clears else []
        waiting_failed = self._airflow.query(
            f"SELECT 1 FROM task_instance WHERE run_id = '{order.run_id}' AND task_id != 'generate' "
            "AND state IN ('failed', 'upstream_failed')"
        )
        if waiting_failed and not to_clear and all(state == "success" for state, _ in generating.values()):
            progress.clears[0] += 1
            to_clear = ["wait"] if progress.clears[0] <= self._more_clears else []
        if to_clear:
            self._airflow.clear(order.dag_id, order.run_id, to_clear)
        else:
            progress.has_ended = True

    def _do_event(self, progress: Progress, generating: dict[int, tuple[str | None, int]]) -> None:
        order = progress.order
        clip = order.clips[0]
        state, _ = generating.get(-1, (None, 0))
        has_job = any(it.clip == clip.number and it.job_id for it in self._submissions())
        event = str(order.event)
        if event == "cleared-in-flight":
            is_due = (self._folder / "signals" / clip.mark(0)).exists()
        elif event == "triggerer-killed":
            return
        else:
            is_due = has_job and state == event.partition("-")[2]
        if not is_due:
            return
        # What was seen before is seconds old on a busy machine, and a clear after the task's success asks for
        # another video.
        state, try_number = self._tasks()[order.run_id][-1]
        if state not in ("running", "deferred"):
            return
        if event == "cleared-in-flight" and try_number > 1:
            # The request that was in flight has been given up, and this try may end well at any moment.
            return
        if event.startswith("cleared"):
            self._airflow.clear(order.dag_id, order.run_id, ["generate"], only_failed=False)
        else:
            self._airflow.mark_failed(order.dag_id, order.run_id, "generate")
        progress.event_done = True
        if event == "cleared-in-flight":
            (self._folder / "cleared" / clip.mark(0)).touch()

    def _do_due_events(self) -> None:
        """Do what is due to runs, each of which is in the state that it takes for a few seconds only."""
        pending = {
            run_id: run for run_id, run in self._runs.items() if run.order.event and not run.event_done
        }
        tasks = self._tasks() if pending else {}
        for run_id, progress in pending.items():
            self._do_event(progress, tasks.get(run_id, {}))
        self._kill_triggerer_when_due(pending)

    def _kill_triggerer_when_due(self, open_runs: dict[str, Progress]) -> None:
        """Kill the triggerer as soon as one that it shall be killed for waits, and start another."""
        waiting = [
            progress
            for progress in open_runs.values()
            if progress.order.event == "triggerer-killed"
            and not progress.event_done
            and self._waits(progress.order)
        ]
        if not waiting:
            return
        self._airflow.kill("triggerer")
        self.deaths += 1
        for progress in waiting:
            progress.event_done = True
        self._airflow.start("triggerer")

    def _waits(self, order: Order) -> bool:
        return bool(
            self._airflow.query(
                f"SELECT 1 FROM task_instance WHERE run_id = '{order.run_id}' AND state = 'deferred'"
            )
        )

    def _log_of(self, order: Order, map_index: int, try_number: int) -> str:
        folder = self._airflow.home / "logs" / f"dag_id={order.dag_id}" / f"run_id={order.run_id}"
        folder /= "task_id=generate"
        if map_index >= 0:
            folder /= f"map_index={map_index}"
        file = folder / f"attempt={try_number}.log"
        return file.read_text(errors="replace") if file.exists() else ""

    def _end_of(self, progress: Progress, clip: Clip) -> End:
        order = progress.order
        index = order.map_index(clip)
        found = self._airflow.query(
            "SELECT state, try_number FROM task_instance WHERE task_id = 'generate' "
            f"AND run_id = '{order.run_id}' AND map_index = {index}"
        )
        state, try_number = found[0] if found else (None, 0)
        if self._airflow.query(
            f"SELECT 1 FROM dag_run WHERE run_id = '{order.run_id}' AND state = 'success'"
        ):
            # On a busy machine Airflow 2 acts on a try that was killed only after the next one has succeeded,
            # and takes the task out of the state that its run has ended well with.
            state = "success"
        xcoms = {
            (task_id, key): self._read_xcom(value)
            for task_id, key, value in self._airflow.query(
                "SELECT task_id, key, value FROM xcom "
                f"WHERE run_id = '{order.run_id}' AND map_index = {index}"
            )
        }
        video = xcoms.get(("generate", "video")) or xcoms.get(("wait", "return_value")) or {}
        return End(
            state=state,
            job_id=xcoms.get(("generate", "return_value")) or xcoms.get(("generate", "job_id")),
            video_id=video.get("job_id"),
            error=self._log_of(order, index, try_number),
            tries=try_number,
            clears=progress.clears[clip.number],
            seconds=self._seconds_of(order),
        )

    def _read_xcom(self, value: Any) -> Any:
        return read_json(value)

    def _seconds_of(self, order: Order) -> float:
        """Return the seconds from when a run's first try started, however long it was queued, to its end."""
        ((first, last),) = self._airflow.query(
            "SELECT MIN(start_date), MAX(end_date) FROM ("
            "SELECT run_id, start_date, end_date FROM task_instance UNION ALL "
            "SELECT run_id, start_date, end_date FROM task_instance_history"
            f") AS tries WHERE run_id = '{order.run_id}'"
        )
        if first is None or last is None:
            return 0.0
        return (datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds()


def read_json(value: Any) -> Any:
    """Read an XCom as the database has it, which is JSON once or twice."""
    while isinstance(value, str | bytes):
        try:
            value = json.loads(value)
        except ValueError:
            break
    return value


def _described(judgement: Judgement) -> dict[str, Any]:
    end = asdict(judgement.end)
    del end["error"]
    return {
        **asdict(judgement.clip),
        "outcome": str(judgement.outcome),
        "reason": judgement.reason,
        "happened": judgement.happened,
        "unreached": judgement.unreached,
        **end,
    }


def see_through(
    harness: Harness, plan: Plan, steps: Callable[[], object], run_report: RunReport | None = None
) -> Report:
    """
    Run the steps and report, also when something ends them early.

    :param run_report: where the report and the logs of what went wrong are kept.
    """
    started = time.monotonic()
    interruption: BaseException | None = None
    try:
        steps()
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  (a report of half a run is worth having)
        interruption = error
        say(f"ended early by {type(error).__name__}: {error}")
    report = harness.report(plan, time.monotonic() - started)
    if interruption is not None:
        report.problems.insert(0, f"ended early by {interruption!r}")
    if run_report is not None:
        harness.keep(report, run_report)
    return report


def run_short(home: Path, seed: int = 7, run_report: RunReport | None = None) -> Report:
    """Run the selection that matters most, in less than three minutes."""
    started, plan = time.monotonic(), short_plan()
    with Harness(home, SHORT, twin_rate=0, seed=seed) as harness:
        say(f"Airflow is up after {time.monotonic() - started:.0f} s")
        return see_through(harness, plan, lambda: harness.run(plan.orders), run_report)


def run_long(home: Path, seed: int, count: int, run_report: RunReport | None = None) -> Report:
    """Run the table of points, then clips with random kills."""
    started, plan = time.monotonic(), table_plan()
    with Harness(home, LONG, twin_rate=0.02, seed=seed) as harness:
        say(f"Airflow is up after {time.monotonic() - started:.0f} s")

        def steps() -> None:
            say(f"{len(plan.clips)} clips, one kill each at a named point")
            harness.run(plan.orders)
            orders = add_random_clips(plan, count, seed)
            say(f"{sum(len(order.clips) for order in orders)} clips with random kills")
            harness.run(orders)

        return see_through(harness, plan, steps, run_report)


def conclude(report: Report, run_report: RunReport, most_refused: float = 0.0) -> None:
    """Tell the report and decide on the exit status."""
    report.most_refused = most_refused
    run_report.say_all(report.lines)
    run_report.note(has_passed=report.has_passed)
    run_report.exit_status = 0 if report.has_passed else 1


def main() -> int:
    """Run the crashes and give the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="a selection, in less than three minutes")
    parser.add_argument("--clips", type=int, default=160, help="how many clips have random kills")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--home", type=Path, help="an empty folder that is kept, with all logs")
    parser.add_argument("--most-refused", type=float, default=0.0, help="the share that may be refused: 0.02")
    arguments = parser.parse_args()
    with (
        RunReport("chaos", arguments.seed) as run_report,
        tempfile.TemporaryDirectory(prefix="crashes-", ignore_cleanup_errors=True) as temporary,
    ):
        say(f"seed {arguments.seed}")
        home = arguments.home or Path(temporary)
        if arguments.short:
            report = run_short(home, arguments.seed, run_report)
        else:
            report = run_long(home, arguments.seed, arguments.clips, run_report)
        conclude(report, run_report, arguments.most_refused)
    return run_report.exit_status


if __name__ == "__main__":
    sys.exit(main())
