"""What a batch hands on: one line for each item, in their order, and the sums."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from airflow_provider_pictory.api import VideoJob
from airflow_provider_pictory.batch.plan import ItemState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from airflow_provider_pictory.batch.document import Entry
    from airflow_provider_pictory.batch.state import BatchState
    from airflow_provider_pictory.batch_requests import BatchItem
    from airflow_provider_pictory.saving.destination import Destination

MOST_NAMED = 5
# Errors of items whose jobs go on, and of those of which nobody knows whether there is one.
_RUNNING = ("PictoryJobTimedOutError",)
_LOOKED_FOR = ("PictorySubmissionIndeterminateError", "PictoryJobNotFoundError")
_NOT_OF_RESULT = ("job_id", "status", "error_code", "error_message")
_RESULT = tuple(name for name in VideoJob.__dataclass_fields__ if name not in _NOT_OF_RESULT)


def manifest_of(state: BatchState) -> list[dict[str, Any]]:
    """
    Return the manifest, a list of flat dicts of JSON types in the order of the requests.

    :param state: of the batch.
    """
    return [_line(item, state.entry(key), state[key]) for key, item in state.items.items()]


def _line(item: BatchItem, entry: Entry, state: ItemState) -> dict[str, Any]:
    job, record, error = entry.job, entry.record, entry.error
    result = job.result if job is not None and state is ItemState.COMPLETED else {}
    return {
        "key": item.key,
        "state": str(state),
        "job_id": job.job_id if job is not None else record.job_id if record is not None else None,
        **{name: result.get(name) for name in _RESULT},
        "error_code": error.code if error is not None else None,
        "error_message": error.message if error is not None else None,
        "estimated_credits": item.request.estimated_credits,
    }


def as_json_lines(manifest: Iterable[Mapping[str, Any]]) -> bytes:
    """Return a manifest as the content of a file, one JSON object a line."""
    return b"".join(json.dumps(line, ensure_ascii=False).encode() + b"\n" for line in manifest)


def write_manifest(manifest: Iterable[Mapping[str, Any]], destination: Destination) -> int:
    """
    Write a manifest as a file, whole or not at all, and return its bytes.

    :param manifest: of a batch.
    :param destination: of the file; one that is there is replaced.
    :raises PictoryStorageError: it can't be written.
    """
    content = as_json_lines(manifest)
    with destination.new_file() as file:
        file.write(content)
        destination.publish(file, len(content))
    return len(content)


def summary_of(manifest: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """
    Return the sums of a manifest.

    :return: ``total``, ``completed``, ``failed``, ``estimated_credits`` and ``used_credits``, the latter of
        those jobs that tell theirs.
    """
    states = [line["state"] for line in manifest]
    submitted = [line for line in manifest if line["job_id"] is not None]
    return {
        "total": len(manifest),
        "completed": states.count(str(ItemState.COMPLETED)),
        "failed": len(manifest) - states.count(str(ItemState.COMPLETED)),
        "estimated_credits": round(sum(line["estimated_credits"] or 0.0 for line in submitted), 2),
        "used_credits": round(sum(line["ai_credits_used"] or 0.0 for line in submitted), 2),
    }


def failures_in_words(manifest: Sequence[Mapping[str, Any]]) -> str:
    """Return how many items have no video, and the first few with the reason."""
    failed = [line for line in manifest if line["state"] != ItemState.COMPLETED]
    first = "; ".join(
        f"{line['key']}: {line['error_code'] or line['state']}"
        + (f" ({line['error_message']})" if line["error_message"] else "")
        for line in failed[:MOST_NAMED]
    )
    more = f"; and {len(failed) - MOST_NAMED} more" if len(failed) > MOST_NAMED else ""
    return f"{len(failed)} of {len(manifest)} videos are missing: {first}{more}"


def what_helps(manifest: Sequence[Mapping[str, Any]], *, resubmits: bool, is_always_new: bool) -> str:
    """
    Return what becomes of the items without a video in a retry or a clear.

    :param manifest: of a batch that has ended.
    :param resubmits: whether a retry submits again what has failed.
    :param is_always_new: whether a clear submits everything again.
    """
    if is_always_new and not resubmits:
        return "With on_clear='new' a clear of this task submits and pays for all of its videos again"
    codes = [line["error_code"] for line in manifest if line["state"] != ItemState.COMPLETED]
    running = sum(code in _RUNNING for code in codes)
    looked_for = sum(code in _LOOKED_FOR for code in codes)
    again = len(codes) - running - looked_for
    which = "these" if again == len(codes) else f"{again} of these"
    sentences = []
    if again and resubmits:
        them = "them" if again == len(codes) else f"{again} of them"
        sentences.append(f"With resubmit_failed the next try submits {them} again")
    elif again:
        sentences.append(
            f"A clear of this task keeps the other videos, and submits and pays for {which} again"
        )
    whoever = "The next try" if resubmits else "A clear of this task"
    if running:
        sentences.append(f"{whoever} waits again for the jobs of {running}, which costs nothing")
    if looked_for:
        sentences.append(f"{whoever} asks again what became of {looked_for}")
    return ". ".join(sentences)
