"""
What is known of a batch's items, in a form that outlives the tries of their task.

An item whose job is in flight has a Variable of its own, as a single video has. What became of the others is
gathered here, in one document for the whole batch.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from airflow_provider_pictory.api import VideoJob
from airflow_provider_pictory.api.jobs import UnreadableJobError
from airflow_provider_pictory.submission.record import TaskPlace, read_record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_pictory.submission.record import SubmissionRecord

VERSION = 1
_FIELDS = {"version", "revision", "place", "items", "recorded"}
# What all records of a batch have in common, and what their items' names say.
_SHARED = {"dag_id", "run_id", "task_id", "map_index", "item", "iteration"}


@dataclass(frozen=True)
class ItemError:
    """
    Why an item has no video.

    :param code: Pictory's code, else the name of our error's class.
    :param message: the error's words.
    :param is_final: whether a later try needn't submit or wait again, unless it is asked for another video.
    """

    code: str
    message: str
    is_final: bool = False


@dataclass(frozen=True)
class Entry:
    """
    What is known of one item.

    :param record: of its submission, ``None`` where nothing was submitted.
    :param job: once it has ended.
    :param error: why there is no video, as far as this is known.
    :param signature: of the try that knows it.
    """

    record: SubmissionRecord | None = None
    job: VideoJob | None = None
    error: ItemError | None = None
    signature: str = ""

    def but(self, **changes: Any) -> Entry:
        """Return the same with some fields changed."""
        return replace(self, **changes)


@dataclass(frozen=True)
class BatchDocument:
    """
    All entries of a batch.

    :param place: the task instance.
    :param entries: by the items' keys.
    :param revision: counts the writes, so that of two stores the later one is believed.
    :param recorded: keys of the items that may have a Variable of their own, where those can't be listed.
    """

    place: TaskPlace
    entries: Mapping[str, Entry] = field(default_factory=dict)
    revision: int = 0
    recorded: tuple[str, ...] = ()

    def as_json(self) -> str:
        """Return the text that is stored."""
        document = {
            "version": VERSION,
            "revision": self.revision,
            "place": self.place.parts,
            "items": {key: _stored(entry) for key, entry in self.entries.items()},
            "recorded": list(self.recorded),
        }
        return json.dumps(document, separators=(",", ":"))


def read_document(text: str) -> BatchDocument:
    """
    Read what was stored.

    :raises ValueError: it can't be understood completely; the message says why.
    """
    document = json.loads(text)
    if not isinstance(document, dict) or set(document) != _FIELDS:
        raise ValueError("this is no document of a batch")
    if document["version"] != VERSION:
        raise ValueError(f"version {document['version']!r} is unknown to this version of the provider")
    place = TaskPlace(*document["place"])
    return BatchDocument(
        place,
        {key: _read_entry(entry, place, key) for key, entry in document["items"].items()},
        int(document["revision"]),
        tuple(map(str, document["recorded"])),
    )


def _stored(entry: Entry) -> dict[str, Any]:
    stored: dict[str, Any] = {}
    if entry.record is not None:
        stored["record"] = {
            name: value for name, value in json.loads(entry.record.as_json()).items() if name not in _SHARED
        }
    if entry.job is not None:
        stored["job"] = {name: value for name, value in entry.job.to_dict().items() if value is not None}
    if entry.error is not None:
        stored["error"] = [entry.error.code, entry.error.message, entry.error.is_final]
    if entry.signature:
        stored["signature"] = entry.signature
    return stored


def _read_entry(stored: dict[str, Any], place: TaskPlace, key: str) -> Entry:
    if unknown := set(stored) - {"record", "job", "error", "signature"}:
        raise ValueError(f"item {key!r} has fields that are unknown here: {sorted(unknown)}")
    record, job = stored.get("record"), stored.get("job")
    try:
        return Entry(
            read_record(json.dumps({**place._replace(item=key)._asdict(), **record})) if record else None,
            VideoJob.from_dict({**dict.fromkeys(VideoJob.__dataclass_fields__), **job}) if job else None,
            ItemError(*stored["error"]) if "error" in stored else None,
            stored.get("signature", ""),
        )
    except (UnreadableJobError, TypeError) as error:
        raise ValueError(f"item {key!r} can't be understood: {error}") from error
