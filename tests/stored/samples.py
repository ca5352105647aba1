"""
One of each kind of what this version stores: records, batches, triggers, what deferrals hand through, events.

All are made by the package's own code. Ids, URLs and moments are always the same, so that two versions can be
compared.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

from airflow_provider_pictory.api import JobStatus, VideoJob
from airflow_provider_pictory.api.listings import BaselineKind
from airflow_provider_pictory.batch.deferred_batch import DeferredBatch
from airflow_provider_pictory.batch.document import BatchDocument, Entry, ItemError
from airflow_provider_pictory.batch.store import BatchStore
from airflow_provider_pictory.decorators.pictory import pictory_video_task
from airflow_provider_pictory.exceptions import PictoryAPIError
from airflow_provider_pictory.operators.batch import GenerateVideosOperator
from airflow_provider_pictory.operators.pictory import GenerateVideoOperator
from airflow_provider_pictory.sensors.pictory import VideoJobSensor
from airflow_provider_pictory.submission.record import (
    CloseReason,
    RecordState,
    SubmissionRecord,
    TaskPlace,
)
from airflow_provider_pictory.submission.variables import ListedVariables, NamedVariables
from airflow_provider_pictory.triggers.batch import VideoBatchTrigger
from airflow_provider_pictory.triggers.without_worker import VideoJobTaskTrigger
from airflow_provider_pictory.waiting.events import ended_event, inconclusive_event
from tests.submission.records import a_fingerprint, an_intent
from tests.support.bare_tasks import BareTask, BareTaskInstance
from tests.support.dag_runs import a_dag
from tests.support.task_tries import Variables, VariablesWithoutNames, kept_in

PROMPT = "A paper boat on a rainy street"
JOB_ID = "4a09edf9-d071-4847-bda5-8dea913d80fe"
EARLIER_JOB_ID = "00000000-0000-4000-8000-000000000001"
NEWEST_JOB_ID = "00000000-0000-4000-8000-000000000002"
# Of the try that a batch's process belongs to.
TRY_ID = "00000000-0000-4000-8000-000000000003"
BASE_URL = "https://pictory.example/pictoryapis"
# Long ago, so that nothing is waited for, and far ahead, so that no wait is over.
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
FAR_AHEAD = datetime(2126, 1, 1, tzinfo=UTC)

JOB = VideoJob(
    job_id=JOB_ID,
    status=JobStatus.COMPLETED,
    url="https://files.example/video.mp4",
    duration_seconds=5.0,
    width=640,
    height=360,
    thumbnail_url="https://files.example/thumbnail.jpg",
    preview_url="https://files.example/preview.jpg",
    last_frame_image_url="https://files.example/last.png",
    ai_credits_used=8.0,
)


def samples(job_id: str) -> dict[str, dict[str, Any]]:
    """
    Return one of each kind, by the names of their files and of themselves, as JSON has them.

    :param job_id: of a job that the connection's service has.
    """
    made = {
        "records": _stored_records(),
        "triggers": _triggers(),
        "deferrals": _deferrals(job_id),
        "batches": _batches(),
        "events": _events(),
    }
    return json.loads(json.dumps(made))  # type: ignore[no-any-return]


def records() -> dict[str, SubmissionRecord]:
    """Return a record in each state that it can be left in."""
    instance = BareTaskInstance()
    place = TaskPlace(instance.dag_id, instance.run_id, instance.task_id)
    fingerprint = a_fingerprint(PROMPT, base_url=BASE_URL)
    intent = an_intent(
        fingerprint,
        place=place,
        now=LONG_AGO,
        baseline=BaselineKind.EMPTY,
        server_time=LONG_AGO,
        estimated_credits=8.0,
        revision=1,
    )
    accepted = intent.accepted(JOB_ID, LONG_AGO).but(revision=2)
    lost = intent.closed(CloseReason.NOT_SUBMITTED)
    after = {"earlier_jobs": accepted.but(job_id=EARLIER_JOB_ID).jobs_so_far, "lost": lost.lost_so_far}
    detailed = a_fingerprint(
        PROMPT,
        base_url=BASE_URL,
        model="veo3.1_fast",
        aspect_ratio="9:16",
        duration=6,
        reference_image_urls=["https://files.example/1.png"],
    )
    return {
        "intent": intent,
        "intent of a detailed request": intent.but(fingerprint=detailed),
        "intent with candidates": intent.but(
            baseline=BaselineKind.FOUND, newest_job_id=NEWEST_JOB_ID, candidates=(JOB_ID,)
        ),
        "intent with a claim under way": intent.accepted(JOB_ID, LONG_AGO, is_claimed=True).but(
            state=RecordState.INTENT
        ),
        "accepted": accepted,
        "accepted, and its task is over": accepted.but(ends_when_accepted=True),
        "accepted and kept whatever is cleared": accepted.but(is_kept=True),
        "accepted after others": accepted.but(**after),
        "claimed": intent.accepted(JOB_ID, LONG_AGO, is_claimed=True),
        "delivered": accepted.but(state=RecordState.DELIVERED, has_ended=True),
        "closed, refused": intent.closed(CloseReason.REFUSED),
        "closed, not submitted": lost,
        "closed, job failed": accepted.but(has_ended=True).closed(CloseReason.JOB_FAILED),
        "closed, of a previous run": intent.closed(CloseReason.PREVIOUS_RUN).but(**after),
    }


def _stored_records() -> dict[str, Any]:
    return {
        kind: {
            "variables, listed": _written(record, Variables(), ListedVariables()),
            "variables, not listed": _written(record, VariablesWithoutNames(), NamedVariables()),
            "task state": json.loads(record.as_json()),
        }
        for kind, record in records().items()
    }


def _written(record: SubmissionRecord, variables: Any, store: Any) -> dict[str, str]:
    with kept_in(variables):
        store.find(record.place.digest)
        store.write(record, "a record")
    return dict(variables.texts)


def tasks(job_id: str) -> dict[str, BareTask]:
    """Return a task of each class that defers, none of them run yet; the sensor waits for this job."""
    waiting = {"wait_for_completion": True, "deferrable": True, "timeout": 3600}

    def film() -> str:
        return PROMPT

    def decorated() -> Any:
        with a_dag():
            return pictory_video_task(film, **waiting)().operator

    return {
        "operator": BareTask(lambda: GenerateVideoOperator(task_id="film", prompt=PROMPT, **waiting)),
        "decorator": BareTask(decorated),
        "sensor": BareTask(lambda: VideoJobSensor(task_id="film", job_id=job_id, timeout=3600)),
    }


def _deferrals(job_id: str) -> dict[str, Any]:
    """Return what each class of task leaves in the database when it defers."""
    found = {}
    for name, task in tasks(job_id).items():
        task.execute()
        assert task.deferral
        path, arguments = task.deferral.trigger.serialize()
        left = {
            "trigger": {"classpath": path, "kwargs": arguments},
            "method_name": task.deferral.method_name,
            "kwargs": task.deferral.kwargs,
        }
        moment = json.dumps(arguments["deadline"])
        text = (
            json.dumps(left)
            .replace(arguments["job_id"], JOB_ID)
            .replace(moment, json.dumps(FAR_AHEAD.isoformat()))
        )
        found[name] = json.loads(text)
        found[name]["trigger"]["kwargs"]["first_poll"] = LONG_AGO.isoformat()
    return found


def batch_task() -> BareTask:
    """Return the task of the stored batch."""
    requests = [{"key": key, "prompt": PROMPT} for key in _entries()]
    return BareTask(
        lambda: GenerateVideosOperator(
            task_id="film", requests=requests, on_item_failure="skip", deferrable=True, timeout=3600
        )
    )


def _entries() -> dict[str, Entry]:
    """Return what is known of a batch's items, of which one is still in flight."""
    known = {kind: record.but(task_instance_id=TRY_ID) for kind, record in records().items()}
    signature = f"1:0:{TRY_ID}"
    failed = VideoJob(NEWEST_JOB_ID, JobStatus.FAILED, error_code="5002", error_message="PROMPT_REFUSED")
    return {
        "in flight": Entry(known["accepted"].but(item="in flight"), signature=signature),
        "completed": Entry(
            known["accepted"].but(item="completed", job_id=EARLIER_JOB_ID, has_ended=True),
            replace(JOB, job_id=EARLIER_JOB_ID),
            signature=signature,
        ),
        "failed": Entry(
            known["closed, job failed"].but(item="failed", job_id=NEWEST_JOB_ID),
            failed,
            ItemError("5002", "PROMPT_REFUSED"),
            signature,
        ),
    }


def _batches() -> dict[str, Any]:
    """Return what a batch leaves while one of its jobs is in flight: its Variables and its deferral."""
    entries = _entries()
    record = entries["in flight"].record
    assert record is not None
    document = BatchDocument(record.place._replace(item=None), entries, recorded=("in flight",))
    trigger = VideoBatchTrigger(
        [(JOB_ID, FAR_AHEAD.isoformat())],
        "pictory_default",
        ends=1,
        progress={"total": 3, "completed": 1, "failed": 1, "waiting": 0, "estimated_credits": 24.0},
        first_poll=LONG_AGO.isoformat(),
    )
    path, arguments = trigger.serialize()
    limits = {"in flight": ("timeout", 3600.0, FAR_AHEAD.isoformat())}
    deferral = {
        "trigger": {"classpath": path, "kwargs": arguments},
        "method_name": "execute_complete",
        "kwargs": asdict(DeferredBatch(try_number=1, began=LONG_AGO.isoformat(), limits=limits)),
    }
    return {
        kind: {"deferral": deferral, "variables": _written_batch(document, record, variables, store)}
        for kind, variables, store in (
            ("variables, listed", Variables(), ListedVariables()),
            ("variables, not listed", VariablesWithoutNames(), NamedVariables()),
        )
    }


def _written_batch(
    document: BatchDocument, record: SubmissionRecord, variables: Any, store: Any
) -> dict[str, str]:
    with kept_in(variables):
        batch_store = BatchStore(document.place, store, None)
        # Else each one has another name.
        batch_store._token = "0_0"
        batch_store.write(document)
        store.find(record.place.digest)
        store.write(record, "a record")
    return dict(variables.texts)


def _triggers() -> dict[str, Any]:
    task_trigger = VideoJobTaskTrigger(JOB_ID, "pictory_default", 3600.0, 3900.0, 15.0)
    path, arguments = task_trigger.serialize()
    return {"started in the triggerer": {"classpath": path, "kwargs": arguments}}


def _events() -> dict[str, Any]:
    failed = VideoJob(JOB_ID, JobStatus.FAILED, error_code="5002", error_message="PROMPT_REFUSED")
    error = PictoryAPIError("Pictory responded with HTTP 503")
    return {
        "completed": ended_event(JOB),
        "failed": ended_event(failed),
        "cleaned": ended_event(replace(JOB, status=JobStatus.CLEANED, url=None)),
        "inconclusive": inconclusive_event(JOB_ID, error),
        "inconclusive, with its deadline": inconclusive_event(JOB_ID, error, FAR_AHEAD.isoformat()),
    }
